// The list of 100,000 real jobs: rows, turning a page, and a page as far back as there are.
import { heap } from "./tabs.mjs";
import { always, kRuns, median, row } from "./table.mjs";

const kPage = 50;
const kFar = 2000; // the page that must cost what the first does
const kQueries = 20; // a run
const kSameTime = 1.25; // of the first page's, or kSameMs more
const kSameMs = 2;
const kSameHeap = 1e6;

const list = (token) => `projects/-/jobs?filter=&orderBy=create_time%20desc&pageSize=${kPage}&pageToken=${encodeURIComponent(token)}`;

// A click on the way to the next page of the list, until other rows stand.
const turn = (page) => page.evaluate(async () => {
  const first = () => document.querySelector("a.row-link")?.id;
  const before = first();
  const button = [...document.querySelectorAll("nav.pages button")].find((one) => one.textContent?.includes("older"));
  performance.clearResourceTimings();
  const begin = performance.now();
  button.click();
  const end = await globalThis.budget.shown(() => first() !== undefined && first() !== before && document.querySelector(".skeleton") === null);
  const [asked] = performance.getEntriesByType("resource").filter((entry) => entry.name.includes("/jobs?"));
  return { ms: end - begin, bytes: asked?.transferSize ?? NaN, rows: document.querySelectorAll("a.row-link").length };
});

const queries = (page, path) => page.evaluate(async ([to, count]) => {
  const times = [];
  for (let i = 0; i < count; i += 1) {
    const begin = performance.now();
    await (await fetch("/api/v1/" + to, { headers: { "Overwinter-Session": sessionStorage.getItem("overwinter.session") }, cache: "no-store" })).text();
    times.push(performance.now() - begin);
  }
  return times;
}, [path, kQueries]);

export async function manyJobs(browser, { jobs }) {
  // Page by page, as somebody would get there.
  let token = "";
  let before = "";
  let seen = 0;
  let total = 0;
  for (let i = 1; i < Math.min(kFar, Math.floor(jobs / kPage)); i += 1) {
    const answer = await browser.ask(list(token));
    seen += answer.jobs.length;
    total ||= Number(answer.totalSize);
    before = token;
    token = answer.nextPageToken;
    if (token === "") throw new Error(`the list ends after ${seen} jobs`);
  }
  const far = seen / kPage + 1;
  const opened = [];
  const turns = [];
  const farTurns = [];
  const atOnce = [];
  const sizes = { near: [], far: [] };
  const times = { near: [], far: [] };
  const heaps = { near: [], far: [] };
  for (let i = 0; i < kRuns; i += 1) {
    await browser.visit(async (page, devtools) => {
      await page.goto(browser.url + "/");
      await page.evaluate(() => globalThis.budget.data);
      opened.push(await page.evaluate(async () => {
        const begin = performance.now();
        document.querySelector('header a[href="/jobs"]').click();
        return await globalThis.budget.shown(() => document.querySelectorAll("a.row-link").length >= 50) - begin;
      }));
      heaps.near.push(await heap(devtools));
      times.near.push(median(await queries(page, list(""))));
      for (let k = 0; k < 3; k += 1) {
        const one = await turn(page);
        turns.push(one.ms);
        sizes.near.push(one.bytes / 1000);
      }
    });
    await browser.visit(async (page) => {
      await page.goto(`${browser.url}/jobs?page=${encodeURIComponent(before)}`);
      await page.evaluate(() => globalThis.budget.data);
      atOnce.push((await turn(page)).ms);
    }, { needs: "a.row-link" });
    // As page 1 is turned: when it has stood for a moment, and nobody's hand is faster.
    await browser.visit(async (page) => {
      await page.goto(`${browser.url}/jobs?page=${encodeURIComponent(before)}`);
      await page.evaluate(() => globalThis.budget.data);
      times.far.push(median(await queries(page, list(token))));
      const one = await turn(page);
      farTurns.push(one.ms);
      sizes.far.push(one.bytes / 1000);
    }, { needs: "a.row-link" });
    await browser.visit(async (page, devtools) => {
      await page.goto(browser.url + "/");
      await page.evaluate(() => globalThis.budget.data);
      await page.evaluate(async (to) => {
        history.pushState({}, "", to);
        dispatchEvent(new PopStateEvent("popstate", { state: {} }));
        await globalThis.budget.shown(() => document.querySelectorAll("a.row-link").length >= 50);
      }, `/jobs?page=${encodeURIComponent(token)}`);
      heaps.far.push(await heap(devtools));
    });
  }
  const count = jobs.toLocaleString("en");
  const limit = Math.max(median(times.near) * kSameTime, median(times.near) + kSameMs);
  return [
    row(`/jobs of ${count}, rows after a click on Jobs`, "s", 0.3, opened.map((ms) => ms / 1000), `of ${total.toLocaleString("en")} jobs by the API`),
    row("a page turned", "s", 0.15, turns.map((ms) => ms / 1000)),
    row(`page ${far.toLocaleString("en")} turned to`, "s", 0.15, farTurns.map((ms) => ms / 1000)),
    row("the same in the moment that its data stand first, its page still loading", "s", undefined, atOnce.map((ms) => ms / 1000)),
    row("a page of 50 over the wire", "kB", 40, [...sizes.near, ...sizes.far]),
    row("the query of page 1", "ms", undefined, times.near),
    row(`the query of page ${far.toLocaleString("en")}`, "ms", Number(limit.toFixed(1)), times.far, "the same: at most 1.25 of page 1, or 2 ms more"),
    row("heap on page 1", "MB", undefined, heaps.near.map((bytes) => bytes / 1e6)),
    row(`heap on page ${far.toLocaleString("en")}`, "MB", Number(((median(heaps.near) + kSameHeap) / 1e6).toFixed(1)), heaps.far.map((bytes) => bytes / 1e6), "the same: at most 1 MB more"),
    always(`page ${far.toLocaleString("en")} has its rows`, "50", [seen === (far - 1) * kPage]),
  ];
}
