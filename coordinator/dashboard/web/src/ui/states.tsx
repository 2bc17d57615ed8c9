// Loading, empty, broken and forbidden look different (P7).
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ApiError } from "../lib/api";
import type { Live } from "../lib/live";

const kSkeletonAfterMs = 200;

// Blocks of the final size, once waiting is worth a word.
export function Loading({ lines = 3 }: { lines?: number }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), kSkeletonAfterMs);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div class={late ? "skeleton late" : "skeleton"} role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => <div key={line} />)}
    </div>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export function Failure({ error, again }: { error: ApiError; again?: () => void }) {
  const forbidden = error.status === 403;
  return (
    <div class={forbidden ? "failure forbidden" : "failure"} role={forbidden ? "note" : "alert"}>
      <p>
        <strong>{forbidden ? "Not allowed: " : error.status === 404 ? "Not found: " : ""}</strong>
        <bdi>{error.message}</bdi>
        {error.field !== "" && <> (<code>{error.field}</code>)</>}.
      </p>
      {error.hint !== "" && <p class="muted"><bdi>{error.hint}</bdi></p>}
      {again && !forbidden && error.status !== 404 && <button type="button" onClick={again}>Try again</button>}
    </div>
  );
}

// What an answer looks like in each state. Old data stay on the page when a later question fails.
export function Shown<T>({ live, lines, children }: { live: Live<T>; lines?: number; children: (data: T) => ComponentChildren }) {
  const data = live.data.value;
  const error = live.error.value;
  if (data === undefined) {
    if (error) return <Failure error={error} again={live.again} />;
    return <Loading lines={lines ?? 3} />;
  }
  const gone = error !== undefined && error.status !== 0 && error.status !== 503;
  return <>{gone && <Failure error={error} again={live.again} />}{children(data)}</>;
}
