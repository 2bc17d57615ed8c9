// What can be done with a job: asked about before it is done.
import { render } from "preact";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Actions, microsOf, verbsOf } from "../src/job/actions";
import type { Job } from "../src/lib/resources";
import { session } from "../src/lib/session";

let root: HTMLElement;
let asked: { path: string; body: Record<string, unknown> }[];
let refuse: { status: number; message: string } | undefined;

const aJob = (more: Partial<Job> = {}): Job => ({
  name: "projects/demo/jobs/gpt", displayName: "gpt", state: "RUNNING", stateReason: "", labels: {}, attempt: 1, submitter: "", priority: "normal",
  seats: [], workerCount: 1, resumesByItself: false, attempts: [], memoryPeakBytes: "0",
  cost: { charged: { amountMicros: "500000", currencyCode: "EUR" }, cap: { amountMicros: "500000", currencyCode: "EUR" } }, ...more,
});
const until = (what: () => boolean): Promise<void> => vi.waitFor(() => { if (!what()) throw new Error("not yet"); }, { timeout: 5000 });
const button = (word: string): HTMLButtonElement => {
  const found = [...root.querySelectorAll("button")].find((one) => one.textContent === word);
  if (!found) throw new Error("no button " + word);
  return found;
};

beforeEach(() => {
  root = document.createElement("div");
  document.body.replaceChildren(root);
  asked = [];
  refuse = undefined;
  session.value = {
    name: "ana", role: "operator", project: "demo", now: "", cluster: "c", version: "v",
    may: { readJobs: true, readWorkers: true, actOnOwnJobs: true, actOnWorkers: true, readAllMoney: false, readAudit: false },
  };
  vi.stubGlobal("fetch", (path: string, init: RequestInit) => {
    asked.push({ path, body: JSON.parse(String(init.body)) as Record<string, unknown> });
    const body = refuse ? { code: "FAILED_PRECONDITION", message: refuse.message, field: "", hint: "" } : { effects: ["4 steps are lost."] };
    return Promise.resolve(new Response(JSON.stringify(body), { status: refuse?.status ?? 200 }));
  });
});
afterEach(() => {
  render(null, root);
  session.value = undefined;
  vi.unstubAllGlobals();
});

describe("actions", () => {
  it("say what would come of them, and act only then", async () => {
    render(<Actions job={aJob()} />, root);
    button("Cancel job…").click();
    await until(() => root.textContent?.includes("4 steps are lost.") ?? false);
    expect(asked).toEqual([{ path: "/api/v1/projects/demo/jobs/gpt:cancel", body: { validateOnly: true } }]);
    button("Cancel job").click();
    await until(() => asked.length === 2);
    expect(asked[1]?.body).toEqual({});
  });

  it("stay off while they would be refused", async () => {
    refuse = { status: 400, message: "the job has ended" };
    render(<Actions job={aJob()} />, root);
    button("Pause").click();
    await until(() => root.textContent?.includes("the job has ended") ?? false);
    expect(button("Pause job").disabled).toBe(true);
  });

  it("name the role that is missing", () => {
    if (session.value) session.value = { ...session.value, may: { ...session.value.may, actOnOwnJobs: false } };
    render(<Actions job={aJob()} />, root);
    expect(button("Pause").disabled).toBe(true);
    expect(root.textContent).toContain("needs the role");
  });

  it("are those that make sense", () => {
    expect(verbsOf(aJob())).toEqual(["pause", "update", "cancel"]);
    expect(verbsOf(aJob({ state: "PAUSED", cost: {} }))).toEqual(["resume", "cancel"]);
    expect(verbsOf(aJob({ state: "FAILED" }))).toEqual([]);
  });

  it("read amounts of money", () => {
    expect(microsOf("0.5")).toBe(500_000n);
    expect(microsOf(" 12,25 ")).toBe(12_250_000n);
    for (const text of ["", "0", "-1", "1e3", "0.1234567", "1.2.3", "x"]) expect(microsOf(text)).toBeUndefined();
  });
});
