// Curves of a job, in a chunk of their own with uPlot. Raw values: gaps, restarts and what is no
// number are drawn. The read-out stands above the plot, by pointer, touch or arrow keys.
import { signal, type Signal } from "../lib/signal";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { count, curveNumber, digits, duration, plural } from "../lib/format";
import type { Live } from "../lib/live";
import type { Series, SeriesList } from "../lib/resources";
import { place, setQuery } from "../lib/router";
import { clock, utc, zoneName } from "../lib/time";
import { painted } from "../ui/frame";
import { Panel, When } from "../ui/bits";
import { Empty, Shown } from "../ui/states";
import { csvOf, grouped, pinched, placesOf, plotData, stepAt, type Axis, type PlotData } from "./plot_data";
import { seriesChoice } from "./series";

const kHeight = 220;
const kTones = ["--line-blue", "--line-amber", "--line-purple", "--line-green", "--line-slate"];
const kDashes = [[], [6, 3], [2, 3], [8, 3, 2, 3], [1, 4]];
const kTableRows = 200;

const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const title = (metric: string): string => metric.replace(/_/g, " ");

// What the axes and the crosshair say of a place.
function placeText(axis: Axis, x: number): string {
  if (axis === "step") return `step ${count(Math.round(x))}`;
  return axis === "time" ? `${clock(x * 1000)} ${zoneName(x * 1000)}` : duration(x * 1000);
}
const kKindWords = { raw: "", smooth: ", smoothed", lost: ", thrown away" };

function readout(group: Series[], data: PlotData, axis: Axis, index: number | null | undefined): string {
  const values = (at: number): string[] => data.lines.flatMap((line, i) => {
    const value = data.columns[i]?.[at];
    return typeof value === "number" ? [`${digits(value, 4)} ${title(group[line.series]?.metric ?? "")}${kKindWords[line.kind]}`] : [];
  });
  if (index !== null && index !== undefined) {
    const found = values(index);
    const attempt = attemptAt(group, axis, data.xs[index] ?? 0, data.base);
    const where = placeText(axis, data.xs[index] ?? 0);
    return [where, attempt > 1 ? `attempt ${attempt}` : "", ...(found.length > 0 ? found : ["no value"])].filter(Boolean).join(" · ");
  }
  return "latest: " + group.map((one) => {
    const part = one.parts[one.parts.length - 1];
    const last = part?.values[part.values.length - 1];
    return `${last === undefined ? "–" : digits(curveNumber(last), 4)} ${title(one.metric)}`;
  }).join(", ");
}

function attemptAt(group: Series[], axis: Axis, x: number, base: number): number {
  for (const part of group[0]?.parts ?? []) {
    const xs = placesOf(part, axis, base);
    if (x >= (xs[0] ?? 0) && x <= (xs[xs.length - 1] ?? 0)) return part.attempt;
  }
  return 0;
}

// Where a run began again, and what was no number.
function drawMarks(plot: uPlot, data: PlotData): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.lineWidth = ratio;
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.strokeStyle = ctx.fillStyle = colour("--muted");
  for (const { x, attempt } of data.restarts) {
    const at = plot.valToPos(x, "x", true);
    if (at < bbox.left || at > bbox.left + bbox.width) continue;
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(at, bbox.top);
    ctx.lineTo(at, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillText(`↻${attempt}`, at + 3 * ratio, bbox.top + 11 * ratio);
  }
  ctx.setLineDash([]);
  ctx.fillStyle = colour("--text");
  for (const { x } of data.odd) {
    const at = plot.valToPos(x, "x", true);
    if (at < bbox.left || at > bbox.left + bbox.width) continue;
    const size = 5 * ratio;
    ctx.beginPath();
    ctx.moveTo(at, bbox.top);
    ctx.lineTo(at - size, bbox.top + 2 * size);
    ctx.lineTo(at + size, bbox.top + 2 * size);
    ctx.fill();
  }
  ctx.restore();
}

// Finer data of a part of the axis, which stands in the address as steps.
function zoom(group: Series[], axis: Axis, base: number, part: [number, number]): void {
  const [from = 0, to = 0] = part.map((x) => Math.max(0, stepAt(group, axis, x, base)));
  if (to > from) setQuery({ from: String(from), to: String(to) }, "push");
}

interface PlotProps { group: Series[]; axis: Axis; isLog: boolean; sync: string; data: PlotData; said: Signal<string> }

