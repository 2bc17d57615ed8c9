// What changes, told by the coordinator while this tab is looked at: one stream for all that is on the
// page, read by fetch so that it carries the session's secret. Without it everything is asked again.
import { signal } from "./signal";
import { address } from "./api";
import { heard, notHeard } from "./contact";
import { sessionSecret } from "./session";
import { noteServerTime } from "./time";

export interface Change { kind: "job" | "worker"; resource: { name: string } }
export interface Listener {
  topic: string;
  // The number that what is shown is as of; undefined: nothing is shown yet; null: it was refused, and is not followed.
  asOf: () => string | null | undefined;
  change: (changes: Change[]) => void; // the newest of each resource, once a frame
  missed: () => void; // ask again
}

// Whether changes come: what has a listener need not be asked again and again.
export const following = signal(false);

const kHiddenMs = 5_000; // a tab in the background follows no longer
const kSilenceMs = 30_000; // three heartbeats
const kRetryMs = 4_000;
const kSettleMs = 100; // a page puts its questions together

const listeners = new Set<Listener>();
let stream: AbortController | undefined;
let topics = "";
let after: string | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;
let hiding: ReturnType<typeof setTimeout> | undefined;
let waiting = new Map<string, Change>();
let frame = 0;

export function listen(listener: Listener): () => void {
  listeners.add(listener);
  settle(kSettleMs);
  return () => {
    listeners.delete(listener);
    settle(kSettleMs);
  };
}

// The first answer of a question has come: it can be followed from there, or was refused.
export function answered(): void {
  settle(kSettleMs);
}

function settle(ms: number): void {
  clearTimeout(timer);
  timer = setTimeout(open, ms);
}

function close(): void {
  stream?.abort();
  stream = undefined;
  following.value = false;
}

// The oldest of what is shown; undefined while something was never answered.
function shownAsOf(): string | undefined {
  let oldest: bigint | undefined;
  for (const listener of listeners) {
    const number = listener.asOf();
    if (number === undefined) return undefined;
    if (number === null) continue;
    if (oldest === undefined || BigInt(number) < oldest) oldest = BigInt(number);
  }
  return oldest?.toString();
}

function open(): void {
  const wanted = [...new Set([...listeners].filter((one) => one.asOf() !== null).map((one) => one.topic))].sort().join(",");
  if (stream !== undefined && wanted === topics) return;
  close();
  topics = wanted;
  after = shownAsOf();
  if (wanted === "" || after === undefined || document.hidden || sessionSecret() === null) return;
  void follow();
}

async function follow(): Promise<void> {
  const mine = new AbortController();
  stream = mine;
  let silence: ReturnType<typeof setTimeout> | undefined;
  const listening = (): void => {
    clearTimeout(silence);
    silence = setTimeout(() => { notHeard(); mine.abort(); }, kSilenceMs);
  };
  let refused = false;
  try {
    listening();
    const answer = await fetch(address("/api/v1/events", { topics, after }), {
      headers: { "Overwinter-Session": sessionSecret() ?? "" },
      cache: "no-store",
      credentials: "same-origin",
      signal: mine.signal,
    });
    refused = answer.status >= 400 && answer.status < 500 && answer.status !== 429;
    if (!answer.ok || answer.body === null) throw new Error(String(answer.status));
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ;) {
      const { done, value } = await reader.read();
      if (done) break;
      heard();
      listening();
      const parts = (rest + value).split("\n\n");
      rest = parts.pop() ?? "";
      for (const part of parts) take(part);
    }
  } catch {
    // Ended by us, refused, or no contact: what follows is the same.
  }
  clearTimeout(silence);
  if (stream !== mine) return; // another one was opened meanwhile
  close();
  // What was refused is refused again: the questions themselves are asked as before.
  if (!refused && !document.hidden) {
    topics = "";
    timer = setTimeout(open, kRetryMs);
  }
}

function take(text: string): void {
  const fields: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
  }
  if (fields["id"] !== undefined) after = fields["id"];
  const data = fields["data"] ?? "{}";
  switch (fields["event"]) {
    case "hello":
      following.value = true;
      break;
    case "reset":
      for (const listener of listeners) listener.missed();
      break;
    case "heartbeat":
      noteServerTime((JSON.parse(data) as { now: string }).now);
      break;
    case "job":
    case "worker": {
      const resource = JSON.parse(data) as { name: string };
      waiting.set(resource.name, { kind: fields["event"], resource });
      if (frame === 0) frame = requestAnimationFrame(flush);
      break;
    }
    default:
  }
}

// The newest of each resource, all at once, once a frame.
function flush(): void {
  frame = 0;
  const changes = [...waiting.values()];
  waiting = new Map();
  for (const listener of listeners) listener.change(changes);
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(() => { close(); topics = ""; }, kHiddenMs);
  else if (stream === undefined) settle(0);
});
