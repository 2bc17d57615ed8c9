// A job's life as rows of bars and as a list of sentences, which say the same.
import { count, plural } from "../lib/format";
import type { Attempt, Checkpoint, Timeline } from "../lib/resources";
import { instant } from "../lib/time";

export type MarkKind = "checkpoint" | "restart" | "paused" | "ended" | "state";
export interface Mark { at: number; kind: MarkKind; worker: string; text: string }
export interface Bar { from: number; to: number; attempt: number; open: boolean; charged: bigint }
export interface Row { worker: string; bars: Bar[] }
export interface Redone { from: number; to: number; attempt: number }
export interface Life { from: number; to: number; rows: Row[]; marks: Mark[]; redone: Redone[] }

// When the work began that an ended attempt's successor has to do again; undefined when the
// checkpoint that it went on from is no longer kept.
function redoneFrom(attempt: Attempt, checkpoints: Checkpoint[], begins: Map<number, number>): number | undefined {
  if (attempt.goesOnFromStep === "0") return begins.get(attempt.number);
  const kept = checkpoints.find((one) => one.step === attempt.goesOnFromStep && one.attempt <= attempt.number);
  return kept && instant(kept.createTime);
}

export function lifeOf(timeline: Timeline, attempts: Attempt[], checkpoints: Checkpoint[]): Life {
  const rows = new Map<string, Row>();
  const begins = new Map<number, number>();
  const bars = [...timeline.bars].sort((a, b) => (a.from < b.from ? -1 : 1));
  for (const bar of bars) {
    const row = rows.get(bar.worker) ?? { worker: bar.worker, bars: [] };
    rows.set(bar.worker, row);
    const from = instant(bar.from) ?? 0;
    row.bars.push({ from, to: instant(bar.to) ?? from, attempt: bar.attempt, open: bar.open, charged: BigInt(bar.charged) });
    begins.set(bar.attempt, Math.min(begins.get(bar.attempt) ?? Infinity, from));
  }
  const marks: Mark[] = timeline.steps.map((step) => ({
    at: instant(step.time) ?? 0,
    kind: step.state === "PAUSED" ? "paused" : "state",
    worker: "",
    text: step.state + (step.attempt > 1 ? `, attempt ${step.attempt}` : "") + (step.reason === "" || step.reason === step.state.toLowerCase() ? "" : `: ${step.reason}`),
  }));
  const redone: Redone[] = [];
  for (const attempt of attempts) {
    const at = instant(attempt.endTime) ?? 0;
    const lost = BigInt(attempt.step) - BigInt(attempt.goesOnFromStep);
    const again = lost > 0n ? `; ${plural(lost, "step")} lost since step ${count(attempt.goesOnFromStep)}` : "";
    marks.push({ at, kind: "ended", worker: attempt.worker, text: `attempt ${attempt.number} ended: ${attempt.reason}${again}` });
    const from = lost > 0n ? redoneFrom(attempt, checkpoints, begins) : undefined;
    if (from !== undefined && from < at) redone.push({ from, to: at, attempt: attempt.number });
  }
  for (const one of checkpoints) {
    marks.push({ at: instant(one.createTime) ?? 0, kind: "checkpoint", worker: "", text: `checkpoint at step ${count(one.step)}` });
  }
  marks.sort((a, b) => a.at - b.at);
  const times = [...marks.map((mark) => mark.at), ...[...rows.values()].flatMap((row) => row.bars.flatMap((bar) => [bar.from, bar.to]))];
  const from = times.length > 0 ? Math.min(...times) : 0;
  const to = times.length > 0 ? Math.max(...times) : 1;
  return { from, to: Math.max(to, from + 1000), rows: [...rows.values()], marks, redone };
}

// Where times stand on an axis, as parts of it, and back. Folded, a long time in which nothing ran takes little of it.
export interface Scale { place: (ms: number) => number; time: (part: number) => number; idle: { from: number; to: number }[]; shown: number }
const kLong = 0.05; // of the whole
const kFold = 0.04; // of what is left

export function scaleOf(life: Life, folded: boolean): Scale {
  const idle: Scale["idle"] = [];
  let end = life.from;
  const bars = life.rows.flatMap((row) => row.bars).sort((a, b) => a.from - b.from);
  for (const bar of [...bars, { from: life.to, to: life.to }]) {
    if (folded && bar.from - end > (life.to - life.from) * kLong) idle.push({ from: end, to: bar.from });
    end = Math.max(end, bar.to);
  }
  const shown = life.to - life.from - idle.reduce((sum, one) => sum + one.to - one.from, 0);
  const all = shown * (1 + kFold * idle.length);
  const times = [life.from];
  const parts = [0];
  const add = (to: number, size: number): void => {
    times.push(to);
    parts.push((parts.at(-1) ?? 0) + size / all);
  };
  for (const one of idle) {
    add(one.from, one.from - (times.at(-1) ?? 0));
    add(one.to, shown * kFold);
  }
  add(life.to, life.to - (times.at(-1) ?? 0));
  return { place: (ms) => along(times, parts, ms), time: (part) => along(parts, times, part), idle, shown };
}

// The value beside `at` on the line through the points.
function along(from: number[], to: number[], at: number): number {
  const found = from.findIndex((one, i) => i > 0 && at <= one);
  const i = found < 0 ? from.length - 1 : found;
  const [a = 0, b = 0, c = 0, d = 0] = [from[i - 1], from[i], to[i - 1], to[i]];
  return a === b ? c : c + (at - a) / (b - a) * (d - c);
}

// Round places on an axis of time, at most `most`.
export function ticks(from: number, to: number, most: number): number[] {
  const seconds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400];
  const span = (to - from) / 1000;
  const step = (seconds.find((one) => span / one <= most) ?? Math.ceil(span / most / 86_400) * 86_400) * 1000;
  const out: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) out.push(at);
  return out;
}