function options({ group, axis, isLog, sync }: PlotProps, width: number, now: { current: PlotData }, said: Signal<string>): uPlot.Options {
  const smooth = now.current.lines.some((line) => line.kind === "smooth");
  const grid = { stroke: colour("--grid"), width: 1 };
  const common = { stroke: colour("--muted"), font: "12px system-ui, sans-serif", grid, ticks: grid };
  return {
    width, height: kHeight, legend: { show: false },
    scales: { x: { time: false }, y: isLog ? { distr: 3 } : {} },
    axes: [
      { ...common, space: 56, size: 32, values: (_, marks) => marks.map((x) => axis === "step" ? count(Math.round(x)) : axis === "time" ? clock(x * 1000) : Math.floor(x / 3600) + clock(x * 1000, true).slice(2)) },
      { ...common, size: (_, marks) => 18 + 7 * Math.max(3, ...(marks ?? []).map((mark) => mark.length)), values: (_, marks) => marks.map((y) => y === null ? "" : digits(y, 3)) },
    ],
    cursor: { sync: { key: sync }, drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
    series: [
      {},
      ...now.current.lines.map(({ series: i, kind }) => ({
        label: group[i]?.metric ?? "", stroke: colour(kTones[i % kTones.length] ?? "--text"), width: 1.5, spanGaps: false,
        dash: kind === "lost" ? [4, 4] : kDashes[i % kDashes.length] ?? [],
        alpha: kind === "lost" ? 0.5 : kind === "raw" && smooth ? 0.3 : 1,
      })),
    ],
    hooks: {
      draw: [(plot) => drawMarks(plot, now.current)],
      setCursor: [(plot) => { said.value = readout(group, now.current, axis, plot.cursor.idx); }],
      setSelect: [(plot) => {
        if (plot.select.width < 4) return;
        const { left, width: size } = plot.select;
        plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        zoom(group, axis, now.current.base, [plot.posToVal(left, "x"), plot.posToVal(left + size, "x")]);
      }],
    },
  };
}

function Plot(props: PlotProps) {
  const { group, axis, isLog, data, said } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const fingers = useRef<{ held: [number, number]; at: [number, number] } | undefined>(undefined); // two of them
  const now = useRef(data);
  now.current = data;
  const metrics = data.lines.map((line) => (group[line.series]?.metric ?? "") + line.kind).join(",");
  useEffect(() => {
    const root = box.current;
    if (!root) return undefined;
    const made = new uPlot(options(props, Math.max(200, root.clientWidth), now, said), [now.current.xs, ...now.current.columns] as uPlot.AlignedData, root);
    plot.current = made;
    made.root.querySelector("canvas")?.setAttribute("role", "img");
    const fit = new ResizeObserver(() => made.setSize({ width: Math.max(200, root.clientWidth), height: kHeight }));
    fit.observe(root);
    return () => {
      fit.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [metrics, axis, isLog, painted.value, utc.value]);
  useEffect(() => {
    plot.current?.setData([data.xs, ...data.columns] as uPlot.AlignedData);
    const values = data.columns[0]?.filter((value): value is number => typeof value === "number") ?? [];
    const least = values.length > 0 ? digits(values.reduce((a, b) => Math.min(a, b)), 4) : "none";
    plot.current?.root.querySelector("canvas")?.setAttribute("aria-label",
      `${group.map((one) => title(one.metric)).join(" and ")}: ${readout(group, data, axis, undefined)}, least ${least}, up to ${placeText(axis, data.xs[data.xs.length - 1] ?? 0)}`);
  }, [data, metrics, axis, isLog, painted.value, utc.value]);
  const move = (index: number): void => {
    const made = plot.current;
    const x = data.xs[Math.max(0, Math.min(data.xs.length - 1, index))];
    if (made && x !== undefined) made.setCursor({ left: made.valToPos(x, "x"), top: kHeight / 3 });
  };
  const touch = (event: TouchEvent): void => {
    const made = plot.current;
    const first = event.touches[0];
    if (!made || !first) return;
    const over = made.over.getBoundingClientRect();
    const [left = 0, right] = [...event.touches].map((one) => one.clientX - over.left).sort((a, b) => a - b);
    if (right === undefined) made.setCursor({ left, top: first.clientY - over.top });
    else fingers.current = { held: fingers.current?.held ?? [made.posToVal(left, "x"), made.posToVal(right, "x")], at: [left, right] };
  };
  const lift = (): void => {
    const pinch = fingers.current;
    fingers.current = undefined;
    if (pinch && plot.current) zoom(group, axis, data.base, pinched(pinch.held, pinch.at, plot.current.over.clientWidth));
  };
  return (
    <div ref={box} class="plot" tabIndex={0} role="group" aria-label={`${group.map((one) => title(one.metric)).join(" and ")}; arrow keys read it out`}
      onTouchStart={touch} onTouchMove={touch} onTouchEnd={lift}
      onKeyDown={(event) => {
        const at = plot.current?.cursor.idx ?? data.xs.length - 1;
        if (event.key === "ArrowLeft") move(at - 1);
        else if (event.key === "ArrowRight") move(at + 1);
        else if (event.key === "Home") move(0);
        else if (event.key === "End") move(data.xs.length - 1);
        else return;
        event.preventDefault();
      }} />
  );
}

function Chart({ group, axis, isLog, sync, base }: { group: Series[]; axis: Axis; isLog: boolean; sync: string; base: number }) {
  const data = useMemo(() => plotData(group, axis, isLog, base), [group, axis, isLog, base]);
  const said = useMemo(() => signal(""), []);
  const [asTable, setAsTable] = useState(false);
  const points = group.reduce((sum, one) => sum + BigInt(one.count), 0n);
  const kept = group.reduce((sum, one) => sum + one.kept, 0);
  const notes = [
    BigInt(kept) < points ? `${count(kept)} of ${count(points)} points, extremes kept` : plural(kept, "point"),
    data.odd.length > 0 ? `▲ ${plural(data.odd.length, "value")} no number (${[...new Set(data.odd.map((odd) => odd.text))].join(", ")})` : "",
    data.lines.some((line) => line.kind === "lost") ? "faint dashes: thrown away by a restart" : "",
    data.leftOut > 0 ? `${plural(data.leftOut, "value")} ≤ 0 left out` : "",
  ].filter(Boolean);
  const save = (): void => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csvOf(group)], { type: "text/csv" }));
    link.download = group.map((one) => one.metric).join("-") + ".csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
  return (
    <figure class="chart">
      <figcaption>
        <strong>{group.map((one, i) => (
          <span key={one.metric} class="line-name"><i class={`stroke stroke-${i % kTones.length}`} /><bdi>{title(one.metric)}</bdi></span>
        ))}</strong>
        <span class="grow" />
        <span class="tools">
          <button type="button" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>table</button>
          <button type="button" onClick={save}>CSV</button>
        </span>
      </figcaption>
      <p class="readout number">{said.value || readout(group, data, axis, undefined)}</p>
      {asTable ? <Values group={group} /> : <Plot group={group} axis={axis} isLog={isLog} sync={sync} data={data} said={said} />}
      <p class="muted note">{notes.join(" · ")}</p>
    </figure>
  );
}

