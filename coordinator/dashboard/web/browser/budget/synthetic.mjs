// A coordinator of 10,000 workers, long curves and a million lines: the built page and answers with the shapes of a real one,
// taken from it and varied. What no answer says of a real one here is its speed.
import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { gzipSync } from "node:zlib";

const kWorkers = 10_000;
const kSteps = 1000;
const kLines = 1_000_000;
const kBlock = 500;
const kMore = 50; // steps that a curve goes on by, one a question
const kTickMs = 4;
const kInView = 0.1; // of the changes: to rows that are looked at
const kTypes = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8", svg: "image/svg+xml" };
const dist = new URL("../../dist/", import.meta.url);
// What the pixels are looked at for: at these steps of the curves.
export const planted = { first: 1, last: kSteps, spike: 300, gap: [450, 520], odd: 620, restart: 800 };
export const kRun = "projects/default/jobs/run-00000";

const files = new Map();
for (const path of ["index.html", ...readdirSync(new URL("assets/", dist)).map((name) => "assets/" + name)]) {
  files.set("/" + path, { type: kTypes[path.split(".").pop()], packed: gzipSync(readFileSync(new URL(path, dist)), { level: 9 }) });
}

// Of a metric: a noisy way down in two attempts, with what is planted. `more`: steps that came since.
function series(metric, more, smooth) {
  const from = metric.endsWith("loss") ? 4 : 10;
  const parts = [];
  const open = (attempt) => parts.push({ attempt, steps: [], times: [], values: [], ...(smooth && { smooth: [] }) });
  open(1);
  let mean = 0;
  for (let step = 1; step <= kSteps + more; step += 1) {
    if (step === planted.gap[0]) open(1);
    if (step === planted.restart) open(2);
    if (step >= planted.gap[0] && step <= planted.gap[1]) continue;
    const part = parts[parts.length - 1];
    const value = from * (1 + 3 * Math.exp(-step / 250) + 0.05 * Math.sin(step * 12.9898));
    mean = mean === 0 ? value : 0.9 * mean + 0.1 * value;
    part.steps.push(step);
    part.times.push(1.79e12 + step * 1000);
    part.values.push(step === planted.spike && metric === "loss" ? from * 9 : step === planted.odd && metric === "loss" ? "NaN" : value);
    part.smooth?.push(mean);
  }
  const count = parts.reduce((sum, part) => sum + part.steps.length, 0);
  return { metric, count: String(count), kept: count, parts, lost: [] };
}

// Blocks of a log of which line N has the number N.
function block(query) {
  const size = Number(query.get("lines") ?? kBlock);
  const before = Number(query.get("before") ?? kLines + 1);
  const from = query.has("from") ? Math.max(1, Number(query.get("from"))) : Math.max(1, before - size);
  const to = Math.min(kLines, query.has("from") ? from + size - 1 : before - 1);
  const lines = [];
  for (let i = from; i <= to; i += 1) {
    lines.push({ number: String(i), attempt: 1, rank: 0, stream: "OUT", time: new Date(1.79e12 + i * 10).toISOString(), text: `step ${i} loss ${(1 + 1 / i).toFixed(4)}, 7,210 tokens/s` });
  }
  return { lines, hasEarlier: from > 1, hasLater: to < kLines, next: String(to + 1) };
}

