// Getting in and out. The session's secret lives in this tab alone (sessionStorage): the cookie opens
// nothing without it. A new tab asks the others for it. No credential ever stands in an address.
import { signal } from "./signal";
import type { Session } from "./resources";

const kKey = "overwinter.session";
const kChannel = "overwinter.session";
const kAskMs = 250; // how long a new tab waits for its siblings

export const session = signal<Session | undefined>(undefined);
let secret: string | null = null;

export function sessionSecret(): string | null {
  secret ??= sessionStorage.getItem(kKey);
  return secret;
}

function keep(value: string): void {
  secret = value;
  sessionStorage.setItem(kKey, value);
}

export function forgetSession(): void {
  secret = null;
  session.value = undefined;
  sessionStorage.removeItem(kKey);
}

type Message = { kind: "ask" } | { kind: "tell"; secret: string } | { kind: "closed" };

// Answers other tabs of this origin, and asks them when this one has no secret yet.
export async function joinSiblings(closed: () => void): Promise<void> {
  if (typeof BroadcastChannel === "undefined") return;
  const channel = new BroadcastChannel(kChannel);
  let told: (() => void) | undefined;
  channel.onmessage = (event: MessageEvent<Message>) => {
    const message = event.data;
    const own = sessionSecret();
    if (message.kind === "ask" && own !== null) channel.postMessage({ kind: "tell", secret: own });
    if (message.kind === "tell" && own === null) {
      keep(message.secret);
      told?.();
    }
    if (message.kind === "closed") {
      forgetSession();
      closed();
    }
  };
  if (sessionSecret() !== null) return;
  await new Promise<void>((resolve) => {
    told = resolve;
    setTimeout(resolve, kAskMs);
    channel.postMessage({ kind: "ask" });
  });
}

export interface Refusal { code: string; message: string; field: string; hint: string }

async function post(path: string, body: unknown): Promise<Record<string, string>> {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Overwinter-Session": sessionSecret() ?? "" },
    body: JSON.stringify(body),
    cache: "no-store",
    credentials: "same-origin",
  });
  const json = (await answer.json()) as Record<string, string>;
  if (!answer.ok) throw json as unknown as Refusal;
  return json;
}

// With a token, or with a code that is good once.
export async function logIn(credential: { token: string } | { code: string }): Promise<void> {
  const opened = await post("/api/v1/session:open", credential);
  keep(opened["secret"] ?? "");
}

export async function logOut(): Promise<void> {
  try {
    await post("/api/v1/session:close", {});
  } finally {
    forgetSession();
    if (typeof BroadcastChannel !== "undefined") {
      const channel = new BroadcastChannel(kChannel);
      channel.postMessage({ kind: "closed" });
      channel.close();
    }
  }
}

// The code of an address like /login#code=…, taken out of the address before anything else happens.
export function takeCode(): string | undefined {
  const match = /^#code=(.+)$/.exec(location.hash);
  if (!match) return undefined;
  history.replaceState(history.state, "", location.pathname + location.search);
  return decodeURIComponent(match[1] ?? "");
}

// What people paste: a token, or a login line or code. Anything else is said to be neither.
export function credentialOf(text: string): { token: string } | { code: string } | undefined {
  const line = text.trim();
  if (/^ow_[A-Za-z0-9_-]{43}$/.test(line)) return { token: line };
  if (/^ow1_[A-Za-z0-9_-]+$/.test(line)) return { code: line };
  return undefined;
}
