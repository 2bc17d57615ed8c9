// A real browser comes as `overwinter dashboard` sends it: by a file that leads on to the forwarder's
// address with a login code. Fails on a script error, a code that stays somewhere, and a session that a
// reload or a second tab has not got.
//
//   node browser/forwarded.mjs --file page.html [--browser chromium]
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const { values } = parseArgs({ options: { file: { type: "string" }, browser: { type: "string", default: "/usr/bin/chromium" } } });
const kPatienceMs = 60_000;
const problems = [];

const browser = await chromium.launch({ executablePath: values.browser, args: ["--no-sandbox"] });
const context = await browser.newContext();
context.setDefaultTimeout(kPatienceMs);
function watched(page) {
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => { if (message.type() === "error") problems.push(message.text()); });
}
const shown = (page) => page.waitForFunction(() =>
  location.pathname === "/" && document.querySelector("main h1") !== null && document.querySelector(".skeleton") === null);

const page = await context.newPage();
watched(page);
let code = "";
page.on("request", (request) => { if (request.url().endsWith("session:open")) code = JSON.parse(request.postData() ?? "{}").code ?? ""; });
await page.goto("file://" + values.file);
await shown(page);
if (!code.startsWith("ow1_")) problems.push("the code was not posted");
const kept = await page.evaluate(() => [location.href, document.cookie, document.documentElement.outerHTML, { ...localStorage }, { ...sessionStorage }]);
if (JSON.stringify(kept).includes(code)) problems.push("the code was kept");
const cookies = await context.cookies();
const port = new URL(page.url()).port;
if (cookies.length !== 1 || cookies[0].name !== `overwinter-${port}` || !cookies[0].httpOnly || cookies[0].sameSite !== "Strict") {
  problems.push(`cookies: ${cookies.map((one) => one.name).join(", ")}`);
}

await page.reload();
await shown(page);
const second = await context.newPage();
watched(second);
await second.goto(new URL("/", page.url()).href);
await shown(second);

await browser.close();
for (const problem of problems) console.error(problem);
console.log(`${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
