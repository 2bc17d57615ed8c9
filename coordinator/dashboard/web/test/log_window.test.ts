import { describe, expect, it } from "vitest";
import { appended, hashOf, indexOf, kKept, opened, prepended, rangeOf } from "../src/lib/log_window";
import type { LogBlock, LogLine } from "../src/lib/resources";

const line = (number: number): LogLine =>
  ({ number: String(number), attempt: 1, rank: 0, stream: "OUT", time: "2026-11-24T00:00:00Z", text: `line ${number}` });
const block = (from: number, to: number, more: Partial<LogBlock> = {}): LogBlock => ({
  lines: Array.from({ length: to - from }, (_, i) => line(from + i)), hasEarlier: false, hasLater: false, next: String(to), ...more,
});
const numbers = (lines: LogLine[]): number[] => lines.map((one) => Number(one.number));

describe("the window on a log", () => {
  it("grows at both ends, each line once", () => {
    let window = opened(block(10, 13, { hasEarlier: true, hasLater: true }));
    window = appended(window, block(12, 15));
    const { window: joined, added } = prepended(window, block(7, 11, { hasEarlier: true }));
    expect(added).toBe(3);
    expect(numbers(joined.lines)).toEqual([7, 8, 9, 10, 11, 12, 13, 14]);
    expect(joined).toMatchObject({ hasEarlier: true, hasLater: false, next: "15" });
  });
  it("is bounded, and what it let go of can be read again", () => {
    let window = opened(block(0, kKept));
    window = appended(window, block(kKept, kKept + 10));
    expect(window.lines.length).toBe(kKept);
    expect(window.lines[0]?.number).toBe("10");
    expect(window.hasEarlier).toBe(true);
    const { window: back } = prepended(window, block(0, 10));
    expect(back.lines.length).toBe(kKept);
    expect(back.lines[0]?.number).toBe("0");
    expect(back.hasLater).toBe(true);
    expect(back.next).toBe(String(kKept));
  });
  it("finds a line by its number, also where numbers have holes", () => {
    const lines = [line(1), line(2), line(1_000_003), line(1_000_004)];
    expect(indexOf(lines, 2n)).toBe(1);
    expect(indexOf(lines, 3n)).toBe(2);
    expect(indexOf(lines, 1_000_004n)).toBe(3);
    expect(indexOf(lines, 2_000_000n)).toBe(4);
  });
  it("reads and writes links to lines", () => {
    expect(rangeOf("#L18204-18210")).toEqual({ from: 18204n, to: 18210n });
    expect(rangeOf("#L18210-18204")).toEqual({ from: 18204n, to: 18210n });
    expect(rangeOf("#L9007199254740993")?.from).toBe(9007199254740993n);
    for (const bad of ["", "#cost", "#L", "#L-1", "#L1-", "#Lx", "#L99999999999999999999"]) expect(rangeOf(bad), bad).toBeUndefined();
    expect(hashOf("5", "5")).toBe("#L5");
    expect(hashOf("9", "10")).toBe("#L9-10");
    expect(hashOf("10", "9")).toBe("#L9-10");
  });
});
