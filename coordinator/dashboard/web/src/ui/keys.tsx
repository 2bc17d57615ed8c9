// Keys: single letters, which can be off, and a list of them.
import { signal } from "../lib/signal";
import { useEffect, useRef } from "preact/hooks";
import { preference, setPreference } from "../lib/preferences";
import { go } from "../lib/router";
import { setUtc, utc } from "../lib/time";

const on = signal(preference("keys") !== "off");
const shown = signal(false);

export function showKeys(): void {
  shown.value = true;
}

const kKeys: [string, string][] = [
  ["?", "this list"],
  ["/", "filter or search"],
  ["j, k", "next and previous row"],
  ["Enter", "open the row"],
  ["o, b, w", "overview, jobs, workers"],
  ["u", "times in UTC, or local"],
  ["Esc", "close, or leave a field"],
];

// The rows that j and k walk: links in the table that is on the page.
function rows(): HTMLAnchorElement[] {
  return [...document.querySelectorAll<HTMLAnchorElement>("table a.row-link")];
}
function walk(by: number): void {
  const all = rows();
  if (all.length === 0) return;
  const at = all.indexOf(document.activeElement as HTMLAnchorElement);
  const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + by));
  all[next]?.focus();
}

const isField = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement ||
    (target instanceof HTMLInputElement && !["checkbox", "radio", "button"].includes(target.type)));

export function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.key === "Escape") {
    if (isField(event.target)) (event.target as HTMLElement).blur();
    for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.menu[open]")) menu.open = false;
    return;
  }
  if (isField(event.target) || document.querySelector("dialog[open]")) return;
  if (event.key === "?") shown.value = true;
  else if (!on.value) return;
  else if (event.key === "/") document.querySelector<HTMLInputElement>("input[type=search]")?.focus();
  else if (event.key === "j") walk(1);
  else if (event.key === "k") walk(-1);
  else if (event.key === "o") go("/");
  else if (event.key === "b") go("/jobs");
  else if (event.key === "w") go("/workers");
  else if (event.key === "u") setUtc(!utc.value);
  else return;
  event.preventDefault();
}

export function KeysDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (shown.value && !dialog.current?.open) dialog.current?.showModal();
  }, [shown.value]);
  if (!shown.value) return null;
  return (
    <dialog ref={dialog} aria-labelledby="keys-title" onClose={() => (shown.value = false)}>
      <h2 id="keys-title">Keys</h2>
      <dl class="keys">
        {kKeys.map(([key, what]) => [<dt key={key}><kbd>{key}</kbd></dt>, <dd key={key + "-what"}>{what}</dd>])}
      </dl>
      <label>
        <input type="checkbox" checked={on.value} onChange={(event) => {
          on.value = event.currentTarget.checked;
          setPreference("keys", on.value ? "on" : "off");
        }} /> single letters are keys
      </label>
      <form method="dialog"><button type="submit">Close</button></form>
    </dialog>
  );
}
