// The page's budget (DASHBOARD §11) in real Chromium: what it may cost, what it costs, whether that is met. Times are
// of this machine: nothing else should run. Ends with 1 only where something could not be measured.
//
//   node browser/budget.mjs --url https://127.0.0.1:7601 --token-file admin.token --job projects/P/jobs/J --log-job projects/P/jobs/L
//       [--jobs 100000] [--only first-look,many-jobs,many-workers,charts,long-log] [--browser chromium]
//   --job has curves and has ended; --log-job has printed 1,000,000 lines; --jobs are in the list. tests/bench/page_budget.py makes all of it.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { charts } from "./budget/charts.mjs";
import { firstLook } from "./budget/first_look.mjs";
import { longLog } from "./budget/long_log.mjs";
import { manyJobs } from "./budget/many_jobs.mjs";
import { manyWorkers } from "./budget/many_workers.mjs";
import { kRun, Synthetic } from "./budget/synthetic.mjs";
import { print } from "./budget/table.mjs";
import { Browser } from "./budget/tabs.mjs";

const { values } = parseArgs({
  options: {
    url: { type: "string" }, "token-file": { type: "string" }, job: { type: "string" }, "log-job": { type: "string" },
    jobs: { type: "string", default: "100000" }, only: { type: "string" }, browser: { type: "string", default: "/usr/bin/chromium" },
  },
});

const program = await chromium.launch({ executablePath: values.browser, args: ["--no-sandbox", "--enable-precise-memory-info"] });
const browser = new Browser(program, values.url, readFileSync(values["token-file"], "utf8").trim());
await browser.logIn();
const synthetic = await Synthetic.start(browser, { job: values.job });

// Of the real log: what arrived of it, what of that its bound (16 MiB) has left at its end, and a line at nine tenths.
async function realLog() {
  const numberAt = async (query) => {
    const { lines } = await browser.ask(`${values["log-job"]}/logs${query}`);
    return Number((query === "" ? lines.at(-1) : lines.find((one) => one.linesLost === undefined)).number);
  };
  const last = await numberAt("");
  const first = await numberAt(`?from=${Math.floor(last * 0.02)}`);
  const told = (count) => count.toLocaleString("en");
  return { what: `the last ${told(last - first + 1)} of ${told(last)} log lines of a real job`, line: await numberAt(`?from=${Math.floor(last * 0.9)}`) };
}

const groups = {
  "first-look": () => firstLook(browser, { job: values.job }),
  "many-jobs": () => manyJobs(browser, { jobs: Number(values.jobs) }),
  "many-workers": () => manyWorkers(browser, synthetic),
  "charts": () => charts(browser, synthetic),
  "long-log": async () => [
    ...await longLog(browser, { name: kRun, base: synthetic.url, what: "1,000,000 log lines", line: 900_000 }),
    ...await longLog(browser, { name: values["log-job"], base: values.url, ...await realLog() }),
  ],
};

const chosen = values.only?.split(",") ?? Object.keys(groups);
const rows = [];
let failed = false;
for (const name of chosen) {
  const begin = Date.now();
  try {
    if (!groups[name]) throw new Error(`there is no such group; there are ${Object.keys(groups).join(", ")}`);
    rows.push(...await groups[name]());
  } catch (problem) {
    failed = true;
    console.error(problem);
    rows.push({ what: name, budget: "", measured: `not measured: ${String(problem.message).split("\n")[0]}`, met: "" });
  }
  console.error(`${name}: ${((Date.now() - begin) / 1000).toFixed(0)} s`);
}
console.log(`Chromium ${program.version()}; ${new Date().toISOString().slice(0, 16)}Z\n`);
print(rows);
synthetic.stop();
await program.close();
process.exit(failed ? 1 : 0);
