import { describe, expect, it } from "vitest";
import { billOf, forecast, progressText } from "../src/job/numbers";
import { changesOf, stateOf, whyOf, withState } from "../src/pages/jobs";
import { needing } from "../src/pages/overview";
import { fits } from "../src/pages/workers";
import { seenText } from "../src/lib/worker";
import { jobLook, workerLook } from "../src/lib/state";
import { lifeOf, ticks } from "../src/job/timeline_data";
import type { Attempt, Job, Timeline, Worker } from "../src/lib/resources";

export function aJob(more: Partial<Job> = {}): Job {
  return {
    name: "projects/demo/jobs/gpt-7k2f9", displayName: "gpt", state: "RUNNING", stateReason: "", labels: {}, attempt: 1, submitter: "ana",
    priority: "normal", seats: [], workerCount: 1, resumesByItself: false, attempts: [], memoryPeakBytes: "0",
    createTime: "2026-11-24T12:00:00Z", startTime: "2026-11-24T12:01:00Z",
    progress: { unitsDone: "0", unitsTotal: "0", fraction: 0.5, gflops: 0, step: "100", stepsTotal: "200", tokensPerSecond: 0, samplesPerSecond: 0, checkpointStep: "0", left: "60s" },
    cost: { charged: { amountMicros: "100000", currencyCode: "USD" }, reserved: { amountMicros: "20000", currencyCode: "USD" }, wasted: { amountMicros: "30000", currencyCode: "USD" } },
    ...more,
  };
}
const money = (amountMicros: string) => ({ amountMicros, currencyCode: "USD" });
const now = Date.parse("2026-11-24T12:30:00Z");

describe("states", () => {
  it("have a word and a shape, unknown ones too", () => {
    expect(jobLook("FAILED")).toEqual({ word: "FAILED", tone: "failed", glyph: "cross" });
    expect(jobLook("HIBERNATING").word).toBe("HIBERNATING");
    expect(workerLook("READY", 2).word).toBe("BUSY");
    expect(workerLook("READY", 0)).toMatchObject({ word: "READY", glyph: "tick" });
    expect(workerLook("JOINED", 0).word).toBe("JOINING");
  });
  it("are chosen by writing the filter", () => {
    expect(withState("", "RUNNING")).toBe("state=RUNNING");
    expect(withState("labels.team=nlp", "FAILED")).toBe("state=FAILED AND labels.team=nlp");
    expect(withState("NOT state=SUCCEEDED AND labels.team=nlp", "QUEUED")).toBe("state=QUEUED AND labels.team=nlp");
    expect(withState("state=RUNNING AND name=a*", "")).toBe("name=a*");
    expect(stateOf("labels.a=b AND state=PAUSED")).toBe("PAUSED");
    expect(stateOf("NOT state=PAUSED")).toBe("");
  });
});

describe("a job in words", () => {
  it("says how far it is, or why not", () => {
    expect(whyOf(aJob())).toBe("50 % · step 100/200");
    expect(whyOf(aJob({ state: "QUEUED", stateReason: "needs 2 × 26 GiB" }))).toBe("needs 2 × 26 GiB");
    expect(progressText(aJob())).toBe("step 100 of 200");
  });
  it("has a bill whose parts sum to it", () => {
    const bill = billOf(aJob());
    expect(bill.useful + bill.wasted).toBe(bill.charged);
    expect(bill.useful).toBe(70_000n);
    const odd = billOf(aJob({ cost: { charged: money("10"), wasted: money("11") } }));
    expect(odd.useful).toBe(0n);
    expect(odd.useful + odd.wasted).toBe(odd.charged);
  });
  it("says which comes first, the end or the cap", () => {
    expect(forecast(aJob(), now)).toContain("there is no cap");
    expect(forecast(aJob({ cost: { charged: money("100000"), cap: money("500000") } }), now)).toContain("under the cap. Expected total 0.2000");
    const short = forecast(aJob({ cost: { charged: money("100000"), cap: money("150000") } }), now) ?? "";
    expect(short).toContain("the cap pauses it");
    expect(short).toContain("in 30 s");
    expect(short).toContain("0.0500 more than the cap");
    expect(forecast(aJob({ state: "PAUSED" }), now)).toBeUndefined();
  });
});

