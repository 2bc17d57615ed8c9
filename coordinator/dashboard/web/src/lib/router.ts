// The address is the view: path, query and fragment as one signal. Links are real links.
import { signal } from "./signal";

export interface Place { path: string; query: URLSearchParams; hash: string }

const read = (): Place => ({
  path: location.pathname,
  query: new URLSearchParams(location.search),
  hash: location.hash,
});

export const place = signal<Place>(read());
// Counts arrivals at another page: its title takes the focus then.
export const arrivals = signal(0);

interface Kept { scroll?: number; focus?: string }

function keepScroll(): void {
  const focus = document.activeElement?.id;
  history.replaceState({ ...(history.state as Kept | null), scroll: scrollY, ...(focus ? { focus } : {}) }, "");
}

export function go(to: string): void {
  keepScroll();
  const before = location.pathname;
  history.pushState({}, "", to);
  place.value = read();
  if (location.pathname !== before) {
    scrollTo(0, 0);
    arrivals.value += 1;
  }
}

// Another view of the same page. A choice makes an entry of its own, typing replaces the last one.
export function setQuery(change: Record<string, string | undefined>, how: "push" | "replace"): void {
  const query = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(change)) {
    if (value === undefined || value === "") query.delete(key);
    else query.set(key, value);
  }
  const text = query.toString();
  const to = location.pathname + (text === "" ? "" : "?" + text) + location.hash;
  if (to === location.pathname + location.search + location.hash) return;
  if (how === "push") {
    keepScroll();
    history.pushState({}, "", to);
  } else {
    history.replaceState(history.state, "", to);
  }
  place.value = read();
}

export function setHash(hash: string): void {
  history.replaceState(history.state, "", location.pathname + location.search + hash);
  place.value = read();
}

// What was looked at and had the focus may come with a later answer: waited for, for a few seconds,
// and no longer than until the reader does something else.
const kRestoreMs = 4000;
function restore(kept: Kept | null): void {
  const started = performance.now();
  const here = location.href;
  let other = false;
  const stop = (): void => { other = true; };
  for (const event of ["wheel", "keydown", "pointerdown"]) addEventListener(event, stop, { once: true, capture: true });
  const again = (): void => {
    if (other || location.href !== here) return;
    const wanted = kept?.scroll ?? 0;
    scrollTo(0, wanted);
    const focus = kept?.focus ? document.getElementById(kept.focus) : null;
    if (focus && focus !== document.activeElement) focus.focus({ preventScroll: true });
    const isDone = Math.abs(scrollY - wanted) <= 1 && (!kept?.focus || focus !== null);
    if (!isDone && performance.now() - started < kRestoreMs) requestAnimationFrame(again);
  };
  requestAnimationFrame(again);
}

// A plain click on a link of ours stays in the page.
export function ownLink(event: MouseEvent): string | undefined {
  if (event.defaultPrevented || event.button !== 0) return undefined;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return undefined;
  const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
  if (!(link instanceof HTMLAnchorElement) || link.target !== "" || link.hasAttribute("download")) return undefined;
  const url = new URL(link.href);
  if (url.origin !== location.origin || url.pathname.startsWith("/api/")) return undefined;
  if (url.hash !== "" && url.pathname === location.pathname && url.search === location.search) return undefined;
  return url.pathname + url.search + url.hash;
}

export function startRouter(): void {
  history.scrollRestoration = "manual";
  addEventListener("popstate", (event) => {
    place.value = read();
    restore(event.state as Kept | null);
  });
  addEventListener("hashchange", () => (place.value = read()));
  document.addEventListener("click", (event) => {
    const to = ownLink(event);
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  });
}

export type View =
  | { page: "overview" } | { page: "jobs" } | { page: "job"; name: string } | { page: "logs"; name: string }
  | { page: "workers" } | { page: "worker"; name: string } | { page: "audit" } | { page: "login" } | { page: "missing" };

export function viewOf(path: string): View {
  const parts = path.split("/").slice(1);
  if (path === "/") return { page: "overview" };
  if (path === "/jobs") return { page: "jobs" };
  if (path === "/workers") return { page: "workers" };
  if (path === "/audit") return { page: "audit" };
  if (path === "/login") return { page: "login" };
  if (parts[0] === "workers" && parts.length === 2 && parts[1]) return { page: "worker", name: parts[1] };
  if (parts[0] === "projects" && parts[2] === "jobs" && parts[1] && parts[3]) {
    const name = parts.slice(0, 4).join("/");
    if (parts.length === 4) return { page: "job", name };
    if (parts.length === 5 && parts[4] === "logs") return { page: "logs", name };
  }
  return { page: "missing" };
}

// A path that may come from outside (?next=): one of this page, or the overview.
export function safeNext(text: string | null): string {
  if (text === null || !text.startsWith("/") || text.startsWith("//") || text.includes("\\")) return "/";
  return viewOf(text.replace(/[?#].*$/, "")).page === "missing" ? "/" : text;
}
