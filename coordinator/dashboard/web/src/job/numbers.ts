// What a job's numbers say in words.
import { amount, count, curveNumber, digits, duration, durationMs, micros } from "../lib/format";
import type { Job } from "../lib/resources";
import { isActive } from "../lib/state";
import { instant, moment } from "../lib/time";

export function lossText(value: number | string | undefined): string | undefined {
  return value === undefined ? undefined : digits(curveNumber(value), 4);
}

// "7,210 tokens/s"
export function speedText(job: Job): string | undefined {
  const progress = job.progress;
  if (!progress) return undefined;
  if (progress.tokensPerSecond > 0) return `${digits(progress.tokensPerSecond, 4)} tokens/s`;
  if (progress.samplesPerSecond > 0) return `${digits(progress.samplesPerSecond, 4)} samples/s`;
  if (progress.gflops > 0) return `${digits(progress.gflops, 3)} GFLOP/s`;
  return undefined;
}

const kTooEarly = 0.02; // below it the rest cannot be told from so little

export function endText(job: Job, now: number): string | undefined {
  const left = durationMs(job.progress?.left);
  if (left === undefined || job.state !== "RUNNING" || (job.progress?.fraction ?? 0) < kTooEarly) return undefined;
  return `ends about ${moment(now + left, now)}`;
}

// "no progress for 4 min": it is silent three times as long as usual, and a minute at least.
const kSilentMs = 60_000;
export function silenceText(job: Job, now: number): string | undefined {
  const last = instant(job.progress?.updateTime);
  const usual = durationMs(job.progress?.updateInterval);
  if (job.state !== "RUNNING" || last === undefined || usual === undefined) return undefined;
  const silent = now - last;
  return silent > Math.max(3 * usual, kSilentMs) ? `no progress for ${duration(silent - silent % kSilentMs)}` : undefined;
}

export interface Bill { useful: bigint; wasted: bigint; waiting: bigint; charged: bigint; reserved: bigint; cap: bigint | undefined }

// The parts of a bill: what was done again and what waited for a gang are parts of what was charged, so that all sum to it.
export function billOf(job: Job): Bill {
  const charged = micros(job.cost?.charged);
  const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
  const wasted = least(micros(job.cost?.wasted), charged);
  const waiting = least(micros(job.cost?.gangWait), charged - wasted);
  return {
    useful: charged - wasted - waiting,
    wasted,
    waiting,
    charged,
    reserved: micros(job.cost?.reserved),
    cap: job.cost?.cap ? micros(job.cost.cap) : undefined,
  };
}

// Which comes first, the end or the cap, by the money that went into the part that is done.
export function forecast(job: Job, now: number): string | undefined {
  const fraction = job.progress?.fraction ?? 0;
  const left = durationMs(job.progress?.left);
  const bill = billOf(job);
  if (job.state !== "RUNNING" || fraction < kTooEarly || left === undefined || bill.charged === 0n) return undefined;
  const total = BigInt(Math.round(Number(bill.charged) / fraction));
  const more = total - bill.charged;
  const words = `Expected total ${amount(total, 4)}`;
  if (bill.cap === undefined) return `At this rate it ends about ${moment(now + left, now)}. ${words}; there is no cap.`;
  if (total <= bill.cap) return `At this rate it ends about ${moment(now + left, now)}, under the cap. ${words}.`;
  const share = Number(bill.cap - bill.charged) / Number(more);
  return `At this rate the cap pauses it about ${moment(now + left * Math.max(0, share), now)}, in ${duration(left * Math.max(0, share))}. ` +
    `${words}: ${amount(total - bill.cap, 4)} more than the cap.`;
}

// Not a number while nobody knows how long the work is: a program of the user's own.
export function fractionOf(job: Job): number {
  const progress = job.progress;
  if (!progress) return NaN;
  const isKnown = progress.stepsTotal !== "0" || BigInt(progress.unitsTotal) > 1n;
  return isKnown || progress.fraction > 0 ? progress.fraction : NaN;
}

export function progressText(job: Job): string {
  const progress = job.progress;
  if (!progress) return "";
  if (progress.stepsTotal !== "0") return `step ${count(progress.step)} of ${count(progress.stepsTotal)}`;
  if (BigInt(progress.unitsTotal) > 1n) return `${count(progress.unitsDone)} of ${count(progress.unitsTotal)} units`;
  return progress.step !== "0" ? `step ${count(progress.step)}` : "";
}

// The longest silence that is normal: without an answer from its workers a job is not known to run.
export function runningFor(job: Job, now: number): string | undefined {
  const started = instant(job.startTime);
  if (started === undefined || !isActive(job.state)) return undefined;
  return duration(now - started);
}
