// Who is asking. It is asked with the first questions of a page: what is looked at does not wait for it.
import { useLayoutEffect } from "preact/hooks";
import { asApiError, get, type ApiError } from "./api";
import type { Session } from "./resources";
import { go, viewOf } from "./router";
import { session, sessionSecret } from "./session";
import { signal } from "./signal";
import { noteServerTime } from "./time";

export const whoProblem = signal<ApiError | undefined>(undefined);

// A refusal is shown; without a session the login page comes back here.
export async function readSession(): Promise<void> {
  whoProblem.value = undefined;
  try {
    const who = await get<Session>("session");
    noteServerTime(who.now);
    session.value = who;
  } catch (failure) {
    const error = asApiError(failure);
    if (error.status === 401) toLogin();
    else whoProblem.value = error;
  }
}

export function toLogin(): void {
  if (viewOf(location.pathname).page === "login") return;
  const here = location.pathname + location.search + location.hash;
  go("/login" + (here === "/" ? "" : "?next=" + encodeURIComponent(here)));
}

// Of what every page has: asks once, in one request with what the page itself asks first.
export function useSession(): void {
  useLayoutEffect(() => {
    const isKnown = session.value !== undefined || whoProblem.value !== undefined;
    if (!isKnown && sessionSecret() !== null && viewOf(location.pathname).page !== "login") void readSession();
  }, []);
}
