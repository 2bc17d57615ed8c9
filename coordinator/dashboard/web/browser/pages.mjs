// Every page of a running coordinator in a real browser: both themes, three widths. Fails on a script
// error or a report of the content policy, on a page that scrolls sideways, on text that is cut, on an
// axe violation, on a page without exactly one h1.
//
//   node browser/pages.mjs --url https://127.0.0.1:7601 --token-file admin.token [--pictures DIR] [--browser chromium]
import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const { values } = parseArgs({
  options: {
    url: { type: "string" },
    "token-file": { type: "string" },
    pictures: { type: "string" },
    browser: { type: "string", default: "/usr/bin/chromium" },
    widths: { type: "string", default: "360,768,1440" },
    themes: { type: "string", default: "light,dark" },
  },
});
const kHeight = 900;
const kPatienceMs = 60_000;
const axe = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const token = readFileSync(values["token-file"], "utf8").trim();
const widths = values.widths.split(",").map(Number);
const problems = [];
if (values.pictures) await mkdir(values.pictures, { recursive: true });

const browser = await chromium.launch({ executablePath: values.browser, args: ["--no-sandbox"] });
const context = await browser.newContext({ ignoreHTTPSErrors: true, reducedMotion: "reduce" });
context.setDefaultTimeout(kPatienceMs);

