// Leaves out of uPlot 1.6.32 what the curves never use, which no bundler can see: axes of dates, legends, bars,
// splines, steps, scatter plots, bands, fills, joins, upright and other scales, labels of axes, drags across, series that come and go,
// and ways to do otherwise what is always done in one: scales named by the user, axes at other sides, points of other looks.
// Nearly half of it. Each cut must be found, so another version stops the build.
import type { Plugin } from "vite";

const kCuts: [string | RegExp, string][] = [
  [/\nuPlot\.assign = assign;[^]*?\nexport \{/, "\nexport {"], // functions that users call
  ["const FEAT_TIME          = true;", "const FEAT_TIME = false;"],
  [/const \[ timeIncrsMs,.*\n.*genTimeStuffs\(1e-3\);/, "const timeIncrsMs = [], timeIncrsS = [];"],
  [/const _timeAxisSplits = .*\n.*\n.*_timeSeriesVal  = .*;/, "const _timeAxisSplits = 0, _timeAxisVals = 0, _timeSeriesVal = 0;"],
  [/const _tzDate  = .*\n.*fmtDate\);/, ""],
  [/let isTime = sc\.time;/g, "const isTime = false;"],
  ["let isTime = mode == 1 && scales[s.scale].time;", "const isTime = false;"],
  ["else if (scaleX.time)", "else if (false)"],
  ["const showLegend = legend.show;", "const showLegend = false;"],
  [/\b(sc\.|scale\.)?distr == (2|4|100)\b/g, "false"], // ordinal, asinh and own scales
  [/\b(scaleX|sx)\.ori == 0/g, "true"], // x lies
  [/const cursorOnePt = .*;/, "const cursorOnePt = false;"],
  ["const mode = self.mode;", "const mode = 1;"],
  ["let mode = self.mode;", "const mode = 1;"],
  ["const mode = u.mode;", "const mode = 1;"],
  ["const bands   = self.bands  = opts.bands || [];", "const bands = [];"],
  ["const cursorFocus = focus.prox >= 0;", "const cursorFocus = false;"],
  [/self\.(addSeries|delSeries|addBand|setBand|delBand|setSeries|setLegend) = \1;/g, ""],
  ["idx != -1 && setSeries(idx, opts, true, false);", ""],
  [/\bsetLegend\(\);/g, ""],
  [/let didStrokeFill = false;[^]*?if \(!didStrokeFill\)/, ""],
  [/if \(bandClip\) \{\n[^]*?\n\t\telse \{\n\t\t\tdoFill\(fillStyle, fillPath\);\n(\t\t\tdoStroke[^\n]*\n)\t\t\}/, "doFill(fillStyle, fillPath);\n$1"],
  [/if \((stroke|fill)Path instanceof Map\) \{[^]*?\}\n\t\t\t?else\n/g, ""],
  ["let [ bandFillDir, bandClipDir ] = bandFillClipDirs(u, seriesIdx);\n\n\t\t\tif (series.fill != null || bandFillDir != 0) {\n\t\t\t\tlet fill = _paths.fill = new Path2D(stroke);\n\n\t\t\t\tlet fillToVal", "if (false) {\n\t\t\t\tlet fill, bandFillDir, fillToVal"],
  ["if (bandClipDir != 0) {\n\t\t\t\t_paths.band", "if (false) {\n\t\t\t\tlet bandClipDir; _paths.band"],
  ["const decimate = idx1 - idx0 >= xDim * 4;", "const decimate = false;"],
  ["onMouse(dblclick, over, dblClick);", ""],
  ["events.dblclick = dblClick;", ""],
  ["getBBox != null", "false"],
  ["axis.label != null ? axis.labelSize : 0", "0"],
  [/axis\.label != null/g, "false"],
  ["side == 2 ? axis.rotate(self, values, i, _space) : 0", "0"],
  ["sc.distr == 3 && sc.log == 2 ? log2AxisValsFilt : retArg1", "retArg1"],
  ["let shouldAlpha = series.some(s => s._focus) && ctxAlpha != focus.alpha;", "const shouldAlpha = false;"],
  [/\(opts\.plugins \|\| \[\]\)\.forEach\(p => \{[^]*?\n\t\}\);/g, ""],
  [/ori == 0 \? (rectH|moveToH)\b/g, "true ? $1"],
  [/let (moveTo|arcTo|rect) = ori == 0 \?/g, "let $1 = true ?"],
  ["else if (cursor.lock)", "else if (false)"],
  // A tenth of room above and below; nothing is the edge of what is near it.
  ["return dataMin == null ? nullNullTuple : rangeNum(dataMin, dataMax, rangePad, true);", `if (dataMin == null) return nullNullTuple;
    const isFlat = dataMax - dataMin <= abs(dataMax) * 1e-6; // means are kept in single precision
    const room = (isFlat ? abs(dataMax) : dataMax - dataMin) / 10 || 1;
    const edge = (end, side) => (end != 0 && end * (end + side) < 0) || end == 0 ? 0 : end + side;
    return isFlat ? [dataMin - room, dataMax + room] : [edge(dataMin, -room), edge(dataMax, room)];`],
  ["[_min, _max] = rangeNum(_min, _max, rangePad, true);", "[_min, _max] = [_min - 1, _max + 1];"],
  ["rn = (self, dataMin, dataMax) => dataMin == null ? nullNullTuple : rangeNum(dataMin, dataMax, cfg);", ""],
  // A drag is along x, and the other plots do not draw it.
  [/if \(src != null\) \{\n\t\t\t\tlet \[xKey, yKey\][^]*?(?=\/\/ the drag didn't pass)/, `if (src == null) {
    dragX = abs(rawMouseLeft1 - rawMouseLeft0) >= drag.dist;
    if (dragX) { setSelX(min(mouseLeft0, mouseLeft1), abs(mouseLeft1 - mouseLeft0)); setSelY(0, yDim); }
    `],
  ["if (drag.setScale && hasSelect && chgSelect)", "if (false)"],
  // Where it runs, and names of days.
  ["typeof window != 'undefined'", "true"],
  [/const microTask = .*;/, "const microTask = queueMicrotask;"],
  [/const months = \[[^]*?const localTz = .*\n/, ""],
  [/const numFormatter = .*\nconst fmtNum = .*\n/, ""],
  // Numbers of axes: decimal, a logarithm's too.
  ["genIncrs(2, -53, 53, [1]);", ""],
  ["let mag = roundDec(pow(base, exp), expa);", ""],
  [/let _incr = base == 10 \? (.*) : mults\[i\] \* mag;/, "let incr = $1;"],
  ["let incr = base == 10 ? _incr : roundDec(_incr, dec);", ""],
  ["const logBase = self.scales[self.axes[axisIdx].scale].log;", "const logBase = 10;"],
  [/function rangeLog\([^]*?\n\}/, `function rangeLog(min, max) {
    if (min == max) { min /= 10; max *= 10; }
    return [incrRoundDn(min, +\`1e\${floor(log10(min))}\`), incrRoundUp(max, +\`1e\${ceil(log10(max))}\`)];
  }`],
  [/xScaleDistr == [234]/g, "false"],
  // Scales: one along, one up.
  [/const xScaleKey = .*;/, 'const xScaleKey = "x";'],
  [/function initScale\(scaleKey\) \{[^]*?\n\t\}\n/, `function initScale(key) {
    const isX = key == "x";
    const sc = scales[key] = assign({}, isX ? xScaleOpts : yScaleOpts, opts.scales[key]);
    assign(sc, { range: isX ? snapNumX : sc.distr == 3 ? snapLogY : snapNumY, auto: retTrue, _min: null, _max: null, valToPct: initValToPct(sc) });
  }
`],
  ["sc.clamp(self, val, sc.min, sc.max, sc.key)", "sc.min / 10"],
  [/\/\/ .*init scales from facets in mode: 2[^]*?for \(let k in opts\.scales\)\s*initScale\(k\);/, ""],
  [/for \(let k in scales\) \{\s*let sc = scales\[k\];\s*if \(sc\.min != null \|\| sc\.max != null\) \{[^]*?\n\t\t\}\n\t\}/, ""],
  [/if \(pendScales\[xScaleKey\]\)\s*setScale\(.*\);\s*else\s*(?=autoScaleX)/, ""],
  [/\bw?sc\.from == null/g, "true"],
  [/\bw?sc\.from != null/g, "false"],
  [/\b(sc|scale)\.dir == -1/g, "false"],
  ["self.setScale = setScale;", ""],
  // Axes: left and below, with numbers that we write.
  [/let labelSize = 0;/, "const labelSize = 0;"],
  [/function calcPlotRect\(\) \{[^]*?\/\/ hz padding/, `function calcPlotRect() {
    for (const { side, _show, _size } of axes) {
      sidesWithAxes[side] = _show && _size > 0;
      if (!sidesWithAxes[side]) continue;
      if (side == 3) { plotWidCss -= _size; plotLftCss += _size; }
      else plotHgtCss -= _size;
    }
    `],
  [/function calcAxesRects\(\) \{[^]*?\n\t\}\n/, `function calcAxesRects() {
    for (const axis of axes) axis._pos = axis.side == 3 ? plotLftCss : plotTopCss + plotHgtCss;
  }
`],
  [/function autoPadSide\([^]*?\n\t\}\n/, `function autoPadSide(self, side, [, , below, left]) {
    return side % 2 ? (below && (side == 1 || !left) ? 25 : 0) : (left && (side == 0 || !below) ? 17 : 0);
  }
`],
  [/const padding = .*;/, "const padding = [autoPadSide, autoPadSide, autoPadSide, autoPadSide];"],
  [/\/\/ this can occur if all series[^]*?(?=axis\.size   =)/, ""],
  ["axis.rotate = fnOrSelf(axis.rotate);", ""],
  [/if \(isArr\(axis\.incrs\)\) \{[^]*?(?=axis\.splits)/, "axis.incrs = () => i == 0 ? wholeIncrs : numIncrs; // steps and seconds are whole\n"],
  [/axis\.splits = fnOrSelf\(.*\);/, "axis.splits = sc.distr == 3 ? logAxisSplits : numAxisSplits;"],
  [/axis\.border\.stroke = .*\n[^]*?(?=axis\.filter)/, ""],
  [/axis\.filter = fnOrSelf\(.*\);/, "axis.filter = sc.distr == 3 ? log10AxisValsFilt : retArg1;"],
  ["axis.labelFont = pxRatioFont(axis.labelFont);", ""],
  ["[axis.font, axis.labelFont].forEach(", "[axis.font].forEach("],
  ["axis._el = placeDiv(AXIS, wrap);", ""],
  [/axes\.forEach\(\(\{ _el, _show[^]*?\n\t\t\t\}\);/, ""],
  ["const labelFont = \"bold \" + font;", ""],
  [/labelGap: 0,\n\tlabelSize: 30,\n\tlabelFont,/g, ""],
  [/^const font      = .*;/m, 'const font = "";'],
  [/\tborder,\n/g, ""],
  ["let border = axis.border;", ""],
  ["if (border.show)", "if (false)"],
  [/const border = assign\([^]*?\}\);/, ""],
  [/let angle = .*;/, "const angle = 0;"],
  [/axis\.alignTo == 2 \? .* : axis\.gap\b/, "axis.gap"],
  [/axis\.align == [12]/g, "false"],
  ['val.indexOf("\\n") == -1 ? [val] : val.split(/\\n/gm)', "[val]"],
  [/side == 0 \|\| side == 3/g, "side == 3"],
  // The cursor: two lines and a dot on each curve.
  [/const legendOpts = \{[^]*?\n\};/, ""],
  [/const legend     = .*;/, "const legend = {};"],
  [/const markers    = [^]*?(?=const son  =)/, "let legendTable, legendRows, legendCells, multiValLegend;\n"],
  [/if \(legend\.show && [^]*?\n\t\t\}/, ""],
  ["if (legend.live) {\n\t\t\t\tactiveIdxs", "{\n\t\t\t\tactiveIdxs"],
  [/shouldSetLegend = shouldSetLegend \|\| .*;/, ""],
  ["if (shouldSetLegend || cursorOnePt)", "if (true)"],
  [/if \(shouldSetLegend\) \{\n\t\t\tlegend\.idx = idx;[^]*?\n\t\t\}/, ""],
  [/shouldSetCursor = shouldSetLegend = true/g, "shouldSetCursor = true"],
  [/(let )?\bshouldSetLegend = (true|false);/g, ""],
  [/const cursorOpts = \{[^]*?\n\};/, "const cursorOpts = { drag: { dist: 0 }, left: -10, top: -10, idx: null };"],
  ["{drag: {y: mode == 2}}, ", ""],
  [/const showCursor = .*;/, "const showCursor = true;"],
  [/on\("click", wrap,[^]*?\}, true\);/, ""],
  ["cursor.bind[ev](self, targ, fn, onlyTarg)", "(ev == mousemove || ev == mouseleave || ev == mouseenter ? filtTarg : filtBtn0)(self, targ, fn, onlyTarg)"],
  [/if \(cursor\.dataIdx == null\) \{[^]*?(?=const setCursorEvent)/, `cursor.dataIdx = (self, seriesIdx, at) => {
    const ys = data[seriesIdx];
    let left = at, right = at;
    while (ys[left] === undefined && left >= 0) left--;
    while (ys[right] === undefined && right < ys.length) right++;
    return right == ys.length ? (left < 0 ? null : left) : left < 0 || at - left > right - at ? right : left;
  };
  `],
  ["cursor._lock = false;\n", ""],
  [/if \(cursor\._lock\)\s*return;/g, ""],
  [/let points = cursor\.points;[^]*?(?=const cursorFocus)/, ""],
  ["let pt = points.show(self, si);", "let pt = placeDiv();"],
  ["getBBox = points.bbox", "getBBox"],
  ["ptWid = ptHgt = points.size(self, i);", "ptWid = ptHgt = 6;"],
  ["ptFill = points.fill(self, i);", "ptFill = ptStroke = s._stroke;"],
  ["ptStroke = points.stroke(self, i);", ""],
  ["addClass(pt, s.class);", ""],
  [/cursor\.move\(self, (\w+, \w+)\)/g, "[$1]"],
  [/if \(cursor\.[xy]\)/g, ""],
  [/\bselect\.(show|over)\b/g, "true"],
  [/\tshow:   true,\n\t\tover:   true,\n/, ""],
  ["let dragX = drag.x;", "let dragX = true;"],
  ["let dragY = drag.y;", "const dragY = false;"],
  ["dragX = dragY = drag._x", "dragX = drag._x"],
  [/drag\._[xy] = drag[XY];/g, ""],
  [/drag\._[xy] = /g, ""],
  // Plots beside each other have the same scales.
  [/let \[xSyncKey, ySyncKey\] = [^]*?(?=\t\t\t\t\}\n)/, "syncOpts.values = [posToVal(mouseLeft1, \"x\"), posToVal(mouseTop1, \"y\")];\n"],
  [/let \[xKey, yKey\] = syncOpts\.scales;[^]*?(?=\t\t\}\n\t?\n?\t\tif \(snap)/, `const [x, y] = src.cursor.sync.values;
    _l = getPos(x, scaleX, plotWidCss, 0);
    _t = getPos(y, scales.y, plotHgtCss, 0);
`],
  [/events\["setSeries"\] = [^]*?\n\t\};/, ""],
  [/const seriesIdxMatcher = [^]*?const syncOpts = assign\(\{[^]*?\n\t\}, cursor\.sync\);[^]*?(?=cursor\.sync =)/, "const syncOpts = cursor.sync;\n"],
  [/if \(syncOpts\.filters\.(pub|sub)\(.*\)\)/g, ""],
  // Series: lines with a stroke, and dots where there are few.
  [/if \(mode == 1 \|\| i > 0\) \{\n\t\t\tconst isTime = false;[^]*?\n\t\t\}/, ""],
  ["s.fillTo = fnOrSelf(s.fillTo || seriesFillTo);", ""],
  [/s\.paths  = .*;/, "s.paths = linearPath;"],
  [/const pxAlign = .*;/, "const pxAlign = 1;"],
  ["s.pxAlign = +ifNull(s.pxAlign, pxAlign);", "s.pxAlign = 1;"],
  [/pxRoundGen\((s\.)?pxAlign\);/g, "round;"],
  ["_paths.gaps = gaps = series.gaps(u, seriesIdx, idx0, idx1, gaps);", "_paths.gaps = gaps;"],
  [/\tgaps,\n/g, ""],
  [/const dir = scaleX\.dir \* .*;\n/g, "const dir = 1;\n"],
  ["function findGaps(xs, ys, idx0, idx1, dir, pixelForX, align) {", "function findGaps(xs, ys, idx0, idx1, _dir, pixelForX) {\n\tconst dir = 1;"],
  ["const alignGaps = ifNull(opts?.alignGaps, 0);", "const alignGaps = 0;"],
  [/align [<>]= 0 && /g, ""],
  [/function rect\(ori\) \{[^]*?\n\}/, "function rect() { return (p, x, y, w, h) => { p.rect(x, y, w, h); }; }"],
  // What nobody asks for.
  [/if \(opts\.id != null\)[^]*?(?=const can =)/, ""],
  [/\n\t(\/\/.*\n\t)?function batch\([^]*?\n\t\}/, ""],
  ["self.batch = batch;", ""],
  [/function flushHooks\([^]*?\n\t\}/, ""],
  [/if \(deferHooks\)[^]*?else \{/, "{"],
  [/self\.redraw = [^]*?\n\t\};/, ""],
  [/self\.(valToIdx|posToIdx) = .*;/g, ""],
  [/Object\.defineProperty\(self, 'rect', \{[^]*?\n\t\}\);/, ""],
  [/\bfire\("(addSeries|delSeries|setData|setScale|drawSeries|drawAxes|setSize|drawClear|ready|syncRect|destroy|init)".*\);/g, ""],
  [/opts\.drawOrder \|\| /, ""],
  ["legendTable?.remove();", ""],
  [/const xySeriesOpts = \{[^]*?\n\};/, ""],
  [/const drawOrderMap = [^]*?const drawOrder = .*;/, ""],
  ["drawOrder.forEach(fn => fn());", "drawAxesGrid(); drawSeries();"],
  [/\bs\.show\b(?! =)/g, "true"],
  [/\b(axis|grid|ticks)\.show\b/g, "true"],
  [/let d2 = initY .*;\n\treturn d2\.map/, "return d.map"],
  [/function getMinMax\([^]*?\n\}/, `function getMinMax(data, from, to, sorted, log) {
    let low = inf, high = -inf;
    for (let i = from; i <= to; i++) if (data[i] != null && (!log || data[i] > 0)) { low = min(low, data[i]); high = max(high, data[i]); }
    return [low, high];
  }`],
  [/const isPositive = .*;\n/, ""],
  ["const positiveIdxs = makeIndexOfs(isPositive);", ""],
  [/const TypedArray = .*;/, ""],
  [/else if \(o instanceof TypedArray\).*\n.*\n/, ""],
  [/(time: (FEAT_TIME|false)|log: 10|asinh: 1|dir: 1),\n/g, ""],
  [/let _parts = \[val\];[^]*?ctx\.fillText\(text, x, y \+ j \* lineHeight\);\n\t*\}\n/, "ctx.fillText(val, x, y);\n"],
  [/let lineHeight = .*;/, ""],
  [/(lineGap|rotate: 0|alignTo: 1),\n/g, ""],
  [/const lineGap = .*/, ""],
  [/pubSync\((mousedown|mouseup), .*\);/g, ""],
  [/events\.(mousedown|mouseup) = .*;/g, ""],
  [/let snapH = true;[^]*?(?=updateCursor\(null, true, true\);\s*dragging = false;)/, "if (dragX) mouseLeft1 = mouseLeft1 < mouseLeft0 ? 0 : plotWidCss;\n"],
  [/self\.status = [01];/g, ""],
  ["if (pt instanceof HTMLElement)", ""],
  [/points\.pxAlign = .*;/, ""],
  [/points\.show   = .*\n[^]*?points\.filter = .*;/, ""],
  [/let idxs = s\.points\.filter\(.*\);/, ""],
  ["if (show || idxs) {", "if (show) {"],
  ["s.points.paths(self, i, i0, i1, idxs)", "s.points.paths(self, i, i0, i1)"],
  ["if (filtIdxs)\n\t\t\t\tfiltIdxs.forEach(drawPoint);\n\t\t\telse {", "{"],
  ["bands.forEach(b => {", "if (false) bands.forEach(b => {"],
];

export function uplotParts(): Plugin {
  return {
    name: "uplot-parts",
    transform(code, id) {
      if (!id.includes("uPlot.esm.js")) return null;
      let out = code;
      for (const [what, by] of kCuts) {
        const next = out.replace(what, by);
        if (next === out) throw new Error(`uplot_parts.ts: this uPlot has no ${String(what)}`);
        out = next;
      }
      return { code: out, map: null };
    },
  };
}