describe("lists", () => {
  it("count what came and what moved, and move nothing", () => {
    expect(changesOf(["c", "b", "a"], ["c", "b", "a"])).toEqual({ added: 0, moved: 0 });
    expect(changesOf(["c", "b", "a"], ["d", "c", "b"])).toEqual({ added: 1, moved: 0 });
    expect(changesOf(["c", "b", "a"], ["b", "c", "a"])).toEqual({ added: 0, moved: 2 });
  });
  it("show who needs somebody", () => {
    const paused = aJob({ name: "p", state: "PAUSED" });
    const waits = aJob({ name: "q", state: "PAUSED", resumesByItself: true });
    const failed = aJob({ name: "f", state: "FAILED", endTime: "2026-11-24T10:00:00Z" });
    const longAgo = aJob({ name: "g", state: "FAILED", endTime: "2026-11-20T10:00:00Z" });
    expect(needing([paused, waits, aJob()], [failed, longAgo], now).map((job) => job.name)).toEqual(["p", "f"]);
  });
  it("find workers by words", () => {
    const worker = { name: "workers/w-01", state: "LOST", hostName: "box", labels: { rack: "a" }, devices: [{ kind: "gpu", model: "H100" }], silent: "240s" } as unknown as Worker;
    expect(fits(worker, "w-01 h100 rack=a")).toBe(true);
    expect(fits(worker, "w-02")).toBe(false);
    expect(seenText(worker)).toBe("4 min");
  });
});

describe("a timeline", () => {
  const bar = (worker: string, attempt: number, from: string, to: string, open = false) =>
    ({ worker, attempt, seat: attempt, from: `2026-11-24T12:${from}Z`, to: `2026-11-24T12:${to}Z`, open, charged: "5" });
  const timeline: Timeline = {
    asOf: "2026-11-24T12:20:00Z", complete: true,
    steps: [{ time: "2026-11-24T12:00:00Z", state: "QUEUED", attempt: 1, reason: "" }],
    bars: [bar("w-02", 1, "01:00", "10:00"), bar("w-01", 1, "01:30", "10:00"), bar("w-01", 2, "11:00", "20:00", true)],
  };
  const attempt: Attempt = { number: 1, reason: "w-02 was lost", worker: "w-02", exitCode: 0, signal: 0, step: "180", goesOnFromStep: "100", endTime: "2026-11-24T12:10:00Z" };
  const checkpoint = { name: "c", attempt: 1, step: "100", worldSize: 2, createTime: "2026-11-24T12:06:00Z", sizeBytes: "1", damage: "" };

  it("has a row a worker by first use, and marks with a sentence", () => {
    const life = lifeOf(timeline, [attempt], [checkpoint]);
    expect(life.rows.map((row) => [row.worker, row.bars.length])).toEqual([["w-02", 1], ["w-01", 2]]);
    expect(life.marks.map((mark) => mark.kind)).toEqual(["state", "checkpoint", "ended"]);
    expect(life.marks[2]?.text).toBe("attempt 1 ended: w-02 was lost; 80 steps lost since step 100");
  });
  it("hatches what is done again, where the checkpoint is known", () => {
    expect(lifeOf(timeline, [attempt], [checkpoint]).redone).toEqual([
      { from: Date.parse("2026-11-24T12:06:00Z"), to: Date.parse("2026-11-24T12:10:00Z"), attempt: 1 }]);
    expect(lifeOf(timeline, [attempt], []).redone).toEqual([]);
    expect(lifeOf(timeline, [{ ...attempt, goesOnFromStep: "0" }], []).redone[0]?.from).toBe(Date.parse("2026-11-24T12:01:00Z"));
  });
  it("has round places on its axis", () => {
    expect(ticks(0, 60_000, 6)).toEqual([0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000]);
    expect(ticks(500, 3_600_500, 5).every((at) => at % 900_000 === 0)).toBe(true);
    expect(ticks(0, 400 * 86_400_000, 5).length).toBeLessThanOrEqual(6);
  });
});
