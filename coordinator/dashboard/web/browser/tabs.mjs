// Ten tabs of one browser, by its own protocol: a driver that keeps every tab "visible" would hide what is
// tested. All of them must load, and only the one in front may follow events: a browser opens six connections
// to a host and no more, so that streams of hidden tabs would starve the rest in silence.
//
//   node browser/tabs.mjs --url https://127.0.0.1:7601 --token-file admin.token [--browser chromium]
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: { url: { type: "string" }, "token-file": { type: "string" }, browser: { type: "string", default: "/usr/bin/chromium" } },
});
const kTabs = 10;
const kPatienceMs = 60_000;
const kHiddenMs = 7_000; // the page gives its stream up after five seconds in the background
const token = readFileSync(values["token-file"], "utf8").trim();
const folder = mkdtempSync(join(tmpdir(), "tabs-"));
const problems = [];

const program = spawn(values.browser, ["--headless=new", "--no-sandbox", "--ignore-certificate-errors", "--remote-debugging-port=0",
  `--user-data-dir=${folder}`, "about:blank"], { stdio: ["ignore", "ignore", "pipe"] });
const address = await new Promise((found, failed) => {
  let text = "";
  program.stderr.on("data", (more) => {
    text += more;
    const match = /DevTools listening on (\S+)/.exec(text);
    if (match) found(match[1]);
  });
  program.on("exit", () => failed(new Error("the browser ended: " + text)));
});

const socket = new WebSocket(address);
await new Promise((done) => socket.addEventListener("open", done));
const waiting = new Map();
const streams = new Map(); // request → session, of streams that are open
let last = 0;
socket.addEventListener("message", ({ data }) => {
  const { id, result, error, method, params, sessionId } = JSON.parse(data);
  if (id !== undefined) {
    const { done, failed } = waiting.get(id);
    waiting.delete(id);
    if (error) failed(new Error(error.message));
    else done(result);
  } else if (method === "Network.requestWillBeSent" && params.request.url.includes("/api/v1/events")) streams.set(params.requestId, sessionId);
  else if (method === "Network.loadingFinished" || method === "Network.loadingFailed") streams.delete(params.requestId);
  else if (method === "Runtime.exceptionThrown") problems.push(params.exceptionDetails.text);
});
const send = (method, params = {}, sessionId = undefined) => new Promise((done, failed) => {
  waiting.set(++last, { done, failed });
  socket.send(JSON.stringify({ id: last, method, params, sessionId }));
});
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
async function open(url) {
  const { targetId } = await send("Target.createTarget", { url });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  await send("Network.enable", {}, sessionId);
  await send("Runtime.enable", {}, sessionId);
  return { targetId, sessionId };
}
async function ask(tab, expression) {
  const { result } = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true }, tab.sessionId);
  return result.value;
}
// A question that meets a tab between two documents is refused ("Cannot find default execution context"): asked again.
async function until(what, condition) {
  let refused = "";
  for (const end = Date.now() + kPatienceMs; Date.now() < end; await pause(100)) {
    try {
      if (await condition()) return;
    } catch (error) {
      refused = ` (${error.message})`;
    }
  }
  problems.push(what + ": not within a minute" + refused);
}
const isShown = "document.querySelector('main h1') !== null && document.querySelector('.skeleton') === null";

const first = await open(values.url + "/login");
await until("login page", () => ask(first, "document.querySelector('#credential') !== null"));
await ask(first, `document.querySelector('#credential').value = ${JSON.stringify(token)}; document.querySelector('button.primary').click()`);
await until("login", () => ask(first, "location.pathname === '/' && " + isShown));
const tabs = [first];
for (const path of ["/jobs", "/workers", "/", "/jobs", "/workers", "/audit", "/jobs", "/", "/workers"].slice(0, kTabs - 1)) {
  const tab = await open(values.url + path);
  await until(`tab ${tabs.length + 1} (${path})`, () => ask(tab, `location.pathname === '${path}' && ${isShown}`));
  tabs.push(tab);
}
await pause(kHiddenMs);
const visible = [];
for (const tab of tabs) if (await ask(tab, "document.visibilityState") === "visible") visible.push(tab.sessionId);
const following = [...new Set(streams.values())];
if (following.length > Math.max(1, visible.length)) problems.push(`${following.length} tabs follow events, ${visible.length} are looked at`);
// A tab that comes back follows again, and still loads what it wants.
await send("Target.activateTarget", { targetId: first.targetId });
await until("the first tab follows again", () => [...streams.values()].includes(first.sessionId));
await ask(first, "document.querySelector('a[href=\"/jobs\"]').click()");
await until("it goes on", () => ask(first, "location.pathname === '/jobs' && " + isShown));

const ended = new Promise((done) => program.once("exit", done));
await send("Browser.close").catch(() => undefined);
await ended;
rmSync(folder, { recursive: true, force: true });
for (const problem of problems) console.error(problem);
console.log(`${tabs.length} tabs, ${visible.length} visible, ${following.length} streams: ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
