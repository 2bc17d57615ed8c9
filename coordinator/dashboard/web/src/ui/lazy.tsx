// A component in a chunk of its own, fetched when it is first shown.
import type { ComponentType } from "preact";
import { useLayoutEffect, useState } from "preact/hooks";
import { Failure, Waits } from "./states";
import { ApiError } from "../lib/api";

export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let loaded: ComponentType<P> | undefined;
  return function Lazy(props: P) {
    const [, redraw] = useState(0);
    const [failed, setFailed] = useState(false);
    useLayoutEffect(() => {
      if (loaded || failed) return;
      load().then((component) => {
        loaded = component;
        redraw((n) => n + 1);
      }, () => setFailed(true));
    }, [failed]);
    const Component = loaded;
    return (
      <Waits on={!Component && !failed} lines={6}>{() => Component ? <Component {...props} />
        : <Failure error={new ApiError(0, "", "this part of the page could not be fetched")} again={() => setFailed(false)} />}</Waits>
    );
  };
}
