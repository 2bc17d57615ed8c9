// One job's page: parts that are drawn from one answer.
import { render } from "preact";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Actions } from "../src/job/actions";
import { CheckpointsPanel } from "../src/job/checkpoints";
import { CostPanel } from "../src/job/cost";
import { MemoryPanel, planText, worstText } from "../src/job/job";
import { narrow } from "../src/lib/narrow";
import { signal } from "../src/lib/signal";
import { place } from "../src/lib/router";
import type { Job, Seat } from "../src/lib/resources";
import { aJob } from "./a_job";

let root: HTMLElement;
beforeEach(() => {
  root = document.createElement("div");
  document.body.replaceChildren(root);
});
afterEach(() => {
  render(null, root);
  narrow.value = false;
});
const until = (what: () => boolean): Promise<void> => vi.waitFor(() => { if (!what()) throw new Error("not yet"); }, { timeout: 5000 });
const money = (amountMicros: string) => ({ amountMicros, currencyCode: "EUR" });
const kGib = 1024 ** 3;
const size = (gib: number): string => String(Math.round(gib * kGib));

function withSeats(): Job {
  const seat = (worker: string, number: number, used: number): Seat =>
    ({ worker, device: 0, attempt: 1, number, memoryBytes: size(3), memoryPeakBytes: size(2.95), memoryUsedBytes: size(used), threads: 1 });
  const plan = { transport: "gang", workersMin: 2, workersMax: 2, memoryBytes: size(2.81), device: "cpu", warnings: [], why: "" };
  return aJob({ plan, seats: [seat("w-01", 1, 2.92), seat("w-03", 2, 2.77)] });
}

it("memory is told as used, reserved, predicted and peak", () => {
  render(<MemoryPanel job={withSeats()} />, root);
  expect([...root.querySelectorAll("li > .number")].map((one) => one.textContent)).toEqual(["2.92 / 3.00 / 2.81 peak 2.95", "2.77 / 3.00 / 2.81 peak 2.95"]);
  const parts = [...root.querySelectorAll("li:first-child .memory span")].map((one) => `${one.className} ${one.getAttribute("style")}`);
  expect(parts).toEqual(["reserved left: 0.00%; width: 100.00%;", "used left: 0.00%; width: 97.33%;", "predicted left: 93.66%; width: 0.00%;", "peak left: 98.33%; width: 0.00%;"]);
  expect(worstText(withSeats())).toBe("worst 97 % of limit");
  expect(worstText(aJob())).toBe("");
});

it("a training's plan says its precision and what becomes of its activations", () => {
  const plan = { transport: "gang", workersMin: 1, workersMax: 2, memoryBytes: "1", device: "cpu", warnings: ["slow"], why: "why" };
  expect(planText(aJob({ plan }))).toBe("gang on 1 to 2 workers · why · slow");
  const train = { precision: "bf16", activations: "recomputed" };
  expect(planText(aJob({ plan: { ...plan, train } }))).toBe("gang on 1 to 2 workers · precision bf16 · activations recomputed · why · slow");
});

it("a bill's parts stand side by side and sum to what was charged", () => {
  const cost = { charged: money("214000"), reserved: money("62000"), cap: money("500000"), wasted: money("31200"), gangWait: money("11800") };
  render(<CostPanel job={aJob({ cost })} />, root);
  expect(root.querySelector(".sum")?.textContent).toBe(" useful 0.1710 +  recomputed 0.0312 +  waiting 0.0118 = 0.2140");
  const widths = [...root.querySelectorAll<HTMLElement>(".cost-bar > span")].map((one) => [one.className, one.style.left, one.style.width]);
  expect(widths).toEqual([["charged", "0.00%", "34.20%"], ["wasted", "34.20%", "6.24%"], ["waiting", "40.44%", "2.36%"], ["held", "42.80%", "12.40%"]]);
});

it("a phone folds a section into a line, and opens it for who comes to it by its address", async () => {
  render(<MemoryPanel job={withSeats()} />, root);
  expect(root.querySelector("details")).toBeNull();
  narrow.value = true;
  await until(() => root.querySelector("details") !== null);
  expect(root.querySelector("summary")?.textContent).toBe("Memory a device, GiBworst 97 % of limit");
  expect(root.querySelector("details")?.open).toBe(false);
  place.value = { ...place.value, hash: "#memory" };
  await until(() => root.querySelector("details")?.open === true);
  place.value = { ...place.value, hash: "" };
});

it("a phone has what cancels behind a menu, away from what pauses", async () => {
  render(<Actions job={aJob()} />, root);
  const words = (selector: string) => [...root.querySelectorAll(selector)].map((one) => one.textContent);
  expect(words(".actions > button")).toEqual(["Pause", "Cancel job…"]);
  narrow.value = true;
  await until(() => root.querySelector("details") !== null);
  expect(words(".actions > button")).toEqual(["Pause"]);
  expect(words("details.menu button")).toEqual(["Cancel job…"]);
  expect(root.querySelector("summary")?.getAttribute("aria-label")).toBe("More");
});

it("checkpoints are read again, one after the other, and what is damaged stays named", async () => {
  const one = (step: string, damage = "") =>
    ({ name: `projects/p/jobs/j/checkpoints/${step}`, attempt: 1, step, createTime: "2026-11-30T02:00:00Z", sizeBytes: "1024", damage });
  const again = vi.fn();
  const live = { data: signal({ checkpoints: [one("20"), one("10")] }), error: signal(undefined), again };
  const asked: string[] = [];
  vi.stubGlobal("fetch", (path: string) => {
    asked.push(path);
    return Promise.resolve(new Response(JSON.stringify({ good: path.includes("/20:"), damage: path.includes("/20:") ? "" : "model is cut" })));
  });
  render(<CheckpointsPanel live={live as never} job={aJob()} />, root);
  root.querySelector<HTMLButtonElement>("button")?.click();
  await until(() => again.mock.calls.length === 1);
  expect(asked).toEqual(["/api/v1/projects/p/jobs/j/checkpoints/20:verify", "/api/v1/projects/p/jobs/j/checkpoints/10:verify"]);
  const states = [...root.querySelectorAll("tbody td:last-child")].map((cell) => cell.textContent);
  expect(states).toEqual(["✓ verified", "whole"]);
  live.data.value = { checkpoints: [one("20"), one("10", "model is cut")] };
  await until(() => root.querySelector("tbody tr:last-child strong")?.textContent === "✕ model is cut");
  vi.unstubAllGlobals();
});
