import { describe, expect, it } from "vitest";
import { clock, instant, moment, whole, zoneName } from "../src/lib/time";

// The tests run in Berlin (vite.config.ts): an hour ahead of UTC in winter, two in summer.
const winter = Date.parse("2026-11-24T13:03:22.500Z");
const summer = Date.parse("2026-07-01T22:30:00Z");

describe("the clock", () => {
  it("names its zone, of the time that it shows", () => {
    expect(zoneName(winter, false)).toBe("UTC+1");
    expect(zoneName(summer, false)).toBe("UTC+2");
    expect(zoneName(summer, true)).toBe("UTC");
  });
  it("shows local time, or UTC", () => {
    expect(clock(winter, false)).toBe("14:03:22");
    expect(clock(winter, true)).toBe("13:03:22");
    expect(whole(summer, false)).toBe("2026-07-02 00:30:00 UTC+2");
    expect(whole(summer, true)).toBe("2026-07-01 22:30:00 UTC");
  });
  it("shortens today, by the day of the zone that is shown", () => {
    expect(moment(winter, winter, false)).toBe("14:03");
    expect(moment(summer, winter, false)).toBe("2 Jul 00:30");
    expect(moment(summer, winter, true)).toBe("1 Jul 22:30");
    expect(moment(Date.parse("2025-12-31T12:00:00Z"), winter, true)).toBe("31 Dec 2025 12:00");
    // Before midnight in UTC, and already tomorrow in Berlin.
    expect(moment(Date.parse("2026-11-24T22:00:00Z"), Date.parse("2026-11-24T23:30:00Z"), true)).toBe("22:00");
    expect(moment(Date.parse("2026-11-24T22:00:00Z"), Date.parse("2026-11-24T23:30:00Z"), false)).toBe("24 Nov 23:00");
    expect(moment(undefined, winter, true)).toBe("–");
  });
  it("reads RFC 3339 alone", () => {
    expect(instant("2026-11-24T13:03:22.500Z")).toBe(winter);
    expect(instant("")).toBeUndefined();
    expect(instant("soon")).toBeUndefined();
  });
});
