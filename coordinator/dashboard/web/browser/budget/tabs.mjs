// Tabs to measure in: a context of its own is a first visit, with nothing cached and no connection open.
import { inside } from "./inside.mjs";

export const kViewport = { width: 1440, height: 900 };
const kPatienceMs = 120_000;

export class Browser {
  constructor(chromium, url, token) {
    Object.assign(this, { chromium, url, token });
  }

  // Once: the cookie and the secret that every tab comes with afterwards.
  async logIn() {
    const context = await this.#context();
    const page = await context.newPage();
    await page.goto(this.url + "/login?next=%2Fjobs");
    await page.fill("#credential", this.token);
    await page.click("button.primary");
    await page.waitForURL(this.url + "/jobs");
    this.secret = await page.evaluate(() => sessionStorage.getItem("overwinter.session"));
    this.state = await context.storageState();
    await context.close();
  }

  #context() {
    return this.chromium.newContext({
      ignoreHTTPSErrors: true, reducedMotion: "reduce", viewport: kViewport, colorScheme: "light",
      ...(this.state ? { storageState: this.state } : {}),
    });
  }

  // needs, faster: see inside.mjs. slower: how many times the processor is.
  async visit(use, { needs = "", faster = {}, slower = 1 } = {}) {
    const context = await this.#context();
    try {
      context.setDefaultTimeout(kPatienceMs);
      const page = await context.newPage();
      await page.addInitScript(inside, { secret: this.secret ?? "none", needs, faster });
      const devtools = await context.newCDPSession(page);
      if (slower > 1) await devtools.send("Emulation.setCPUThrottlingRate", { rate: slower });
      return await use(page, devtools);
    } finally {
      await context.close();
    }
  }

  // From a script, with the session: what the coordinator says.
  async ask(path) {
    return (await this.fetch("/api/v1/" + path)).json();
  }
  async fetch(path) {
    this.scripts ??= await this.#context();
    const answer = await this.scripts.request.get(this.url + path, { headers: { "Overwinter-Session": this.secret } });
    if (!answer.ok()) throw new Error(`${path}: ${answer.status()} ${await answer.text()}`);
    return answer;
  }
}

// Bytes that the scripts of the page hold, once what nobody holds is gone.
export async function heap(devtools) {
  await devtools.send("HeapProfiler.enable");
  await devtools.send("HeapProfiler.collectGarbage");
  await devtools.send("HeapProfiler.collectGarbage");
  return (await devtools.send("Runtime.getHeapUsage")).usedSize;
}

export const pause = (page, ms) => page.evaluate((time) => new Promise((done) => setTimeout(done, time)), ms);
