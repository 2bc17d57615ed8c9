// A first look at a page of the real coordinator: nothing cached, a new connection.
import { pause } from "./tabs.mjs";
import { kRuns, row } from "./table.mjs";

const kShiftsForMs = 1000; // data that come late would push what stands

export async function firstLook(browser, { job }) {
  const rows = [];
  for (const [name, path, needs] of [["/jobs", "/jobs", "a.row-link"], ["a job's page", "/" + job, ".plot canvas"]]) {
    for (const slower of [1, 4]) {
      const runs = [];
      for (let i = 0; i < kRuns + 1; i += 1) {
        const run = await browser.visit(async (page) => {
          await page.goto(browser.url + path);
          const data = await page.evaluate(() => globalThis.budget.data);
          await pause(page, kShiftsForMs);
          return page.evaluate((at) => {
            const asked = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
              .filter((entry) => entry.startTime < at);
            return {
              paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN, data: at, shift: globalThis.budget.shift,
              requests: asked.length, questions: asked.filter((entry) => entry.name.includes("/api/")).length,
              bytes: asked.reduce((sum, entry) => sum + entry.transferSize, 0),
            };
          }, data);
        }, { needs, slower });
        if (i > 0) runs.push(run); // the first wakes programs up
      }
      const of = (key, by = 1) => runs.map((run) => run[key] / by);
      const how = slower === 1 ? "" : `, processor ${slower} × slower`;
      rows.push(row(`${name}, first paint${how}`, "s", slower === 1 ? 0.3 : 0.8, of("paint", 1000)));
      rows.push(row(`${name}, data${how}`, "s", slower === 1 ? 0.8 : 1.8, of("data", 1000), `${Math.round(runs[0].bytes / 1000)} kB`));
      rows.push(row(`${name}, layout shift${how}`, "", 0.02, of("shift")));
      if (slower === 1) rows.push(row(`${name}, requests until its data stand`, "requests", 6, of("requests"), `${runs[0].questions} of them of the API`));
    }
  }
  return rows;
}