function Values({ group }: { group: Series[] }) {
  const rows = group.flatMap((one) => one.parts.flatMap((part) => part.steps.map((step, i) =>
    ({ metric: one.metric, attempt: part.attempt, step, time: part.times[i] ?? 0, value: part.values[i] ?? NaN }))));
  rows.sort((a, b) => b.time - a.time);
  return (
    <div class="values" tabIndex={0} role="group" aria-label="Values, newest first">
      <table>
        <caption class="muted">{rows.length > kTableRows ? `The newest ${count(kTableRows)} of ${count(rows.length)}; CSV has all` : `All ${count(rows.length)}`}</caption>
        <thead><tr><th scope="col">Metric</th><th scope="col" class="number">Attempt</th><th scope="col" class="number">Step</th><th scope="col">Time</th><th scope="col" class="number">Value</th></tr></thead>
        <tbody>{rows.slice(0, kTableRows).map((row) => (
          <tr key={`${row.metric} ${row.attempt} ${row.step}`}>
            <td><bdi>{row.metric}</bdi></td><td class="number">{row.attempt}</td><td class="number">{count(row.step)}</td>
            <td><When at={new Date(row.time).toISOString()} /></td><td class="number">{digits(curveNumber(row.value), 6)}</td>
          </tr>
        ))}</tbody>
      </table>
    </div>
  );
}

function Choice({ word, name, options: all, chosen }: { word: string; name: string; options: [string, string][]; chosen: string }) {
  return (
    <span class="choice" role="group" aria-label={word}>
      <span aria-hidden="true">{word}:</span>
      {all.map(([value, label], i) => (
        <button key={value} type="button" aria-pressed={chosen === value} onClick={() => setQuery({ [name]: i === 0 ? undefined : value }, "push")}>{label}</button>
      ))}
    </span>
  );
}

export function Curves({ name, live, began }: { name: string; live: Live<SeriesList>; began: number }) {
  const { axis, smooth, from, to } = seriesChoice();
  const isLog = place.value.query.get("y") === "log";
  const groups = useMemo(() => grouped(live.data.value?.series ?? []), [live.data.value]);
  return (
    <Panel id="curves" title="Curves" aside={
      <>
        {(from !== "" || to !== "") && <button type="button" onClick={() => setQuery({ from: undefined, to: undefined }, "push")}>steps {from || "0"} to {to || "end"}: show all</button>}
        <Choice word="x" name="x" options={[["step", "step"], ["elapsed", "elapsed"], ["time", "time"]]} chosen={axis} />
        <Choice word="y" name="y" options={[["linear", "linear"], ["log", "log"]]} chosen={isLog ? "log" : "linear"} />
        <Choice word="smooth" name="smooth" options={[["", "off"], ["0.6", "0.6"], ["0.9", "0.9"]]} chosen={smooth} />
      </>
    }>
      <Shown live={live} lines={8}>{() => groups.length === 0
        ? <Empty>The job has measured nothing yet. A program reports with lines like <code>overwinter: step=10 loss=2.31</code>.</Empty>
        : <div class="charts">{groups.map((group) => <Chart key={group.map((one) => one.metric).join()} group={group} axis={axis} isLog={isLog} sync={name} base={began} />)}</div>}</Shown>
    </Panel>
  );
}
