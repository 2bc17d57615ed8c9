import { describe, expect, it } from "vitest";
import { billOf, forecast, fractionOf, progressText, silenceText } from "../src/job/numbers";
import { changesOf, sinceOf, sizeText, stateOf, whyOf, withSince, withState } from "../src/pages/jobs";
import { needing, wasteText } from "../src/pages/overview";
import { fits, kSorts } from "../src/pages/workers";
import { seenText } from "../src/lib/worker";
import { jobLook, workerLook } from "../src/lib/state";
import { lifeOf, scaleOf, ticks } from "../src/job/timeline_data";
import type { Attempt, Job, JobList, Timeline, Worker } from "../src/lib/resources";
import { aJob } from "./a_job";

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
  it("and times are chosen in the same way", () => {
    const since = withSince("state=FAILED", "2026-11-24T12:00:00Z");
    expect(since).toBe('state=FAILED AND create_time>="2026-11-24T12:00:00Z"');
    expect(sinceOf(since)).toBe("2026-11-24T12:00:00Z");
    expect(withSince(since, "2026-11-23T12:00:00Z")).toBe('state=FAILED AND create_time>="2026-11-23T12:00:00Z"');
    expect(withSince(since, "")).toBe("state=FAILED");
    expect(sinceOf("state=FAILED")).toBe("");
    expect(sizeText({ totalSize: "412", totalSizeCapped: false } as JobList)).toBe("412");
    expect(sizeText({ totalSize: "10000", totalSizeCapped: true } as JobList)).toBe("10,000+");
  });
});

describe("a job in words", () => {
  it("says how far it is, or why not", () => {
    expect(whyOf(aJob(), now)).toBe("50 % · step 100/200");
    expect(whyOf(aJob({ state: "QUEUED", stateReason: "needs 2 × 26 GiB" }), now)).toBe("needs 2 × 26 GiB");
    expect(progressText(aJob())).toBe("step 100 of 200");
    const program = (fraction: number) => aJob({ progress: {
      unitsDone: "0", unitsTotal: "1", fraction, gflops: 0, step: "0", stepsTotal: "0", tokensPerSecond: 0, samplesPerSecond: 0, checkpointStep: "0",
    } });
    expect(progressText(program(0))).toBe("");
    expect(fractionOf(program(0))).toBeNaN();
    expect(fractionOf(program(1))).toBe(1);
  });
  it("has a bill whose parts sum to it", () => {
    const cost = { charged: money("9007199254740993"), wasted: money("9007199254740001"), gangWait: money("990") };
    const bill = billOf(aJob({ cost }));
    expect(bill).toMatchObject({ useful: 2n, wasted: 9007199254740001n, waiting: 990n });
    // What is told late never makes a part negative.
    for (const [wasted, wait] of [["10", "11"], ["11", "1"], ["4", "7"], ["3", "4"]] as const) {
      const { useful, wasted: again, waiting, charged } = billOf(aJob({ cost: { charged: money("10"), wasted: money(wasted), gangWait: money(wait) } }));
      expect(useful + again + waiting).toBe(charged);
      expect([useful, again, waiting].every((part) => part >= 0n)).toBe(true);
    }
  });
  it("says that it is silent once that is three times as long as usual, and a minute", () => {
    const silent = (seconds: number, updateInterval: string | undefined, state = "RUNNING"): string | undefined => {
      const job = aJob({ state });
      const updateTime = new Date(now - seconds * 1000).toISOString();
      return silenceText({ ...job, progress: { ...job.progress, updateTime, ...(updateInterval && { updateInterval }) } as NonNullable<Job["progress"]> }, now);
    };
    expect(silent(250, "2s")).toBe("no progress for 4 min");
    expect(silent(250, "83s")).toBe("no progress for 4 min");
    expect(silent(250, "84s")).toBeUndefined();
    expect(silent(59, "1s")).toBeUndefined();
    expect(silent(250, undefined)).toBeUndefined();
    expect(silent(250, "2s", "PAUSED")).toBeUndefined();
    expect(silenceText(aJob(), now)).toBeUndefined();
    const job = aJob();
    const stuck = { ...job, progress: { ...job.progress, updateTime: "2026-11-24T12:20:00Z", updateInterval: "1s" } as NonNullable<Job["progress"]> };
    expect(whyOf(stuck, now)).toBe("no progress for 10 min · 50 % · step 100/200");
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

describe("figures", () => {
  it("of waste are a dash where nothing was charged", () => {
    expect(wasteText(0.0312)).toBe("3.1 %");
    expect(wasteText(0)).toBe("0.0 %");
    expect(wasteText(undefined)).toBe("–");
  });
  it("order workers: who is busy, who was lost", () => {
    const worker = (name: string, state: string, busyFraction: number, losses: number) => ({ name, state, busyFraction, losses }) as Worker;
    const all = [worker("a", "READY", 0.1, 2), worker("b", "LOST", 1, 3), worker("c", "READY", 0.9, 2)];
    expect([...all].sort(kSorts["busy"]).map((one) => one.name)).toEqual(["c", "a", "b"]);
    expect([...all].sort(kSorts["losses"]).map((one) => one.name)).toEqual(["b", "a", "c"]);
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
  it("folds long times in which nothing ran, and finds its way back", () => {
    const night = { ...timeline, bars: [bar("w-01", 1, "00:00", "05:00"), bar("w-02", 1, "01:00", "06:00"), bar("w-01", 2, "50:00", "54:00")] };
    const life = lifeOf(night, [], []);
    const minute = (m: number): number => Date.parse("2026-11-24T12:00:00Z") + m * 60_000;
    expect(scaleOf(life, false).place(minute(27))).toBeCloseTo(0.5);
    const scale = scaleOf(life, true);
    expect(scale.idle).toEqual([{ from: minute(6), to: minute(50) }]);
    // Ten minutes ran; the fold takes 4 % of them.
    expect(scale.place(minute(6))).toBeCloseTo(6 / 10.4);
    expect(scale.place(minute(50))).toBeCloseTo(6.4 / 10.4);
    expect(scale.place(minute(54))).toBeCloseTo(1);
    for (const at of [0, 3, 20, 51, 54]) expect(scale.time(scale.place(minute(at)))).toBeCloseTo(minute(at), -2);
  });
  it("has round places on its axis", () => {
    expect(ticks(0, 60_000, 6)).toEqual([0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000]);
    expect(ticks(500, 3_600_500, 5).every((at) => at % 900_000 === 0)).toBe(true);
    expect(ticks(0, 400 * 86_400_000, 5).length).toBeLessThanOrEqual(6);
  });
});
