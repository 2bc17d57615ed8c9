// What is looked at: the newest answer, how old it is, and what went wrong. Asked again from time to
// time, or told by the stream of events where there is one.
import { signal, type Signal } from "./signal";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { answerOf, ApiError, asApiError, isAbort, type Query } from "./api";
import { heard, kRetryMs, notHeard, onRetry } from "./contact";
import type { Job, JobList, WorkerList } from "./resources";
import { answered, following, listen, type Change } from "./events";

export interface Live<T> {
  data: Signal<T | undefined>;
  error: Signal<ApiError | undefined>;
  again: () => void;
}
// How a frame's events change what is shown: the same data where they are not concerned; `again`: ask for them.
export interface Follow<T> {
  topic: string;
  take: (data: T, changes: Change[]) => { data: T; again?: boolean };
}

// Where each row of a list stands. The lists that events make of one have the same places: they are found once, however long it is.
const places = new WeakMap<object, Map<string, number>>();
export function placesIn(rows: { name: string }[]): Map<string, number> {
  let known = places.get(rows);
  if (!known) places.set(rows, (known = new Map(rows.map((row, index) => [row.name, index]))));
  return known;
}

// A list of which events are single rows: known ones take their new state, others ask for the list again.
export function rowsOf<T, R extends { name: string }>(kind: Change["kind"], rows: (data: T) => R[], put: (data: T, rows: R[]) => T): Follow<T>["take"] {
  return (data, changes) => {
    const before = rows(data);
    const at = placesIn(before);
    let after: R[] | undefined;
    let again = false;
    for (const change of changes) {
      if (change.kind !== kind) continue;
      const place = at.get(change.resource.name);
      if (place === undefined) again = true;
      else (after ??= [...before])[place] = change.resource as R;
    }
    if (!after) return { data, again };
    places.set(after, at);
    return { data: put(data, after), again };
  };
}

// One resource: its newest state.
export const newest = (name: string) => <R>(data: R, changes: Change[]): { data: R } => ({
  data: (changes.find(({ resource }) => resource.name === name)?.resource as R | undefined) ?? data,
});
export const followJob = (name: string): Follow<Job> => ({ topic: name, take: newest(name) });
export const followJobs: Follow<JobList> = {
  topic: "jobs", take: rowsOf("job", (list) => list.jobs, (list, jobs) => ({ ...list, jobs })),
};
export const followWorkers: Follow<WorkerList> = {
  topic: "workers", take: rowsOf("worker", (list) => list.workers, (list, workers) => ({ ...list, workers })),
};

const kFollowedMs = 60_000; // what is followed is asked again seldom
const kAgainMs = 3000; // an event that asks for more does not ask at once each time

// Asks now, then every `everyMs` (0: once) while the tab is visible. Another path or query is another
// question. An answer that was overtaken is dropped. `path` undefined: nothing is asked.
export function useLive<T>(path: string | undefined, everyMs: number, query: Query = {}, follow?: Follow<T>): Live<T> {
  const key = JSON.stringify([path, query, follow?.topic]);
  const live = useMemo(
    () => ({ data: signal<T | undefined>(undefined), error: signal<ApiError | undefined>(undefined), again: () => {} }),
    [key],
  );
  // Another pace is no reason to ask at once.
  const every = useRef(everyMs);
  every.current = everyMs;
  // Asked as soon as it is drawn, not after it is painted.
  useLayoutEffect(() => {
    if (path === undefined) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let soon: ReturnType<typeof setTimeout> | undefined;
    let abort = new AbortController();
    let ended = false;
    let asOf: string | null | undefined;
    let askedAt = 0;
    const ask = async (): Promise<void> => {
      clearTimeout(timer);
      clearTimeout(soon);
      soon = undefined;
      abort.abort();
      abort = new AbortController();
      const mine = abort;
      askedAt = Date.now();
      let next = every.current;
      try {
        const answer = await answerOf<T>(path, query, mine.signal);
        if (ended || mine.signal.aborted) return;
        live.data.value = answer.data;
        live.error.value = undefined;
        asOf = answer.asOf;
        if (follow) answered();
        heard();
      } catch (problem) {
        if (ended || isAbort(problem)) return;
        const failure = asApiError(problem);
        live.error.value = failure;
        if (failure.status === 0 || failure.status === 503) {
          notHeard();
          next = kRetryMs;
        } else {
          heard();
          if (failure.status !== 429) {
            next = 0; // it will say the same again
            asOf = null;
            if (follow) answered();
          }
        }
      }
      if (next > 0 && !document.hidden) timer = setTimeout(() => void due(), next);
    };
    // While changes come, what is followed waits longer.
    const due = (): void => {
      if (follow && following.value && Date.now() - askedAt < kFollowedMs) {
        timer = setTimeout(due, every.current || kFollowedMs);
        return;
      }
      void ask();
    };
    const shown = (): void => {
      if (!document.hidden && every.current > 0) void ask();
      else clearTimeout(timer);
    };
    const again = (): void => void ask();
    const deaf = follow && everyMs > 0
      ? listen({
        topic: follow.topic,
        asOf: () => asOf,
        missed: again,
        change: (changes) => {
          if (live.data.value === undefined) return;
          const taken = follow.take(live.data.value, changes);
          if (taken.again) soon ??= setTimeout(again, kAgainMs);
          live.data.value = taken.data;
        },
      })
      : undefined;
    live.again = again;
    const done = onRetry(again);
    document.addEventListener("visibilitychange", shown);
    void ask();
    return () => {
      ended = true;
      done();
      clearTimeout(timer);
      clearTimeout(soon);
      abort.abort();
      deaf?.();
      document.removeEventListener("visibilitychange", shown);
    };
  }, [key]);
  return live;
}
