// Values that change. A component that reads one while it is drawn is drawn again after a change; all
// changes of one task are one drawing, since Preact puts those off to its end.
import { options, type Component, type VNode } from "preact";

let drawn: Component | undefined;
const read = new WeakMap<Component, Set<Signal<unknown>>>();

export class Signal<T> {
  readonly #readers = new Set<Component>();
  #held: T;
  constructor(held: T) { this.#held = held; }

  get value(): T {
    if (drawn) {
      this.#readers.add(drawn);
      let all = read.get(drawn);
      if (!all) read.set(drawn, (all = new Set()));
      all.add(this as Signal<unknown>);
    }
    return this.#held;
  }
  set value(next: T) {
    if (Object.is(next, this.#held)) return;
    this.#held = next;
    // Drawn again, each tells anew whether it reads this.
    const readers = [...this.#readers];
    this.#readers.clear();
    for (const reader of readers) reader.forceUpdate();
  }
  leave(reader: Component): void {
    this.#readers.delete(reader);
  }
}

export const signal = <T>(held: T): Signal<T> => new Signal(held);

// Preact's own points of a drawing; __r is the one before a component is called, __c a vnode's component.
type Hook = "__r" | "diffed" | "unmount";
type Drawing = VNode & { __c?: Component };
const hooks = options as unknown as Record<Hook, ((node: Drawing) => void) | undefined>;
function add(name: Hook, what: (node: Drawing) => void): void {
  const before = hooks[name];
  hooks[name] = (node) => {
    what(node);
    before?.(node);
  };
}
add("__r", (node) => { drawn = node.__c; });
add("diffed", () => { drawn = undefined; });
add("unmount", (node) => {
  if (node.__c) for (const one of read.get(node.__c) ?? []) one.leave(node.__c);
});
