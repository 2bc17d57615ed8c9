// The states of jobs and workers: word, glyph and tone. A state that we do not know is shown as it is.
export type Tone = "queued" | "starting" | "running" | "paused" | "succeeded" | "failed" | "cancelled";
export type GlyphName = "quarter" | "half" | "triangle" | "bars" | "tick" | "cross" | "barred";

export interface Look { word: string; tone: Tone; glyph: GlyphName }

const kGlyphs: Record<Tone, GlyphName> = {
  queued: "quarter", starting: "half", running: "triangle", paused: "bars", succeeded: "tick",
  failed: "cross", cancelled: "barred",
};

const kJobs: Record<string, Tone> = {
  QUEUED: "queued", STARTING: "starting", RUNNING: "running", STOPPING: "starting", PAUSED: "paused",
  SUCCEEDED: "succeeded", FAILED: "failed", CANCELLED: "cancelled",
};
const kWorkers: Record<string, Tone> = {
  JOINED: "queued", READY: "succeeded", DRAINING: "paused", LOST: "failed", REMOVED: "cancelled",
};

export function jobLook(state: string): Look {
  const tone = kJobs[state] ?? "queued";
  return { word: state, tone, glyph: kGlyphs[tone] };
}

// A ready worker with a seat is BUSY; one that has never connected is JOINING.
export function workerLook(state: string, seats: number): Look {
  if (state === "READY" && seats > 0) return { word: "BUSY", tone: "running", glyph: "triangle" };
  const tone = kWorkers[state] ?? "queued";
  return { word: state === "JOINED" ? "JOINING" : state, tone, glyph: kGlyphs[tone] };
}

export const isTerminal = (state: string): boolean =>
  state === "SUCCEEDED" || state === "FAILED" || state === "CANCELLED";
export const isActive = (state: string): boolean =>
  state === "STARTING" || state === "RUNNING" || state === "STOPPING";
