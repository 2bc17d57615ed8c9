// Questions and their answers: what is asked in one moment is one request.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { answerOf, ApiError, isAbort } from "../src/lib/api";

let asked: string[];
let aborted: number;
let status: number;

beforeEach(() => {
  asked = [];
  aborted = 0;
  status = 200;
  vi.stubGlobal("fetch", (path: string, init: RequestInit) => new Promise((done, failed) => {
    asked.push(path);
    init.signal?.addEventListener("abort", () => { aborted += 1; failed(new DOMException("", "AbortError")); });
    const { pathname, searchParams } = new URL(path, "https://localhost");
    const one = (target: string) => target.startsWith("not/")
      ? { status: 403, body: { code: "PERMISSION_DENIED", message: "not for you", field: "", hint: "" } }
      : { status: 200, event: "7", body: { of: target } };
    const body = status !== 200 ? { code: "UNAVAILABLE", message: "stopping", field: "", hint: "" }
      : pathname.endsWith("/batch") ? { answers: searchParams.getAll("get").map(one) } : { of: pathname };
    setTimeout(() => done(new Response(JSON.stringify(body), { status, headers: { "Overwinter-Event": "5" } })));
  }));
});
afterEach(() => vi.unstubAllGlobals());

describe("reads", () => {
  it("go alone when nothing else is asked", async () => {
    expect(await answerOf("session")).toEqual({ data: { of: "/api/v1/session" }, asOf: "5" });
    expect(asked).toEqual(["/api/v1/session"]);
  });

  it("of one moment go together, each with its own answer", async () => {
    const [a, b] = await Promise.all([answerOf("projects/p/jobs/j"), answerOf("projects/p/jobs/j/logs", { lines: 12, q: "a&b" })]);
    expect(asked).toEqual(["/api/v1/batch?get=projects%2Fp%2Fjobs%2Fj&get=projects%2Fp%2Fjobs%2Fj%2Flogs%3Flines%3D12%26q%3Da%2526b"]);
    expect(a).toEqual({ data: { of: "projects/p/jobs/j" }, asOf: "7" });
    expect(b.data).toEqual({ of: "projects/p/jobs/j/logs?lines=12&q=a%26b" });
  });

  it("are refused one by one", async () => {
    const [good, refused] = await Promise.allSettled([answerOf("a"), answerOf("not/b")]);
    expect(good.status).toBe("fulfilled");
    const reason = (refused as PromiseRejectedResult).reason as ApiError;
    expect([reason.status, reason.code, reason.message]).toEqual([403, "PERMISSION_DENIED", "not for you"]);
  });

  it("fail together when nobody answers", async () => {
    status = 503;
    const all = await Promise.allSettled([answerOf("a"), answerOf("b")]);
    expect(all.map((one) => ((one as PromiseRejectedResult).reason as ApiError).status)).toEqual([503, 503]);
  });

  it("that nobody waits for any more end, and the request with the last of them", async () => {
    const [one, other] = [new AbortController(), new AbortController()];
    const all = Promise.allSettled([answerOf("a", {}, one.signal), answerOf("b", {}, other.signal)]);
    await Promise.resolve();
    one.abort();
    expect(aborted).toBe(0);
    other.abort();
    expect((await all).every((ended) => isAbort((ended as PromiseRejectedResult).reason))).toBe(true);
    expect(aborted).toBe(1);
  });

  it("are at most eight to a request", async () => {
    await Promise.all(Array.from({ length: 9 }, (_, i) => answerOf("r" + i)));
    expect(asked.length).toBe(2);
    expect(new URL(asked[0] ?? "", "https://localhost").searchParams.getAll("get").length).toBe(8);
    expect(asked[1]).toBe("/api/v1/r8");
  });
});
