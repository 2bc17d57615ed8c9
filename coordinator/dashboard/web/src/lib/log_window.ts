// The part of a log that the page holds: blocks that follow each other, at most kKept lines. Beyond it
// the end that is farther from the reader is let go, and can be read again.
import type { LogBlock, LogLine } from "./resources";

export const kKept = 20_000;

export interface LogWindow { lines: LogLine[]; hasEarlier: boolean; hasLater: boolean; next: string }

export const emptyWindow: LogWindow = { lines: [], hasEarlier: false, hasLater: false, next: "1" };

export function opened(block: LogBlock): LogWindow {
  return { lines: block.lines, hasEarlier: block.hasEarlier, hasLater: block.hasLater, next: block.next };
}

// Later lines. A block that was asked for twice adds nothing twice.
export function appended(window: LogWindow, block: LogBlock): LogWindow {
  const last = window.lines[window.lines.length - 1];
  const fresh = last === undefined ? block.lines : block.lines.filter((line) => BigInt(line.number) > BigInt(last.number));
  const all = fresh.length === 0 ? window.lines : [...window.lines, ...fresh];
  const over = Math.max(0, all.length - kKept);
  return {
    lines: over === 0 ? all : all.slice(over),
    hasEarlier: window.hasEarlier || over > 0,
    hasLater: block.hasLater,
    next: block.next,
  };
}

// Earlier lines, and how many rows the reader's place moves down by.
export function prepended(window: LogWindow, block: LogBlock): { window: LogWindow; added: number } {
  const first = window.lines[0];
  const fresh = first === undefined ? block.lines : block.lines.filter((line) => BigInt(line.number) < BigInt(first.number));
  const all = [...fresh, ...window.lines];
  const cut = all.slice(0, kKept);
  const last = cut[cut.length - 1];
  const over = all.length > cut.length;
  return {
    window: {
      lines: cut,
      hasEarlier: block.hasEarlier,
      hasLater: window.hasLater || over,
      next: over && last ? String(BigInt(last.number) + 1n) : window.next,
    },
    added: fresh.length,
  };
}

// "#L18204", "#L18204-18210"
export function rangeOf(hash: string): { from: bigint; to: bigint } | undefined {
  const match = /^#L(\d{1,19})(?:-(\d{1,19}))?$/.exec(hash);
  if (!match?.[1]) return undefined;
  const from = BigInt(match[1]);
  const to = match[2] === undefined ? from : BigInt(match[2]);
  return from <= to ? { from, to } : { from: to, to: from };
}

export const hashOf = (from: string, to: string): string =>
  from === to ? `#L${from}` : BigInt(from) < BigInt(to) ? `#L${from}-${to}` : `#L${to}-${from}`;

// The place of the first line with that number or a later one.
export function indexOf(lines: LogLine[], number: bigint): number {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (BigInt(lines[middle]?.number ?? 0) < number) low = middle + 1;
    else high = middle;
  }
  return low;
}