export class Synthetic {
  // `browser`: of the real coordinator, which is asked for one of each.
  static async start(browser, { job }) {
    const it = new Synthetic();
    const [session, summary, workers, real, timeline, checkpoints] = await Promise.all(
      ["session", "summary", "workers", job, job + "/timeline", job + "/checkpoints"].map((path) => browser.ask(path)));
    it.policy = (await browser.fetch("/")).headers()["content-security-policy"];
    const one = workers.workers[0];
    it.workers = Array.from({ length: kWorkers }, (_, i) => {
      const number = String(i).padStart(5, "0");
      return {
        ...structuredClone(one), name: `workers/w-${number}`, id: String(i + 1), hostName: `host-${number}`, state: "READY", busyFraction: (i % 100) / 100, losses: i % 4,
        uses: [{ ...one.uses[0], memoryReservedBytes: String(i * 1024), memoryUsedBytes: String(i * 512), threadsReserved: 1, seats: 1 }],
      };
    });
    const attempt = { number: 1, reason: "worker lost", worker: "w-1", exitCode: 0, signal: 0, step: "800", goesOnFromStep: "800", endTime: real.startTime };
    const run = { ...real, name: kRun, state: "RUNNING", stateReason: "", attempt: 2, attempts: [attempt], endTime: undefined };
    it.more = 0;
    it.answers = new Map(Object.entries({
      "session": () => session, "summary": () => summary, "workers": () => ({ workers: it.workers }), [kRun]: () => run, [kRun + "/timeline"]: () => timeline,
      [kRun + "/checkpoints"]: () => checkpoints, [kRun + "/logs"]: block,
      [kRun + "/series"]: (query) => it.#curves(query),
    }));
    it.streams = new Set();
    it.sent = 0;
    it.server = createServer((request, response) => it.#answer(request, response));
    await new Promise((done) => it.server.listen(0, "127.0.0.1", done));
    it.url = `http://127.0.0.1:${it.server.address().port}`;
    return it;
  }

  // Two lines a chart: losses share one as they are measured; with means, which are asked for by `smooth`, each has its own.
  #curves(query) {
    const smooth = query.get("smooth") ?? "";
    if (smooth !== "") this.more = (this.more + 1) % kMore;
    const metrics = ["loss", smooth === "" ? "validation_loss" : "accuracy", "tokens_per_second", "gradient_norm"];
    return { series: metrics.map((metric) => series(metric, this.more, smooth)) };
  }

  #answer(request, response) {
    const { pathname, searchParams } = new URL(request.url, this.url);
    if (!pathname.startsWith("/api/")) {
      const file = files.get(pathname) ?? files.get("/index.html");
      response.writeHead(200, { "Content-Type": file.type, "Content-Encoding": "gzip", "Content-Security-Policy": this.policy,
        "Cache-Control": pathname.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache" });
      response.end(file.packed);
    } else if (pathname === "/api/v1/events") {
      response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
      response.write("id: 1\nevent: hello\ndata: {}\n\n");
      this.streams.add(response);
      const beat = setInterval(() => response.write(`event: heartbeat\ndata: {"now":"${new Date().toISOString()}"}\n\n`), 10_000);
      response.on("close", () => { clearInterval(beat); this.streams.delete(response); });
    } else if (pathname === "/api/v1/batch") {
      const answers = searchParams.getAll("get").map((target) => this.#resource(new URL(target, this.url + "/api/v1/")));
      response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-store" });
      response.end(JSON.stringify({ answers: answers.map(({ status, body }) => ({ status, event: "1", body })) }));
    } else {
      const { status, body } = this.#resource(new URL(request.url, this.url));
      response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store", "Overwinter-Event": "1" });
      response.end(JSON.stringify(body));
    }
  }
  #resource({ pathname, searchParams }) {
    const answer = this.answers.get(pathname.slice("/api/v1/".length));
    return answer ? { status: 200, body: answer(searchParams) } : { status: 404, body: { code: "NOT_FOUND", message: pathname, field: "", hint: "" } };
  }

  // Another state of a worker: what a heartbeat may change.
  #change(inView) {
    const among = inView && Math.random() < kInView ? inView : [0, kWorkers];
    const worker = this.workers[among[0] + Math.floor(Math.random() * (among[1] - among[0]))];
    const [use] = worker.uses;
    use.memoryReservedBytes = String(Math.floor(Math.random() * 2 ** 29));
    use.memoryUsedBytes = String(Math.floor(Number(use.memoryReservedBytes) * Math.random()));
    worker.busyFraction = Math.floor(Math.random() * 100) / 100;
    this.sent += 1;
    return `event: worker\ndata: ${JSON.stringify(worker)}\n\n`;
  }
  #send(count, inView) {
    let text = "";
    for (let i = 0; i < count; i += 1) text += this.#change(inView);
    if (text !== "") for (const stream of this.streams) stream.write(text);
  }

  // Changes of workers until the answer is called: evenly, or all of a second at once, as the coordinator looks at workers.
  follow({ perSecond, atOnce, inView }) {
    const begin = performance.now();
    const before = this.sent;
    const due = () => {
      const seconds = (performance.now() - begin) / 1000;
      this.#send(Math.floor(atOnce ? Math.floor(seconds) * perSecond : seconds * perSecond) - (this.sent - before), inView);
    };
    const timer = setInterval(due, kTickMs);
    return () => {
      clearInterval(timer);
      return { events: this.sent - before, seconds: (performance.now() - begin) / 1000 };
    };
  }

  stop() {
    for (const stream of this.streams) stream.destroy();
    this.server.closeAllConnections();
    this.server.close();
  }
}