function watched(page, where) {
  page.on("dialog", (dialog) => {
    problems.push(`${where()}: something ran: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("pageerror", (error) => problems.push(`${where()}: ${error.message}`));
  page.on("console", (message) => {
    // A refusal that the page shows is a line of the console too.
    if (message.type() === "error" && !/status of 40[0-9]/.test(message.text())) problems.push(`${where()}: ${message.text()}`);
  });
}

async function settled(page) {
  await page.waitForFunction(() => document.querySelector("main h1") !== null && document.querySelector(".skeleton") === null);
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

// Text that is wider than where it stands, and what stands beyond the edge.
const misfits = () => {
  const out = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) out.push(`scrolls sideways: ${root.scrollWidth} of ${root.clientWidth}`);
  if (document.querySelectorAll("h1").length !== 1) out.push(`${document.querySelectorAll("h1").length} h1`);
  for (const element of document.querySelectorAll("main *")) {
    const box = element.getBoundingClientRect();
    if (box.width === 0 || element.closest(".visually-hidden, .log-scroll, .values, thead")) continue;
    if (box.right > root.clientWidth + 1) out.push(`beyond the edge: ${element.tagName}.${element.className} ${element.textContent?.slice(0, 40)}`);
    const style = getComputedStyle(element);
    if (element.childElementCount === 0 && element.scrollWidth > element.clientWidth + 1 && style.overflowX === "hidden" && element.clientWidth > 0) {
      out.push(`cut: ${element.className} ${element.textContent?.slice(0, 40)}`);
    }
  }
  return out.slice(0, 5);
};

async function look(page, name, width, theme) {
  const here = `${name} ${width} ${theme}`;
  for (const what of await page.evaluate(misfits)) problems.push(`${here}: ${what}`);
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  for (const violation of found.violations) {
    problems.push(`${here}: axe ${violation.id}: ${violation.nodes.slice(0, 3).map((node) => node.target.join(" ")).join("; ")}`);
  }
  if (values.pictures) await page.screenshot({ path: `${values.pictures}/${name}-${width}-${theme}.png`, fullPage: true });
}

// A tab, and what is looked at in it.
async function opened(here) {
  const tab = { page: await context.newPage(), here };
  watched(tab.page, () => tab.here);
  return tab;
}

async function atEveryWidth(name, at = tab) {
  at.here = name;
  const { page } = at;
  for (const theme of values.themes.split(",")) {
    await page.emulateMedia({ colorScheme: theme });
    for (const width of widths) {
      await page.setViewportSize({ width, height: kHeight });
      await settled(page);
      await look(page, name, width, theme);
      // What a phone folds is looked at too.
      const folded = await page.evaluate(() => [...document.querySelectorAll("details.panel")].map((one) => (one.open = true)).length);
      if (folded === 0) continue;
      await settled(page);
      await look(page, name + "-unfolded", width, theme);
    }
  }
}

const tab = await opened("login");
const { page } = tab;
await page.goto(values.url + "/login?next=%2Fjobs");
await atEveryWidth("login");
await page.fill("#credential", token);
await page.click("button.primary");
await page.waitForURL(values.url + "/jobs");
if ((await page.content()).includes(token)) problems.push("login: the token stands in the page");
if (JSON.stringify(await page.evaluate(() => [{ ...localStorage }, { ...sessionStorage }, document.cookie])).includes(token)) {
  problems.push("login: the token was kept");
}

// From inside the page, as its own code asks.
const ask = (path) => page.evaluate(async (to) => {
  const answer = await fetch("/api/v1/" + to, { headers: { "Overwinter-Session": sessionStorage.getItem("overwinter.session") } });
  return answer.json();
}, path);
const { jobs } = await ask("projects/-/jobs?pageSize=100");
const { workers } = await ask("workers");
const one = (state) => jobs.find((job) => job.state === state);
const shown = ["RUNNING", "SUCCEEDED", "FAILED", "QUEUED", "PAUSED"].map(one).filter(Boolean);
const trained = jobs.find((job) => job.spec?.train && job.progress.step !== "0");
if (trained && !shown.includes(trained)) shown.push(trained);

const visits = [["overview", "/"], ["jobs", "/jobs"], ["jobs-none", "/jobs?filter=name%3Dnothing-like-it"], ["jobs-bad-filter", "/jobs?filter=colour%3Dred"],
  ...shown.map((job) => [`job-${job.state.toLowerCase()}${job === trained ? "-train" : ""}`, "/" + job.name]),
  ...shown.filter((job) => job.state !== "QUEUED").map((job) => [`logs-${job.state.toLowerCase()}`, `/${job.name}/logs`]),
  ["audit", "/audit"], ["workers", "/workers"], ["workers-map", "/workers?view=map"], ...workers.slice(0, 1).map((worker) => ["worker", "/" + worker.name]),
  ["job-missing", "/projects/default/jobs/none-00000"], ["missing", "/nothing"]];
// Two at a time: the one waits while the other draws.
const toVisit = [...visits];
async function visit(at) {
  for (let next = toVisit.shift(); next; next = toVisit.shift()) {
    const [name, path] = next;
    at.here = name;
    await at.page.goto(values.url + path);
    await settled(at.page);
    await atEveryWidth(name, at);
  }
}
const other = await opened("overview");
await Promise.all([visit(tab), visit(other)]);
await other.page.close();

// Lines and names that want to be markup, to steer a terminal or to turn the reading order.
tab.here = "corpus";
const noisy = jobs.find((job) => job.labels?.says);
if (noisy) {
  await page.goto(`${values.url}/${noisy.name}/logs#L1`);
  await settled(page);
  await page.waitForSelector(".log-row");
  await page.waitForFunction(() => [...document.querySelectorAll(".log-row .text")].some((one) => one.textContent === "plain"))
    .catch(async () => problems.push(`corpus: the first line is not shown, but ${JSON.stringify((await page.textContent("main")).slice(0, 500))}`));
  const seen = await page.evaluate(() => ({
    text: [...document.querySelectorAll(".log-row .text")].map((one) => one.textContent).join("\n"),
    made: document.querySelectorAll(".log-row :is(script, svg, img, b), .log-row .text a").length,
    colours: document.querySelectorAll(".log-row .ansi-green, .log-row .ansi-red").length,
  }));
  for (const part of ["<script>alert(1)</script> U+202Ebidi", "\"><svg onload=alert(2)>", "a link moved", "30 %", "nul U+0001 bell U+0007", "isolate U+2066"]) {
    if (!seen.text.includes(part)) problems.push(`corpus: the log does not show ${JSON.stringify(part)}`);
  }
  if (/[\u0000-\u0008\u001b\u202e\u2066]|10 %|20 %/.test(seen.text)) problems.push("corpus: what should be named or gone is there");
  if (seen.made > 0 || seen.colours < 2) problems.push(`corpus: ${seen.made} elements out of text, ${seen.colours} coloured`);
  await page.goto(`${values.url}/${noisy.name}`);
  await settled(page);
  if (!(await page.textContent(".labels")).includes("<img src=x onerror=alert(1)>U+202E")) problems.push("corpus: the label is not as it is");
}

// A new tab asks the ones that are open, and needs no login.
tab.here = "second tab";
const { page: second } = await opened("second tab");
await second.goto(values.url + "/jobs");
await settled(second);
if (new URL(second.url()).pathname !== "/jobs") problems.push("second tab: it had to log in");

// What can be done with a job: asked about first, and told live afterwards.
tab.here = "actions";
const acted = jobs.find((job) => job.state === "RUNNING" && job.spec?.train);
if (acted) {
  await page.goto(values.url + "/" + acted.name);
  await settled(page);
  await page.click("button.cancel");
  await page.waitForSelector(".effects p bdi");
  await atEveryWidth("cancel");
  if ((await page.evaluate(() => document.activeElement?.textContent)) !== "Keep it") problems.push("actions: the safe answer has not got the focus");
  await page.keyboard.press("Escape");
  for (const [verb, state] of [["pause", "PAUSED"], ["resume", "RUNNING"]]) {
    await page.click(`button.${verb}`);
    await page.waitForSelector(".effects p bdi");
    await page.click(".choices button.primary");
    await page.waitForFunction((word) => document.querySelector(".headline .state")?.textContent?.includes(word), state)
      .catch(() => problems.push(`actions: the page did not show ${state}`));
  }
}

// The overview follows events, whatever there is to see.
tab.here = "overview follows";
{
  const asked = page.waitForRequest(/api.v1.events/, { timeout: 12_000 }).catch(() => problems.push("overview: it follows no events"));
  await page.goto(values.url + "/");
  await asked;
  await page.waitForFunction(() => [...document.querySelectorAll("#spend .spend > span")].length === 24).catch(() => problems.push("overview: no spend of 24 hours"));
  await page.click("#spend header button");
  await page.waitForSelector("#spend table");
  await atEveryWidth("overview-table");
}

// Curves: smoothed, on other axes, and a plot by keys.
tab.here = "curves";
if (acted) {
  await page.goto(`${values.url}/${acted.name}?smooth=0.9&x=elapsed&y=log`);
  await settled(page);
  await page.waitForSelector(".plot canvas");
  await atEveryWidth("curves-smooth");
  await page.focus(".plot");
  await page.keyboard.press("Home");
  await page.waitForFunction(() => document.querySelector(".readout")?.textContent?.includes("smoothed")).catch(() => problems.push("curves: keys read out no means"));
}

// Every column that can be ordered by, in the address and in the rows.
tab.here = "sort";
for (const [head, by] of [["Job", "name"], ["Cost", "cost"], ["State", "state"], ["ended", "endTime"]]) {
  await page.goto(values.url + "/jobs");
  await page.waitForSelector("a.row-link");
  await page.click(`th button.sort:has-text("${head}")`);
  await page.waitForURL(new RegExp(`sort=-?${by}`));
  await page.waitForFunction(() => document.querySelectorAll("th[aria-sort]").length === 1);
  const names = await page.evaluate(() => [...document.querySelectorAll("a.row-link")].map((link) => link.textContent));
  if (by === "name" && names.join() !== [...names].sort().join()) problems.push(`sort: ${names.join()} are not in order`);
  if (names.length !== jobs.length) problems.push(`sort by ${by}: ${names.length} of ${jobs.length} jobs`);
}

// While events come, what they tell is not asked for.
tab.here = "events";
const requests = [];
page.on("request", (request) => requests.push(new URL(request.url()).pathname + new URL(request.url()).search));
const followed = page.waitForRequest(/api.v1.events/);
await page.goto(values.url + "/jobs");
await settled(page);
await followed;
requests.length = 0;
await page.evaluate(() => new Promise((done) => setTimeout(done, 7000)));
const polls = requests.filter((path) => path.startsWith("/api/v1/projects/-/jobs"));
if (polls.length > 1) problems.push(`events: asked ${polls.length} times for the list that is followed`);

// By keys alone: the list, a row, its page, and back to where one was.
tab.here = "keys";
await page.goto(values.url + "/");
await settled(page);
await page.keyboard.press("b");
await page.waitForURL(values.url + "/jobs");
await page.waitForSelector("a.row-link");
await page.keyboard.press("j");
const row = await page.evaluate(() => document.activeElement?.id);
await page.keyboard.press("Enter");
await page.waitForURL(/\/projects\//);
await page.waitForFunction(() => document.activeElement?.tagName === "H1").catch(() => problems.push("keys: the title has not got the focus"));
await page.goBack();
await page.waitForSelector("a.row-link");
await page.waitForFunction((id) => document.activeElement?.id === id, row).catch(() => problems.push("keys: Back lost the row"));

await browser.close();
for (const problem of problems) console.error(problem);
console.log(`${visits.length + 1} pages, ${widths.length} widths, ${values.themes.split(",").length} themes: ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
