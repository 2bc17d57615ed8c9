// Leaves out of uPlot 1.6.32 what the curves never use, which no bundler can see: axes of dates, legends, bars,
// splines, steps, scatter plots, bands, fills, joins, upright and other scales, labels of axes, drags across, series that come and go.
// A third of it. Each cut must be found, so another version stops the build.
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
  [/\(opts\.plugins \|\| \[\]\)\.forEach\(p => \{[^]*?\n\t\}\);/, ""],
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
