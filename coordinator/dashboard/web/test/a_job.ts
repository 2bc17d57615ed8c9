// A job that runs, for tests.
import type { Job } from "../src/lib/resources";

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
