// What the page is measured with, from inside: put in ahead of its own scripts, so that it stands alone.
// Times are performance.now(): milliseconds, rounded to 0.1 by Chromium.
//
//   secret   of the session, as a tab that was logged in has it
//   needs    a selector without which the page's data do not stand yet
//   faster   { ms: ms }: timers of the page that would make a measurement take minutes
export function inside({ secret, needs, faster }) {
  if (!location.protocol.startsWith("http")) return;
  sessionStorage.setItem("overwinter.session", secret);
  const frame = requestAnimationFrame.bind(globalThis);
  const timer = setTimeout.bind(globalThis);
  const kPatienceMs = 60_000;
  const budget = { shift: 0, frames: new Map(), draws: [], counted: undefined };
  globalThis.budget = budget;

  // Resolves with the time at which the frame that has it was handed to the screen.
  budget.shown = (condition) => new Promise((done, failed) => {
    let found = false;
    timer(() => failed(new Error(`not shown in ${kPatienceMs / 1000} s: ${condition}`)), kPatienceMs);
    const look = () => {
      if (found || !condition()) return;
      found = true;
      observer.disconnect();
      frame(() => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => done(performance.now());
        port2.postMessage(0);
      });
    };
    const observer = new MutationObserver(look);
    observer.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
    look();
  });
  budget.settled = () => document.querySelector("main h1") !== null && document.querySelector(".skeleton") === null &&
    (!needs || document.querySelector(needs) !== null);
  budget.data = budget.shown(budget.settled);
  budget.data.catch(() => undefined); // who waits for it hears of it

  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) budget.shift += entry.value;
  }).observe({ type: "layout-shift", buffered: true });

  // ---- how long callbacks take, with the microtasks behind them: Preact and uPlot draw there
  const timed = (callback, before, after) => function (...given) {
    const kept = before?.();
    const begin = performance.now();
    try {
      return callback.apply(this, given);
    } finally {
      queueMicrotask(() => queueMicrotask(() => after(performance.now() - begin, kept)));
    }
  };
  const drawn = new Set();
  const clear = CanvasRenderingContext2D.prototype.clearRect;
  CanvasRenderingContext2D.prototype.clearRect = function (...given) {
    if (this.canvas.closest(".plot")) drawn.add(this.canvas);
    return clear.apply(this, given);
  };
  const noteDraws = (ms) => {
    if (drawn.size > 0) budget.draws.push({ ms, charts: drawn.size });
    drawn.clear();
  };

  // By the function that is called: the page's flush is always the same one. `at`: the frame's number.
  let frames = 0;
  const next = () => {
    frames += 1;
    frame(next);
  };
  frame(next);
  globalThis.requestAnimationFrame = (callback) => frame(timed(callback, () => budget.counted?.before(), (ms, kept) => {
    budget.counted?.after(kept);
    noteDraws(ms);
    const all = budget.frames.get(callback) ?? [];
    if (all.length === 0) budget.frames.set(callback, all);
    all.push({ ms, at: frames });
  }));
  globalThis.setTimeout = (callback, ms, ...given) => typeof callback === "function"
    ? timer(timed(callback, undefined, noteDraws), faster?.[ms] ?? ms, ...given) : timer(callback, ms, ...given);

  // The times of the callback that came most often since the last look, and how many came to one frame.
  budget.flushes = () => {
    const most = [...budget.frames.values()].reduce((a, b) => (b.length > a.length ? b : a), []);
    const aFrame = new Map();
    for (const { at } of most) aFrame.set(at, (aFrame.get(at) ?? 0) + 1);
    budget.frames.clear();
    return { times: most.map(({ ms }) => ms), most: Math.max(0, ...aFrame.values()) };
  };

  // Values that each frame's callbacks change under `selector`, and what was done to the document for it.
  budget.count = (selector) => {
    const root = document.querySelector(selector);
    const out = { mutations: 0, values: 0, nodes: 0 };
    const seen = (records) => {
      for (const record of records) {
        out.mutations += 1;
        if (record.type === "childList") out.nodes += record.addedNodes.length + record.removedNodes.length;
      }
    };
    const observer = new MutationObserver(seen);
    observer.observe(root, { subtree: true, childList: true, characterData: true, attributes: true });
    const look = () => {
      const values = new Map();
      const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
      for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
        if (node.nodeType === Node.TEXT_NODE) values.set(node, [node.data]);
        else values.set(node, [...node.attributes].flatMap(({ name, value }) => name === "style"
          ? [...node.style].map((one) => one + ":" + node.style.getPropertyValue(one)) : [name + "=" + value]));
      }
      return values;
    };
    budget.counted = {
      before: look,
      after: (before) => {
        if (!before) return;
        seen(observer.takeRecords());
        for (const [node, values] of look()) {
          const old = before.get(node) ?? [];
          out.values += values.filter((value, i) => value !== old[i]).length;
        }
      },
    };
    return () => {
      budget.counted = undefined;
      observer.disconnect();
      return out;
    };
  };
}
