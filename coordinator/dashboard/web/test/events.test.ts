// The stream of events against a server of the test's: what is asked, what is told, what ends it.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { answered, following, listen, type Change } from "../src/lib/events";
import { followWorkers, placesIn } from "../src/lib/live";
import type { WorkerList } from "../src/lib/resources";
import { forgetSession } from "../src/lib/session";

let asked: string[];
let pipes: ReadableStreamDefaultController<Uint8Array>[];
let told: Change[];
let missed: number;
let asOf: string | undefined;
let leave: (() => void)[];

const until = (what: () => boolean): Promise<void> => vi.waitFor(() => { if (!what()) throw new Error("not yet"); }, { timeout: 5000 });
const send = (text: string): void => pipes.at(-1)?.enqueue(new TextEncoder().encode(text));
function follow(topic: string): () => void {
  const done = listen({ topic, asOf: () => asOf, change: (changes) => told.push(...changes), missed: () => { missed += 1; } });
  leave.push(done);
  return done;
}
const job = (state: string): string => `id: 8\nevent: job\ndata: {"name":"projects/p/jobs/j","state":"${state}"}\n\n`;

beforeEach(() => {
  asked = [];
  pipes = [];
  told = [];
  missed = 0;
  asOf = "7";
  leave = [];
  forgetSession();
  sessionStorage.setItem("overwinter.session", "secret");
  vi.stubGlobal("fetch", (path: string, init: RequestInit) => {
    asked.push(path);
    const body = new ReadableStream<Uint8Array>({
      start: (pipe) => {
        pipes.push(pipe);
        init.signal?.addEventListener("abort", () => pipe.error(new DOMException("", "AbortError")));
      },
    });
    return Promise.resolve(new Response(body, { status: 200 }));
  });
});
afterEach(async () => {
  for (const done of leave) done();
  await until(() => !following.value);
  vi.unstubAllGlobals();
});

describe("events", () => {
  it("are asked for from where the answers are, once for all topics", async () => {
    asOf = undefined;
    follow("workers");
    follow("jobs");
    follow("jobs");
    await new Promise((done) => setTimeout(done, 150));
    expect(asked).toEqual([]);
    asOf = "7";
    answered();
    await until(() => asked.length === 1);
    expect(asked[0]).toBe("/api/v1/events?topics=jobs%2Cworkers&after=7");
  });

  it("are followed though one question was refused, and for that one once it is answered", async () => {
    let refused: string | null = null;
    leave.push(listen({ topic: "workers", asOf: () => refused, change: () => {}, missed: () => {} }));
    follow("jobs");
    await until(() => asked.length === 1);
    expect(asked[0]).toContain("topics=jobs&after=7");
    refused = "9";
    answered();
    await until(() => asked.length === 2);
    expect(asked[1]).toContain("topics=jobs%2Cworkers&after=7");
  });

  it("come as the newest of each resource, once a frame", async () => {
    follow("projects/p/jobs/j");
    await until(() => pipes.length === 1);
    send("id: 7\nevent: hello\ndata: {}\n\n");
    await until(() => following.value);
    send(job("RUNNING") + job("PAUSED").slice(0, 30));
    send(job("PAUSED").slice(30));
    await until(() => told.length > 0);
    expect(told.at(-1)?.resource).toEqual({ name: "projects/p/jobs/j", state: "PAUSED" });
    expect(told.length).toBeLessThanOrEqual(2);
  });

  it("are new rows of a list where they stand, all of a frame at once; unknown ones ask for the list", () => {
    const list = { workers: ["workers/a", "workers/b", "workers/c"].map((name) => ({ name, state: "READY" })) } as unknown as WorkerList;
    const lost = (name: string): Change => ({ kind: "worker", resource: { name, state: "LOST" } as { name: string } });
    const { data, again } = followWorkers.take(list, [lost("workers/c"), lost("workers/a")]);
    expect(data.workers.map(({ name, state }) => name + state)).toEqual(["workers/aLOST", "workers/bREADY", "workers/cLOST"]);
    expect(again).toBe(false);
    expect(data.workers[1]).toBe(list.workers[1]);
    expect(list.workers[0]?.state).toBe("READY");
    expect(placesIn(data.workers)).toBe(placesIn(list.workers));
    expect(followWorkers.take(data, [lost("workers/d"), lost("workers/b")])).toEqual({ data: { workers: [lost("workers/a"), lost("workers/b"), lost("workers/c")].map((one) => one.resource) }, again: true });
    const other = followWorkers.take(data, [{ kind: "job", resource: { name: "workers/a" } }]);
    expect(other.data).toBe(data);
    expect(other.again).toBe(false);
  });

  it("that were missed are asked for", async () => {
    follow("jobs");
    await until(() => pipes.length === 1);
    send("event: hello\ndata: {}\n\nid: 90\nevent: reset\ndata: {}\n\n");
    await until(() => missed === 1);
  });

  it("are followed no longer once nobody looks, and anew with other topics", async () => {
    const done = follow("jobs");
    await until(() => pipes.length === 1);
    send("event: hello\ndata: {}\n\n");
    await until(() => following.value);
    follow("workers");
    await until(() => asked.length === 2);
    expect(asked[1]).toContain("topics=jobs%2Cworkers");
    done();
    await until(() => asked.length === 3);
    expect(asked[2]).toContain("topics=workers&");
  });
});
