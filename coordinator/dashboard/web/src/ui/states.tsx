// Loading, empty, broken and forbidden look different (P7).
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "../lib/api";
import type { Live } from "../lib/live";

const kSkeletonAfterMs = 200;
const kSkeletonForMs = 300;

// Blocks of the final size while there is nothing to show: once waiting is worth a word, and then long enough to be seen.
export function Waits({ on, lines = 3, children }: { on: boolean; lines?: number; children?: () => ComponentChildren }) {
  const [late, setLate] = useState(false);
  const since = useRef(0);
  // At once, not after a paint: a timer of what is no longer waited for would put blocks in place of what stands.
  useLayoutEffect(() => {
    if (on === late) return undefined;
    const timer = setTimeout(() => {
      since.current = Date.now();
      setLate(on);
    }, on ? kSkeletonAfterMs : since.current + kSkeletonForMs - Date.now());
    return () => clearTimeout(timer);
  }, [on, late]);
  if (!on && !late) return <>{children?.()}</>;
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
  const gone = error !== undefined && (data === undefined || (error.status !== 0 && error.status !== 503));
  return (
    <Waits on={data === undefined && !error} lines={lines ?? 3}>{() => (
      <>{gone && <Failure error={error} again={live.again} />}{data !== undefined && children(data)}</>
    )}</Waits>
  );
}
