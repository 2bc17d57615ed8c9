// A component in a chunk of its own, fetched when it is first shown.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Failure, Waits } from "./states";
import { ApiError } from "../lib/api";

const sheets = new Map<string, Promise<void>>();
// Resolves once the style sheet holds: what needs it is not shown before.
export function sheet(url: string): Promise<void> {
  let loaded = sheets.get(url);
  if (!loaded) {
    loaded = new Promise((done, failed) => {
      const link = document.createElement("link");
      link.rel = "stylesheet";
      link.href = url;
      link.onload = () => done();
      link.onerror = () => { sheets.delete(url); link.remove(); failed(new Error(url)); };
      document.head.append(link);
    });
    sheets.set(url, loaded);
  }
  return loaded;
}

export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let loaded: ComponentType<P> | undefined;
  return function Lazy(props: P) {
    const [, redraw] = useState(0);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
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
