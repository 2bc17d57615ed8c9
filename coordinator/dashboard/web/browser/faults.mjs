// The page while things break: the coordinator and a worker are killed, the network is cut. What was shown
// stays, says how old it is, and goes on by itself. Who started this does the killing: a line with what
// to do is written, and one line is read once it is done.
//
//   node browser/faults.mjs --url https://127.0.0.1:7601 --token-file admin.token --job projects/P/jobs/J [--browser chromium]
//   asks for: kill coordinator | start coordinator | kill worker NAME | start worker NAME
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const { values } = parseArgs({
  options: { url: { type: "string" }, "token-file": { type: "string" }, job: { type: "string" }, browser: { type: "string", default: "/usr/bin/chromium" } },
});
const kPatienceMs = 60_000;
const kStripWithinMs = 30_000;
const axe = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const token = readFileSync(values["token-file"], "utf8").trim();
const problems = [];
const replies = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function please(what) {
  console.log(what);
  await replies.next();
}

// The network between browser and coordinator: cut, nothing is refused, nothing arrives.
const pairs = new Set();
let isCut = false;
const own = new URL(values.url);
const relay = createServer((from) => {
  const to = connect(Number(own.port), own.hostname);
  const pair = [from, to];
  pairs.add(pair);
  for (const one of pair) one.on("error", () => undefined).on("close", () => { from.destroy(); to.destroy(); pairs.delete(pair); });
  if (isCut) return;
  from.pipe(to);
  to.pipe(from);
});
await new Promise((done) => relay.listen(0, "127.0.0.1", done));
const url = `https://127.0.0.1:${relay.address().port}`;
function cut() {
  isCut = true;
  for (const [from, to] of pairs) {
    from.unpipe(to).pause();
    to.unpipe(from).pause();
  }
}
function mend() {
  isCut = false;
  for (const [from, to] of pairs) {
    from.destroy();
    to.destroy();
  }
}

const browser = await chromium.launch({ executablePath: values.browser, args: ["--no-sandbox"] });
const context = await browser.newContext({ ignoreHTTPSErrors: true, reducedMotion: "reduce" });
context.setDefaultTimeout(kPatienceMs);
const page = await context.newPage();
page.on("pageerror", (error) => problems.push(error.message));
const check = async (what, done) => { if (!await done) problems.push(what); };
const wait = (what, condition, argument, timeout = kPatienceMs) =>
  page.waitForFunction(condition, argument, { timeout }).catch(() => problems.push(`${what}: not within ${timeout / 1000} s`));
const settled = () => wait("it settles", () => document.querySelector("main h1") !== null && document.querySelector(".skeleton") === null);
const step = () => page.evaluate(() => Number(/step ([\d,]+)/.exec(document.querySelector(".job-progress")?.textContent ?? "")?.[1]?.replace(/,/g, "") ?? -1));
async function axeIn(state) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  for (const one of found.violations) problems.push(`${state}: axe ${one.id}: ${one.nodes[0]?.target.join(" ")}`);
}
// Out of contact: old data look old, and nothing can be done to them.
async function isOld(state) {
  await wait(`${state}: the strip`, () => document.querySelector(".strip")?.textContent?.includes("No contact for"), undefined, kStripWithinMs);
  await check(`${state}: what was shown is gone`, page.evaluate(() => document.querySelector(".headline .state") !== null && document.querySelectorAll(".plot canvas").length > 0));
  await check(`${state}: it does not say that it is old`, page.evaluate(() => document.documentElement.classList.contains("stale") && document.querySelector(".clock")?.textContent?.includes("no contact")));
  await check(`${state}: actions are on`, page.evaluate(() => [...document.querySelectorAll(".actions button")].every((button) => button.disabled)));
  await axeIn(state);
}
async function isLive(state, before) {
  await wait(`${state}: live again`, () => document.querySelector(".strip") === null && document.querySelector(".clock")?.textContent?.includes("live"));
  await wait(`${state}: it goes on`, (old) => Number(/step ([\d,]+)/.exec(document.querySelector(".job-progress")?.textContent ?? "")?.[1]?.replace(/,/g, "") ?? -1) > old, before);
  await wait(`${state}: actions are on again`, () => document.querySelector(".actions button")?.disabled === false);
}

await page.goto(url + "/login?next=" + encodeURIComponent("/" + values.job));
await page.fill("#credential", token);
await page.click("button.primary");
await page.waitForURL(url + "/" + values.job);
await page.waitForRequest(/api.v1.events/);
await settled();
await page.waitForSelector(".plot canvas");
await wait("it trains", () => document.querySelector(".headline .state")?.textContent === "RUNNING");

let before = await step();
await please("kill coordinator");
await isOld("coordinator killed");
await please("start coordinator");
await isLive("coordinator back", before);

before = await step();
cut();
await isOld("network cut");
mend();
await page.click(".strip button").catch(() => undefined); // retry now
await isLive("network back", before);

// The worker that it runs on.
const worker = await page.evaluate(() => document.querySelector("#memory .device-list a")?.textContent ?? "");
const attempt = await page.evaluate(() => Number(/attempt (\d+)/.exec(document.querySelector(".headline")?.textContent ?? "")?.[1] ?? 1));
await page.waitForSelector(".events li");
await please("kill worker " + worker);
await wait("the job tells of the loss", ([name, number]) => [...document.querySelectorAll(".events li")].some((one) => one.textContent?.includes(`attempt ${number} ended`) && one.textContent.includes(name)), [worker, attempt]);
await wait("it begins anew", (number) => Number(/attempt (\d+)/.exec(document.querySelector(".headline")?.textContent ?? "")?.[1] ?? 1) > number, attempt);
await check("the curve before is gone", page.evaluate(() => document.querySelectorAll(".plot canvas").length > 0));
const second = await context.newPage();
await second.goto(url + "/workers");
await second.waitForFunction((name) => document.getElementById("row-" + name)?.closest("tr")?.textContent?.includes("LOST"), worker).catch(async () => problems.push("the workers' page does not show it lost: " + await second.textContent("main")));
await please("start worker " + worker);
await second.waitForFunction((name) => /READY|BUSY/.test(document.getElementById("row-" + name)?.closest("tr")?.textContent ?? ""), worker).catch(() => problems.push("the workers' page does not show it back"));

await browser.close();
relay.close();
mend();
for (const problem of problems) console.error(problem);
console.log(`faults: ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
