// What stands where an answer is not there yet.
import { render } from "preact";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Waits } from "../src/ui/states";

let root: HTMLElement;
beforeEach(() => {
  vi.useFakeTimers();
  root = document.createElement("div");
  document.body.replaceChildren(root);
});
afterEach(() => {
  render(null, root);
  vi.useRealTimers();
});
const show = (on: boolean): void => render(<Waits on={on}>{() => "there"}</Waits>, root);
const after = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const isSeen = (): boolean => root.querySelector(".skeleton.late") !== null;

// A frame passes before a component's timers begin.
it("a skeleton comes after 200 ms, and then stays for 300", async () => {
  show(true);
  await after(150);
  expect(isSeen()).toBe(false);
  await after(120);
  expect(isSeen()).toBe(true);
  show(false);
  await after(200);
  expect(isSeen()).toBe(true);
  await after(150);
  expect(root.textContent).toBe("there");
});
it("what comes at once shows at once", async () => {
  show(true);
  await after(100);
  show(false);
  expect(root.textContent).toBe("there");
  await after(400);
  expect(root.textContent).toBe("there");
});
it("what stands is not taken away again, whenever it came", async () => {
  for (let ms = 150; ms <= 250; ms += 1) {
    show(true);
    await after(ms);
    show(false);
    const stands = root.textContent === "there";
    await after(50);
    if (stands) expect(root.textContent, `after ${ms} ms`).toBe("there");
    render(null, root);
  }
});
