// One clock: every time on the page is written here, in local time with the zone named, or in UTC.
import { signal } from "./signal";
import { preference, setPreference } from "./preferences";

export const utc = signal(preference("utc") === "1");

export function setUtc(on: boolean): void {
  utc.value = on;
  setPreference("utc", on ? "1" : "0");
}

const two = (value: number): string => String(value).padStart(2, "0");

// RFC 3339 in milliseconds since 1970.
export function instant(text: string | undefined): number | undefined {
  if (!text) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

// The fields of a time in the zone that is shown: those of UTC of a time moved by the offset.
function shown(ms: number, isUtc: boolean): Date {
  return isUtc ? new Date(ms) : new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
}

// "UTC", "UTC+1", "UTC−3:30"
export function zoneName(ms: number, isUtc = utc.value): string {
  const minutes = isUtc ? 0 : -new Date(ms).getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const size = Math.abs(minutes);
  const rest = size % 60 ? ":" + two(size % 60) : "";
  return `UTC${minutes < 0 ? "−" : "+"}${Math.floor(size / 60)}${rest}`;
}

// "14:03:22"
export function clock(ms: number, isUtc = utc.value): string {
  const at = shown(ms, isUtc);
  return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;
}

// "14:03" of today, "24 Nov 14:03" of this year, else with the year.
export function moment(ms: number | undefined, now: number, isUtc = utc.value): string {
  if (ms === undefined) return "–";
  const at = shown(ms, isUtc);
  const today = shown(now, isUtc);
  const time = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
  if (at.toISOString().slice(0, 10) === today.toISOString().slice(0, 10)) return time;
  const month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][at.getUTCMonth()] ?? "";
  const year = at.getUTCFullYear() === today.getUTCFullYear() ? "" : ` ${at.getUTCFullYear()}`;
  return `${at.getUTCDate()} ${month}${year} ${time}`;
}

// "2026-11-24 14:03:22 UTC+1": whole, for titles.
export function whole(ms: number, isUtc = utc.value): string {
  return `${shown(ms, isUtc).toISOString().slice(0, 10)} ${clock(ms, isUtc)} ${zoneName(ms, isUtc)}`;
}

// The coordinator's time: its last answer's, gone on by ours. Stands still while there is no contact.
export const serverNow = signal(Date.now());
let offset = 0;
export function noteServerTime(text: string): void {
  const ms = instant(text);
  if (ms === undefined) return;
  offset = ms - Date.now();
  serverNow.value = ms;
}
export function tick(): void {
  serverNow.value = Date.now() + offset;
}
