// What several pages say of a worker.
import { duration, durationMs, kNone, percent } from "./format";
import type { Worker } from "./resources";

export const seatsOf = (worker: Worker): number => worker.uses.reduce((sum, use) => sum + use.seats, 0);

export function seenText(worker: Worker): string {
  const silent = durationMs(worker.silent);
  if (worker.state === "JOINED" || silent === undefined) return worker.state === "JOINED" ? "never" : kNone;
  return silent < 2000 ? "now" : duration(silent);
}

// Whether it does anything now.
export const isThere = (worker: Worker): boolean => worker.state === "READY" || worker.state === "DRAINING";
// The part of the last hour in which it had a seat.
export const busyText = (worker: Worker): string => isThere(worker) ? percent(worker.busyFraction) : kNone;
