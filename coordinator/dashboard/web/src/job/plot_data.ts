// Curves as the columns that a plot draws: null is a gap, undefined a point that only another curve has.
import { curveNumber } from "../lib/format";
import type { Series, SeriesPart } from "../lib/resources";

export type Axis = "step" | "elapsed" | "time";
// A line of a plot: a curve as it was measured, its means, or what restarts threw away of it.
export interface Line { series: number; kind: "raw" | "smooth" | "lost" }
export interface Odd { x: number; text: string }
export interface PlotData {
  xs: number[];
  base: number; // see placesOf
  lines: Line[];
  columns: (number | null | undefined)[][];
  odd: Odd[]; // values that are no numbers, where they came
  restarts: { x: number; attempt: number }[];
  leftOut: number; // values that a logarithmic axis has no place for
}

interface Point { x: number; value: number | null }

// Steps, or seconds since 1970 or since the run began (`base`, in milliseconds).
export const placesOf = (part: SeriesPart, axis: Axis, base: number): number[] =>
  axis === "step" ? part.steps : part.times.map((ms) => (ms - (axis === "time" ? 0 : base)) / 1000);

export function plotData(series: Series[], axis: Axis, isLog: boolean, base = 0): PlotData {
  const odd: Odd[] = [];
  const restarts = new Map<number, number>();
  let leftOut = 0;
  const lines: Line[] = [];
  const all: Point[][] = [];
  const add = (number: number, kind: Line["kind"], parts: SeriesPart[]): void => {
    const points: Point[] = [];
    let lastAttempt: number | undefined;
    for (const part of parts) {
      const xs = placesOf(part, axis, base);
      const before = points[points.length - 1];
      const first = xs[0];
      if (first === undefined) continue;
      if (before) points.push({ x: (before.x + first) / 2, value: null });
      if (kind === "raw" && lastAttempt !== undefined && part.attempt !== lastAttempt) restarts.set(first, part.attempt);
      lastAttempt = part.attempt;
      xs.forEach((x, i) => {
        const raw = (kind === "smooth" ? part.smooth : part.values)?.[i] ?? NaN;
        const value = curveNumber(raw);
        const fits = Number.isFinite(value) && !(isLog && value <= 0);
        points.push({ x, value: fits ? value : null });
        if (fits || kind !== "raw") return;
        if (Number.isFinite(value)) leftOut += 1;
        else odd.push({ x, text: String(raw) });
      });
    }
    if (points.length === 0 && kind !== "raw") return;
    lines.push({ series: number, kind });
    all.push(points);
  };
  series.forEach((one, i) => {
    add(i, "raw", one.parts);
    if (one.parts.some((part) => part.smooth)) add(i, "smooth", one.parts);
    add(i, "lost", one.lost);
  });
  const xs = [...new Set(all.flatMap((points) => points.map((point) => point.x)))].sort((a, b) => a - b);
  const place = new Map(xs.map((x, i) => [x, i]));
  const columns = all.map((points) => {
    const column = new Array<number | null | undefined>(xs.length).fill(undefined);
    for (const { x, value } of points) column[place.get(x) ?? 0] = value;
    return column;
  });
  return { xs, base, lines, columns, odd, restarts: [...restarts].map(([x, attempt]) => ({ x, attempt })), leftOut };
}

// Which curves share a plot: a loss and its validation; every other one has its own.
export function grouped(series: Series[]): Series[][] {
  const losses = series.filter((one) => one.metric === "loss" || one.metric === "validation_loss");
  const others = series.filter((one) => !losses.includes(one)).map((one) => [one]);
  return losses.length > 0 ? [losses, ...others] : others;
}

// The step that is nearest to a place on the axis.
export function stepAt(series: Series[], axis: Axis, x: number, base = 0): number {
  if (axis === "step") return Math.round(x);
  let best = { step: 0, distance: Infinity };
  for (const part of series.flatMap((one) => one.parts)) {
    placesOf(part, axis, base).forEach((at, i) => {
      const distance = Math.abs(at - x);
      if (distance < best.distance) best = { step: part.steps[i] ?? 0, distance };
    });
  }
  return best.step;
}

// The part of an axis that two fingers leave in sight: what they took hold of stays under them.
export function pinched(held: [number, number], at: [number, number], width: number): [number, number] {
  const scale = (held[1] - held[0]) / Math.max(1, at[1] - at[0]);
  const from = held[0] - at[0] * scale;
  return [from, from + width * scale];
}

// Comma-separated, a line a point; numbers as the coordinator gave them.
export function csvOf(series: Series[]): string {
  const lines = ["metric,attempt,step,time,value"];
  for (const one of series) {
    for (const part of one.parts) {
      part.steps.forEach((step, i) =>
        lines.push([`"${one.metric.replace(/"/g, '""')}"`, part.attempt, step, new Date(part.times[i] ?? 0).toISOString(), part.values[i]].join(",")));
    }
  }
  return lines.join("\n") + "\n";
}
