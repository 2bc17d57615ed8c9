import { render } from "preact";
import { useState } from "preact/hooks";
import { afterEach, expect, test } from "vitest";
import { signal } from "../src/lib/signal";

const drawn = (): Promise<void> => new Promise((done) => setTimeout(done));
const root = document.body.appendChild(document.createElement("div"));
afterEach(() => render(null, root));

test("who reads a value is drawn again when it changes, and nobody else", async () => {
  const name = signal("a");
  let outer = 0;
  let inner = 0;
  const Inner = () => { ++inner; return <b>{name.value}</b>; };
  const Outer = () => { ++outer; return <p><Inner /><i>{outer}</i></p>; };
  render(<Outer />, root);
  name.value = "b";
  name.value = "c";
  await drawn();
  expect(root.textContent).toBe("c1");
  expect([outer, inner]).toEqual([1, 2]); // both changes at once
  name.value = "c";
  await drawn();
  expect(inner).toBe(2);
});

test("a reader that is gone, or reads no longer, is not drawn", async () => {
  const flag = signal(true);
  const name = signal("a");
  let draws = 0;
  const Reader = () => { ++draws; return <b>{flag.value ? name.value : "none"}</b>; };
  render(<Reader />, root);
  flag.value = false;
  await drawn();
  name.value = "b"; // told once more, since the reading before was of it
  await drawn();
  const before = draws;
  name.value = "c";
  await drawn();
  expect(draws).toBe(before);
  render(null, root);
  flag.value = true;
  await drawn();
  expect(draws).toBe(before);
});

test("a change beside a state that did not change is drawn all the same", async () => {
  const name = signal("a");
  let set: (n: number) => void = () => {};
  const Reader = () => {
    const [n, change] = useState(0);
    set = change;
    return <b>{name.value}{n}</b>;
  };
  render(<Reader />, root);
  set(1);
  set(0);
  name.value = "b";
  await drawn();
  expect(root.textContent).toBe("b0");
});

test("what is read outside of a drawing has no reader", async () => {
  const name = signal("a");
  let draws = 0;
  const Reader = () => { ++draws; return <button onClick={() => void name.value}>x</button>; };
  render(<Reader />, root);
  root.querySelector("button")?.click();
  name.value = "b";
  await drawn();
  expect(draws).toBe(1);
});
