// Numbers as people read them. int64 comes as text in JSON and is summed as BigInt.
import type { Money } from "./resources";

export const kNone = "–"; // what is not known

export function int(text: string | number | undefined): bigint {
  return text === undefined || text === "" ? 0n : BigInt(text);
}

// "1,204"
export function count(value: bigint | number | string): string {
  const text = String(value);
  const negative = text.startsWith("-");
  const digits = negative ? text.slice(1) : text;
  return (negative ? "−" : "") + digits.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

// "1 job", "2 jobs"
export function plural(value: bigint | number, one: string, many = one + "s"): string {
  return `${count(value)} ${BigInt(value) === 1n ? one : many}`;
}

// Micro-units with `decimals` digits, half away from zero: what is shown, never what is summed.
export function amount(micros: bigint, decimals: number): string {
  const unit = 10n ** BigInt(6 - decimals);
  const negative = micros < 0n;
  const size = negative ? -micros : micros;
  const rounded = (size + unit / 2n) / unit;
  const base = 10n ** BigInt(decimals);
  const whole = count(rounded / base);
  const rest = decimals === 0 ? "" : "." + (rounded % base).toString().padStart(decimals, "0");
  return (negative && rounded !== 0n ? "−" : "") + whole + rest;
}

// The parts of a sum, so rounded that what is shown adds up to the sum as it is shown.
export function amounts(parts: readonly bigint[], decimals: number): string[] {
  const unit = 10n ** BigInt(6 - decimals);
  let sum = 0n;
  let shown = 0n;
  return parts.map((part) => {
    sum += part;
    const all = (sum + unit / 2n) / unit;
    const text = amount((all - shown) * unit, decimals);
    shown = all;
    return text;
  });
}

export function micros(money: Money | undefined): bigint {
  return int(money?.amountMicros);
}

// Of a job: four decimals. Of totals: two.
export function money(value: Money | undefined, decimals = 4): string {
  return value === undefined ? kNone : amount(micros(value), decimals);
}

const kSizes = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

// "2.90 GiB": three digits, powers of 1024.
export function bytes(value: bigint | string | undefined): string {
  if (value === undefined) return kNone;
  let size = Number(typeof value === "string" ? int(value) : value);
  let unit = 0;
  while (size >= 1023.5 && unit < kSizes.length - 1) {
    size /= 1024;
    ++unit;
  }
  return `${unit === 0 ? String(size) : digits(size, 3)} ${kSizes[unit] ?? ""}`;
}

export function gib(value: bigint): string {
  const size = Number(value) / 1024 ** 3;
  if (size === 0 || size >= 0.1) return digits(size, 3);
  return size < 0.0005 ? "<0.001" : size.toFixed(3);
}

// So many significant digits, without an exponent where people want none.
export function digits(value: number, significant: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(Number(value.toPrecision(significant)));
  if (size < 1e-4 || size >= 1e9) return value.toExponential(significant - 1).replace("-", "−");
  const fraction = Math.max(0, significant - 1 - Math.floor(Math.log10(size)));
  const [whole = "0", rest] = value.toFixed(Math.min(fraction, 12)).split(".");
  return count(whole) + (rest === undefined ? "" : "." + rest);
}

// 0.614 -> "61 %"; 100 only when it is all.
export function percent(fraction: number): string {
  if (!Number.isFinite(fraction)) return kNone;
  if (fraction >= 1) return "100 %";
  return `${Math.min(99, Math.floor(fraction * 100 + 1e-9))} %`;
}

// proto3's JSON form of a duration, "12.4s", in milliseconds.
export function durationMs(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text.replace(/s$/, "")) * 1000;
}

// "350 ms", "12 s", "42 min", "3 h 5 min", "2 d 4 h": two units at most.
export function duration(ms: number | undefined): string {
  if (ms === undefined || !Number.isFinite(ms)) return kNone;
  if (ms < 0) return "0 s";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return ms < 10_000 ? `${digits(ms / 1000, 2)} s` : `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return minutes < 10 && seconds % 60 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${Math.floor(hours / 24)} d`;
}

// A value of a curve: JSON says what is no number as text.
export function curveNumber(value: number | string): number {
  return typeof value === "number" ? value : Number(value);
}
