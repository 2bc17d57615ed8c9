import { expect, it } from "vitest";
import { hoursOf } from "../src/pages/spend";
import { withLabel } from "../src/pages/jobs";

it("an hour is the sum of its parts, and they follow each other", () => {
  const hours = hoursOf({
    from: "2026-11-29T10:00:00Z", currency: "EUR", machines: true, complete: true, reserved: "0",
    hours: [{ useful: "9007199254740993", waiting: "0", redone: "1", idle: "2" }, { useful: "0", waiting: "3", redone: "0", idle: "5" }],
  });
  expect(hours.map((hour) => hour.all)).toEqual([9007199254740996n, 8n]);
  expect((hours[1]?.at ?? 0) - (hours[0]?.at ?? 0)).toBe(3_600_000);
});

it("a label that is chosen is a term that the server reads", () => {
  expect(withLabel("", "team=nlp")).toBe("labels.team=nlp");
  expect(withLabel("state=FAILED", "says=a b")).toBe("state=FAILED AND labels.says=\"a b\"");
});
