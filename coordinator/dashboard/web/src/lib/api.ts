// The coordinator's answers. Every call carries the session's secret; a failure is a sentence.
import { forgetSession, sessionSecret, type Refusal } from "./session";

export class ApiError extends Error {
  constructor(
    readonly status: number, // 0: no contact
    readonly code: string,
    message: string,
    readonly field = "",
    readonly hint = "",
  ) {
    super(message);
  }
}

export type Query = Record<string, string | number | undefined>;

export function address(path: string, query: Query = {}): string {
  const text = Object.entries(query)
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`)
    .join("&");
  return text === "" ? path : `${path}?${text}`;
}

function refusalOf(status: number, body: string): ApiError {
  try {
    const refusal = JSON.parse(body) as Partial<Refusal>;
    if (typeof refusal.message === "string") {
      return new ApiError(status, refusal.code ?? "", refusal.message, refusal.field, refusal.hint);
    }
  } catch {
    // No JSON: something between us and the coordinator answered.
  }
  return new ApiError(status, "", `the server answered with status ${status}`);
}

// A cut line refuses nothing: what is not answered by then was not heard.
const kTimeoutMs = 12_000;

// Throws ApiError; a lost session is forgotten.
async function call(path: string, init: RequestInit, timeoutMs = kTimeoutMs): Promise<{ answer: Response; body: string }> {
  let answer: Response;
  let body: string;
  try {
    answer = await fetch("/api/v1/" + path, {
      ...init,
      headers: { ...init.headers, "Overwinter-Session": sessionSecret() ?? "" },
      cache: "no-store",
      credentials: "same-origin",
      signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(init.signal ? [init.signal] : [])]),
    });
    body = await answer.text();
  } catch (problem) {
    if (problem instanceof DOMException && problem.name === "AbortError") throw problem;
    throw new ApiError(0, "UNAVAILABLE", "the coordinator does not answer");
  }
  if (!answer.ok) {
    if (answer.status === 401) forgetSession();
    throw refusalOf(answer.status, body);
  }
  return { answer, body };
}

// What was answered, and the number of the event that it is as of.
export interface Answer<T> { data: T; asOf: string | undefined }
interface Asked { target: string; signal: AbortSignal | undefined; done: (answer: Answer<unknown>) => void; failed: (problem: unknown) => void }
interface Batch { answers: { status: number; event?: string; body: unknown }[] }

const kTogether = 8; // as many as the coordinator takes at once
let asked: Asked[] = [];

async function askAlone({ target, signal, done, failed }: Asked): Promise<void> {
  try {
    const { answer, body } = await call(target, signal ? { signal } : {});
    done({ data: JSON.parse(body), asOf: answer.headers.get("Overwinter-Event") ?? undefined });
  } catch (problem) {
    failed(problem);
  }
}

async function askTogether(asks: Asked[]): Promise<void> {
  const abort = new AbortController();
  let left = asks.length;
  for (const { signal } of asks) signal?.addEventListener("abort", () => { if (--left === 0) abort.abort(); });
  try {
    const { body } = await call("batch?" + asks.map(({ target }) => "get=" + encodeURIComponent(target)).join("&"), { signal: abort.signal });
    (JSON.parse(body) as Batch).answers.forEach((answer, i) => {
      if (answer.status === 200) asks[i]?.done({ data: answer.body, asOf: answer.event });
      else asks[i]?.failed(refusalOf(answer.status, JSON.stringify(answer.body)));
    });
  } catch (problem) {
    for (const { failed } of asks) failed(problem);
  }
}

function send(): void {
  const all = asked.filter(({ signal }) => !signal?.aborted);
  asked = [];
  while (all.length > 0) {
    const [first, ...more] = all.splice(0, kTogether);
    if (first) void (more.length === 0 ? askAlone(first) : askTogether([first, ...more]));
  }
}

// GET below /api/v1. What is asked in one moment goes as one request: a page's first look waits for one answer.
export function answerOf<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<Answer<T>> {
  return new Promise<Answer<unknown>>((done, failed) => {
    if (asked.length === 0) queueMicrotask(send);
    asked.push({ target: address(path, query), signal, done, failed });
    signal?.addEventListener("abort", () => failed(signal.reason), { once: true });
  }) as Promise<Answer<T>>;
}

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return (await answerOf<T>(path, query, signal)).data;
}

// POST below /api/v1.
export async function post<T>(path: string, request: unknown, timeoutMs?: number): Promise<T> {
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(request) };
  return JSON.parse((await call(path, init, timeoutMs)).body) as T;
}

export const isAbort = (problem: unknown): boolean =>
  problem instanceof DOMException && problem.name === "AbortError";

export function asApiError(problem: unknown): ApiError {
  return problem instanceof ApiError ? problem : new ApiError(0, "INTERNAL", String(problem));
}
