// 10,000 workers of which 1,000 change a second, in a stream of events.
import { pause } from "./tabs.mjs";
import { always, kRuns, quantile, row } from "./table.mjs";

const kPerSecond = 1000;
const kRunMs = 3000;
const kBursts = 5;
const kRowsMax = 60;
const kScrolledTo = 4000; // rows

export async function manyWorkers(browser, synthetic) {
  return browser.visit(async (page) => {
    await page.goto(synthetic.url + "/workers");
    await page.evaluate(() => globalThis.budget.data);
    while (synthetic.streams.size === 0) await pause(page, 50);
    // In the middle of the list: a row that has the focus, a name that is selected.
    const place = await page.evaluate(async (rows) => {
      const height = document.querySelector("tr[aria-rowindex]").offsetHeight;
      scrollTo(0, rows * height);
      await globalThis.budget.shown(() => Number(document.querySelector("tr[aria-rowindex]").getAttribute("aria-rowindex")) > rows / 2);
      const seen = [...document.querySelectorAll("tr[aria-rowindex]")];
      const inSight = seen.filter((one) => one.getBoundingClientRect().top > 100);
      inSight[3].querySelector("a.row-link").focus({ preventScroll: true });
      const name = document.createTreeWalker(inSight[5].querySelector("a.row-link"), NodeFilter.SHOW_TEXT).nextNode();
      getSelection().setBaseAndExtent(name, 0, name, name.data.length);
      globalThis.before = { focus: document.activeElement, text: name, scroll: scrollY };
      const first = Number(seen[0].getAttribute("aria-rowindex")) - 2;
      return { inView: [first, first + seen.length], name: name.data };
    }, kScrolledTo);
    const { inView } = place;
    const isKept = () => page.evaluate((name) => {
      const { focus, text, scroll } = globalThis.before;
      return [document.activeElement === focus && focus.isConnected, String(getSelection()) === name && getSelection().anchorNode === text, scrollY === scroll];
    }, place.name);

    const p50 = [];
    const p95 = [];
    const aFrame = [];
    const rows = [];
    const kept = [];
    let rate = 0;
    for (let i = 0; i < kRuns; i += 1) {
      await page.evaluate(() => globalThis.budget.flushes());
      const end = synthetic.follow({ perSecond: kPerSecond, inView });
      await pause(page, kRunMs);
      const { events, seconds } = end();
      const { times, most } = await page.evaluate(() => globalThis.budget.flushes());
      if (times.length < 3) throw new Error(`${times.length} flushes in ${kRunMs} ms: they were not told apart`);
      rate = events / seconds;
      p50.push(quantile(times, 0.5));
      p95.push(quantile(times, 0.95));
      aFrame.push(most);
      rows.push(await page.evaluate(() => document.querySelectorAll("tr[aria-rowindex]").length));
      kept.push(await isKept());
    }
    const bursts = [];
    for (let i = 0; i < kBursts; i += 1) {
      await page.evaluate(() => globalThis.budget.flushes());
      const end = synthetic.follow({ perSecond: kPerSecond, atOnce: true, inView });
      await pause(page, 1500);
      end();
      bursts.push(Math.max(...(await page.evaluate(() => [...globalThis.budget.frames.values()].flat().map(({ ms }) => ms)))));
    }
    const counts = [];
    for (let i = 0; i < kRuns; i += 1) {
      const stop = await page.evaluateHandle(() => globalThis.budget.count("table.workers tbody"));
      const end = synthetic.follow({ perSecond: kPerSecond, inView });
      await pause(page, kRunMs);
      end();
      counts.push(await stop.evaluate((done) => done()));
    }
    kept.push(await isKept());
    const sum = (key) => counts.reduce((all, one) => all + one[key], 0);
    return [
      row("10,000 workers, 1,000 events a second: rows in the document", "rows", kRowsMax, rows),
      row("a flush, p95 of 3 s", "ms", 2, p95, `p50 ${quantile(p50, 0.5).toFixed(1)} ms; ${Math.round(rate)} events a second`),
      row("flushes in one frame", "flushes", 1, aFrame),
      row("a flush of 1,000 changes that come at once, as a coordinator sends them", "ms", undefined, bursts),
      always("mutations are changed values, runs", "the same number", counts.map((one) => one.values > 0 && one.mutations === one.values && one.nodes === 0),
        `${sum("mutations")} mutations for ${sum("values")} values, ${sum("nodes")} nodes made or removed`),
      ...["focus", "selection", "scroll"].map((what, i) => always(`${what} kept, runs`, "always", kept.map((one) => one[i]))),
    ];
  }, { needs: "a.row-link" });
}
