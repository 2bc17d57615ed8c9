import { describe, expect, it } from "vitest";
import { amount, amounts, bytes, count, digits, duration, durationMs, gib, int, money, percent, plural } from "../src/lib/format";

describe("numbers", () => {
  it("groups thousands, of any size", () => {
    expect(count(0)).toBe("0");
    expect(count("1204")).toBe("1,204");
    expect(count(9007199254740993n)).toBe("9,007,199,254,740,993");
    expect(count(-1204)).toBe("−1,204");
  });
  it("has one and many", () => {
    expect(plural(1, "job")).toBe("1 job");
    expect(plural(0n, "job")).toBe("0 jobs");
    expect(plural(2, "entry", "entries")).toBe("2 entries");
  });
  it("keeps significant digits", () => {
    expect(digits(2.3144, 4)).toBe("2.314");
    expect(digits(7210.4, 4)).toBe("7,210");
    expect(digits(0.00016, 2)).toBe("0.00016");
    expect(digits(0.0000161, 2)).toBe("1.6e−5");
    expect(digits(NaN, 4)).toBe("NaN");
    expect(digits(-Infinity, 4)).toBe("−∞");
    expect(digits(0, 4)).toBe("0");
  });
  it("reads a percentage, and 100 only at the end", () => {
    expect(percent(0.614)).toBe("61 %");
    expect(percent(0.9999)).toBe("99 %");
    expect(percent(0.29)).toBe("29 %");
    expect(percent(1)).toBe("100 %");
  });
});

describe("money", () => {
  it("is exact, and rounded only where it is shown", () => {
    expect(amount(213_950n, 4)).toBe("0.2140");
    expect(amount(213_949n, 4)).toBe("0.2139");
    expect(amount(9_007_199_254_740_993_000n, 2)).toBe("9,007,199,254,740.99");
    expect(amounts([4_650n, 40n, 0n], 4)).toEqual(["0.0047", "0.0000", "0.0000"]);
    expect(amounts([4_630n, 40n], 4)).toEqual(["0.0046", "0.0001"]);
    expect(amount(4_670n, 4)).toBe("0.0047");
    expect(amount(-50n, 4)).toBe("−0.0001");
    expect(amount(-49n, 4)).toBe("0.0000");
    expect(amount(1_499_999n, 0)).toBe("1");
  });
  it("is a dash when it is not known, never 0", () => {
    expect(money(undefined)).toBe("–");
    expect(money({ amountMicros: "0", currencyCode: "EUR" })).toBe("0.0000");
  });
  it("sums as integers", () => {
    expect(int("9007199254740993") + int("1")).toBe(9007199254740994n);
    expect(int(undefined)).toBe(0n);
  });
});

describe("sizes and times", () => {
  it("uses powers of 1024 with three digits", () => {
    expect(bytes("0")).toBe("0 B");
    expect(bytes("1023")).toBe("1023 B");
    expect(bytes("1024")).toBe("1.00 KiB");
    expect(bytes("50331648")).toBe("48.0 MiB");
    expect(bytes(1048575n)).toBe("1.00 MiB");
    expect(bytes("3113851289")).toBe("2.90 GiB");
    expect(gib(3221225472n)).toBe("3.00");
    expect([gib(0n), gib(100n), gib(7n << 20n), gib(512n << 20n)]).toEqual(["0", "<0.001", "0.007", "0.500"]);
  });
  it("says durations in two units at most", () => {
    expect(duration(0)).toBe("0 ms");
    expect(duration(350)).toBe("350 ms");
    expect(duration(1234)).toBe("1.2 s");
    expect(duration(42_000)).toBe("42 s");
    expect(duration(250_000)).toBe("4 min 10 s");
    expect(duration(42 * 60_000)).toBe("42 min");
    expect(duration(3_900_000)).toBe("1 h 5 min");
    expect(duration(50 * 3_600_000)).toBe("2 d 2 h");
    expect(duration(-5)).toBe("0 s");
    expect(duration(undefined)).toBe("–");
  });
  it("reads proto3's durations", () => {
    expect(durationMs("12.4s")).toBeCloseTo(12_400);
    expect(durationMs("0s")).toBe(0);
    expect(durationMs(undefined)).toBeUndefined();
  });
});
