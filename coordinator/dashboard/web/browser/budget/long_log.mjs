// A log of a million lines: opened at its end, a line far off linked to, read back from there.
import { heap, kViewport, pause } from "./tabs.mjs";
import { kRuns, row } from "./table.mjs";

const kReadBack = 80; // looks upwards, each of which may fetch a block

// `line`: the one that is linked to.
export async function longLog(browser, { name, base, what, line }) {
  const opened = [];
  const jumped = [];
  const linked = [];
  const grown = [];
  const rows = [];
  let kept = "";
  const has = `.log-row [href="#L${line}"]`;
  for (let i = 0; i < kRuns + 1; i += 1) {
    await browser.visit(async (page, devtools) => {
      // From a page of the same job, with what both need at hand.
      await page.goto(`${base}/${name}`);
      await page.evaluate(() => globalThis.budget.data);
      await pause(page, 500);
      const before = await heap(devtools);
      const open = await page.evaluate(async () => {
        const begin = performance.now();
        document.querySelector('#logs a[href$="/logs"]').click();
        return await globalThis.budget.shown(() => document.querySelectorAll(".log-row").length > 10) - begin;
      });
      const seen = [await page.evaluate(() => document.querySelectorAll(".log-row").length)];
      await page.goBack();
      await page.waitForSelector("#logs .tail a");
      // As the links of the last lines are.
      const jump = await page.evaluate(async ([hash, wanted]) => {
        const link = document.querySelector("#logs .tail a");
        link.hash = hash;
        const begin = performance.now();
        link.click();
        const end = await globalThis.budget.shown(() => {
          const box = document.querySelector(".log-scroll")?.getBoundingClientRect();
          const at = document.querySelector(".log-rows")?.parentElement.querySelector(wanted)?.getBoundingClientRect();
          return box !== undefined && at !== undefined && at.top >= box.top && at.bottom <= box.bottom;
        });
        return end - begin;
      }, [`#L${line}`, has]);
      for (let k = 0; k < kReadBack; k += 1) {
        seen.push(await page.evaluate(() => {
          document.querySelector(".log-scroll").scrollTop -= 9000;
          return new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(document.querySelectorAll(".log-row").length), 30)));
        }));
      }
      const after = await heap(devtools);
      kept = await page.evaluate(() => document.querySelector(".log-row .gutter a")?.textContent ?? "");
      if (i === 0) return; // the first wakes programs up
      opened.push(open / 1000);
      jumped.push(jump / 1000);
      grown.push((after - before) / 1e6);
      rows.push(Math.max(...seen));
      await page.goto("about:blank");
      await page.goto(`${base}/${name}/logs#L${line}`);
      await page.waitForSelector(has);
      linked.push(await page.evaluate(() => globalThis.budget.data) / 1000);
    }, { needs: "main" });
  }
  return [
    row(`${what}: open`, "s", 0.5, opened),
    row(`#L${line} by a link of the job's page`, "s", 0.3, jumped),
    row(`#L${line} as an address of its own`, "s", undefined, linked, "page, session and block"),
    row("log rows in the document", "rows", 80, rows, `${kViewport.width} × ${kViewport.height}`),
    row("heap more than on the job's page", "MB", 30, grown, `read back to line ${kept}`),
  ];
}
