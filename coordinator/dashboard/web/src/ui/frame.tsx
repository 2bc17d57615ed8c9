// What every page stands in: skip link, navigation, the clock and contact, who is logged in.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { signal } from "../lib/signal";
import { contact, retryNow } from "../lib/contact";
import { duration } from "../lib/format";
import { preference, setPreference } from "../lib/preferences";
import type { Session } from "../lib/resources";
import { arrivals, go, place } from "../lib/router";
import { logOut, session } from "../lib/session";
import { useSession } from "../lib/who";
import { clock, serverNow, setUtc, utc, zoneName } from "../lib/time";
import { showKeys } from "./keys";
import { Snowflake } from "./glyph";

type Theme = "system" | "light" | "dark";
export const theme = signal<Theme>((preference("theme") as Theme | null) ?? "system");

// Counts changes of colours: what is drawn on a canvas is drawn again.
export const painted = signal(0);

export function applyTheme(): void {
  const root = document.documentElement;
  painted.value += 1;
  if (theme.value === "system") root.removeAttribute("data-theme");
  else root.setAttribute("data-theme", theme.value);
}
function chooseTheme(chosen: Theme): void {
  theme.value = chosen;
  setPreference("theme", chosen);
  applyTheme();
}

// Says changes of state, results and contact to who does not see them; at most once in five seconds.
const kSayEveryMs = 5000;
const said = signal("");
let sayAfter = 0;
let next: string | undefined;
export function say(sentence: string): void {
  next = sentence;
  const wait = Math.max(0, sayAfter - Date.now());
  setTimeout(() => {
    if (next === undefined || Date.now() < sayAfter) return;
    said.value = next;
    next = undefined;
    sayAfter = Date.now() + kSayEveryMs;
  }, wait);
}

// What a role has nothing to see on is not offered to it.
const kPages: { to: string; word: string; needs: keyof Session["may"] }[] = [
  { to: "/", word: "Overview", needs: "readWorkers" },
  { to: "/jobs", word: "Jobs", needs: "readJobs" },
  { to: "/workers", word: "Workers", needs: "readWorkers" },
  { to: "/audit", word: "Audit", needs: "readAudit" },
];

function isAt(to: string): boolean {
  const path = place.value.path;
  if (to === "/") return path === "/";
  return path === to || path.startsWith(to + "/") || (to === "/jobs" && path.startsWith("/projects/"));
}

// Shown once nothing was heard for a while: data stay, and say how old they are.
const kStripAfterMs = 5000;
function ContactStrip() {
  const now = Date.now() + 0 * serverNow.value; // looked at with every tick of the clock
  const { lost, at, retryAt } = contact.value;
  const silent = now - at;
  const shown = lost && silent > kStripAfterMs;
  useEffect(() => {
    if (shown) say("No contact with the coordinator.");
    document.documentElement.classList.toggle("stale", shown);
    return () => document.documentElement.classList.remove("stale");
  }, [shown]);
  if (!shown) return null;
  return (
    <section class="strip" aria-label="Contact">
      No contact for {duration(silent)}. As of {clock(serverNow.value)} {zoneName(serverNow.value)}.
      {" "}Retry in {duration(Math.max(0, Math.ceil((retryAt - now) / 1000) * 1000))}{" "}
      <button type="button" onClick={retryNow}>now</button>
    </section>
  );
}

// An open menu closes when something else is chosen.
export function closeMenus(event: MouseEvent): void {
  for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.menu[open]")) {
    if (!(event.target instanceof Node && menu.contains(event.target))) menu.open = false;
  }
}

function Account() {
  const who = session.value;
  if (!who) return null;
  return (
    <details class="menu">
      <summary><bdi>{who.name === "" ? who.role : who.name}</bdi><span class="caret" aria-hidden="true">▾</span></summary>
      <div class="sheet">
        <p><bdi>{who.name}</bdi>, {who.role} of {who.project === "" ? "all projects" : <bdi>{who.project}</bdi>}</p>
        <p class="muted">cluster <bdi>{who.cluster}</bdi>, version {who.version}</p>
        <fieldset>
          <legend>Theme</legend>
          {(["system", "light", "dark"] as const).map((one) => (
            <label key={one}><input type="radio" name="theme" checked={theme.value === one} onChange={() => chooseTheme(one)} /> {one}</label>
          ))}
        </fieldset>
        <label><input type="checkbox" checked={utc.value} onChange={(event) => setUtc(event.currentTarget.checked)} /> times in UTC</label>
        <p><button type="button" onClick={showKeys}>Keys</button></p>
        <p><button type="button" onClick={() => void logOut().catch(() => undefined).then(() => go("/login"))}>Log out</button></p>
      </div>
    </details>
  );
}

export function Frame({ children }: { children: ComponentChildren }) {
  return (
    <>
      <a class="skip" href="#main">Skip to content</a>
      <header class="top">
        <a class="brand" href="/" aria-label="Overwinter"><Snowflake /><span>Overwinter</span></a>
        {session.value && (
          <nav aria-label="Pages">
            {kPages.filter(({ needs }) => session.value?.may[needs]).map(({ to, word }) => (
              <a key={to} href={to} aria-current={isAt(to) ? "page" : undefined}>{word}</a>
            ))}
          </nav>
        )}
        {session.value && (
          <div class="clock" title="u changes the zone">
            <span class={contact.value.lost ? "dot lost" : "dot"} aria-hidden="true" />
            <span>{contact.value.lost ? "no contact" : "live"}</span>{" "}
            <time>{clock(serverNow.value)}</time> <span class="zone">{zoneName(serverNow.value)}</span>
          </div>
        )}
        <Account />
      </header>
      <ContactStrip />
      <main id="main" tabIndex={-1}>{children}</main>
      <div class="visually-hidden" role="status" aria-live="polite">{said.value}</div>
    </>
  );
}

// The page's title takes the focus after a navigation, not at the first load.
export function Title({ children, text }: { children?: ComponentChildren; text: string }) {
  const title = useRef<HTMLHeadingElement>(null);
  const arrived = arrivals.value;
  useSession();
  useEffect(() => {
    if (arrived > 0) title.current?.focus({ preventScroll: true });
  }, [arrived]);
  useEffect(() => {
    document.title = text === "" ? "Overwinter" : `${text} · Overwinter`;
  }, [text]);
  return <h1 ref={title} tabIndex={-1}>{children ?? text}</h1>;
}
