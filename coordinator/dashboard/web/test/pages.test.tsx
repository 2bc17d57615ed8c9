// Pages over answers of the API's shape: what stands in them, and that text stays text.
import { render } from "preact";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AuditPage } from "../src/pages/audit";
import { JobsPage } from "../src/pages/jobs";
import { LoginPage } from "../src/pages/login";
import { WorkersPage } from "../src/pages/workers";
import { narrow } from "../src/lib/narrow";
import { place } from "../src/lib/router";
import { forgetSession, session } from "../src/lib/session";
import type { AuditEntry, Job } from "../src/lib/resources";

let root: HTMLElement;
let answers: Record<string, { status: number; body: unknown }>;
let asked: { path: string; init: RequestInit }[];

const kEvil = "<img src=x onerror=alert(1)>\u202egnp";

function aJob(name: string, more: Partial<Job> = {}): Job {
  return {
    name: `projects/demo/jobs/${name}`, displayName: name, state: "QUEUED", stateReason: `why ${name}`, labels: {}, attempt: 0, submitter: "",
    priority: "normal", seats: [], workerCount: 0, resumesByItself: false, attempts: [], memoryPeakBytes: "0", createTime: "2026-11-24T12:00:00Z",
    cost: { charged: { amountMicros: "500000", currencyCode: "EUR" }, cap: { amountMicros: "500000", currencyCode: "EUR" } }, ...more,
  };
}
const list = (...jobs: Job[]) => ({ status: 200, body: { jobs, nextPageToken: "", totalSize: String(jobs.length), totalSizeCapped: false, event: "1" } });

function visit(path: string): void {
  history.replaceState(null, "", path);
  place.value = { path: location.pathname, query: new URLSearchParams(location.search), hash: location.hash };
}
const texts = (selector: string): string[] => [...root.querySelectorAll(selector)].map((element) => element.textContent ?? "");
const until = (what: () => boolean): Promise<void> => vi.waitFor(() => { if (!what()) throw new Error("not yet"); }, { timeout: 5000 });

beforeEach(() => {
  root = document.createElement("div");
  document.body.replaceChildren(root);
  answers = {};
  asked = [];
  sessionStorage.clear();
  forgetSession();
  sessionStorage.setItem("overwinter.session", "secret");
  const read = (path: string, init: RequestInit) => {
    if (path !== "/api/v1/session") asked.push({ path, init });
    return answers[path] ?? answers[path.replace(/\?.*/, "")] ?? { status: 404, body: { code: "NOT_FOUND", message: "nothing", field: "", hint: "" } };
  };
  vi.stubGlobal("fetch", (path: string, init: RequestInit) => {
    const { pathname, searchParams } = new URL(path, "https://localhost");
    const together = pathname === "/api/v1/batch" ? searchParams.getAll("get").map((one) => read("/api/v1/" + one, init)) : undefined;
    const { status, body } = together ? { status: 200, body: { answers: together } } : read(path, init);
    return Promise.resolve(new Response(JSON.stringify(body), { status }));
  });
});
afterEach(async () => {
  render(null, root);
  vi.useRealTimers();
  // What is still under way for the last frame ends before the window does.
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  vi.unstubAllGlobals();
});

describe("the list of jobs", () => {
  it("asks with the session's secret, and for what the address says", async () => {
    visit("/jobs?filter=state%3DQUEUED&sort=createTime&size=25");
    answers["/api/v1/projects/-/jobs"] = list(aJob("a"));
    render(<JobsPage />, root);
    await until(() => texts("td.c-name").length === 1);
    expect(asked[0]?.path).toBe("/api/v1/projects/-/jobs?filter=state%3DQUEUED&orderBy=create_time&pageSize=25");
    expect((asked[0]?.init.headers as Record<string, string>)["Overwinter-Session"]).toBe("secret");
    expect(texts("td.c-state")).toEqual(["QUEUED"]);
    expect(texts("td.c-why")).toEqual(["why a"]);
    expect(texts("td.c-cost")).toEqual(["0.5000 / 0.50 !"]);
    expect(root.querySelector("td.c-name a")?.getAttribute("href")).toBe("/projects/demo/jobs/a");
  });
  it("is ordered by the column that is clicked, and shows the columns of the address", async () => {
    visit("/jobs?cols=took");
    answers["/api/v1/projects/-/jobs"] = list(aJob("a"));
    render(<JobsPage />, root);
    await until(() => texts("td.c-name").length === 1);
    expect(asked[0]?.path).toContain("orderBy=create_time%20desc");
    expect(texts("td.c-labels")).toEqual([]);
    const heads = (): HTMLButtonElement[] => [...root.querySelectorAll<HTMLButtonElement>("button.sort")];
    heads().find((head) => head.textContent === "Cost")?.click();
    await until(() => location.search.includes("sort=-cost"));
    await until(() => asked.some((one) => one.path.includes("orderBy=cost%20desc")));
    await until(() => root.querySelector("th[aria-sort]")?.getAttribute("aria-sort") === "descending");
    heads().find((head) => head.textContent?.startsWith("Cost"))?.click();
    await until(() => asked.some((one) => one.path.includes("orderBy=cost&")));
    expect(location.search).toContain("cols=took");
  });
  it("says how many match of how many, and of which time is a term of the filter", async () => {
    visit("/jobs?filter=state%3DQUEUED");
    const some = list(aJob("a"));
    answers["/api/v1/projects/-/jobs"] = { ...some, body: { ...some.body, totalSize: "412" } };
    answers["/api/v1/projects/-/jobs?pageSize=1"] = { ...some, body: { ...some.body, totalSize: "10000", totalSizeCapped: true } };
    render(<JobsPage />, root);
    await until(() => texts(".total")[0] === "412 match of 10,000+");
    const since = root.querySelector<HTMLSelectElement>("select[aria-label=Submitted]");
    if (since) since.value = "24";
    since?.dispatchEvent(new Event("change"));
    await until(() => /filter=state%3DQUEUED\+AND\+create_time%3E%3D%222[^.]*Z%22$/.test(location.search));
    expect(root.querySelector<HTMLInputElement>("#filter")?.value).toContain('create_time>="');
    await until(() => texts("select[aria-label=Submitted] option").some((one) => one.startsWith("since ")));
  });
  it("has its order in a menu where a phone shows no heads", async () => {
    visit("/jobs");
    answers["/api/v1/projects/-/jobs"] = list(aJob("a"));
    render(<JobsPage />, root);
    await until(() => texts("td.c-name").length === 1);
    expect(root.querySelector("select[aria-label=Order]")).toBeNull();
    narrow.value = true;
    await until(() => root.querySelector("select[aria-label=Order]") !== null);
    const order = root.querySelector<HTMLSelectElement>("select[aria-label=Order]");
    if (order) order.value = "-cost";
    order?.dispatchEvent(new Event("change"));
    await until(() => asked.some((one) => one.path.includes("orderBy=cost%20desc")));
    narrow.value = false;
  });
  it("leaves rows where they are until it is asked to move them", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    visit("/jobs");
    answers["/api/v1/projects/-/jobs"] = list(aJob("b"), aJob("a"));
    render(<JobsPage />, root);
    await until(() => texts("td.c-name").length === 2);
    answers["/api/v1/projects/-/jobs"] = list(aJob("c"), aJob("b", { state: "RUNNING" }));
    await vi.advanceTimersByTimeAsync(3100);
    await until(() => texts("td.c-state")[0] === "RUNNING");
    expect(texts("td.c-name")).toEqual(["b", "a"]);
    expect(texts("td.c-why")[1]).toContain("no longer on this page");
    const news = root.querySelector<HTMLButtonElement>("button.news");
    expect(news?.textContent).toBe("1 new: show");
    news?.click();
    await until(() => texts("td.c-name").join() === "c,b");
  });
  it("shows names and reasons as text, whatever they hold", async () => {
    visit("/jobs");
    answers["/api/v1/projects/-/jobs"] = list(aJob("a", { stateReason: kEvil, labels: { team: kEvil } }));
    render(<JobsPage />, root);
    await until(() => texts("td.c-why").length === 1);
    expect(root.querySelector("img")).toBeNull();
    expect(texts("td.c-why")).toEqual([kEvil]);
    expect(root.querySelector("td.c-why bdi")).not.toBeNull();
  });
  it("tells empty, refused and broken apart", async () => {
    visit("/jobs");
    answers["/api/v1/projects/-/jobs"] = list();
    render(<JobsPage />, root);
    await until(() => texts(".empty").length === 1);
    expect(texts(".empty")[0]).toContain("overwinter submit");
    render(null, root);

    visit("/jobs?filter=colour%3Dred");
    answers["/api/v1/projects/-/jobs"] = { status: 400, body: { code: "INVALID_ARGUMENT", message: "there is no key colour", field: "filter", hint: "keys are state" } };
    render(<JobsPage />, root);
    await until(() => texts(".failure").length === 1);
    expect(texts(".failure")[0]).toContain("there is no key colour (filter)");
    expect(root.querySelector(".failure button")).not.toBeNull();
    render(null, root);

    visit("/jobs?x=2");
    answers["/api/v1/projects/-/jobs"] = { status: 403, body: { code: "PERMISSION_DENIED", message: "a token with the role auditor may not read jobs", field: "", hint: "" } };
    render(<JobsPage />, root);
    await until(() => texts(".forbidden").length === 1);
    expect(texts(".forbidden")[0]).toContain("auditor");
    expect(root.querySelector(".forbidden button")).toBeNull();
  });
  it("loses its session when the coordinator no longer knows it", async () => {
    visit("/jobs");
    session.value = { name: "ana" } as typeof session.value;
    answers["/api/v1/projects/-/jobs"] = { status: 401, body: { code: "UNAUTHENTICATED", message: "the session has ended", field: "", hint: "" } };
    render(<JobsPage />, root);
    await until(() => session.value === undefined);
    expect(sessionStorage.getItem("overwinter.session")).toBeNull();
  });
});

describe("the login", () => {
  const token = "ow_" + "k".repeat(43);
  const submit = (text: string): void => {
    const field = root.querySelector<HTMLInputElement>("#credential");
    if (field) field.value = text;
    root.querySelector("form")?.dispatchEvent(new Event("submit", { cancelable: true, bubbles: true }));
  };
  it("sends a token once, and keeps it nowhere", async () => {
    visit("/login?next=%2Fworkers");
    sessionStorage.clear();
    forgetSession();
    answers["/api/v1/session:open"] = { status: 200, body: { secret: "fresh", endTime: "2026-11-24T12:00:00Z" } };
    answers["/api/v1/session"] = { status: 200, body: { name: "ana", role: "viewer", project: "demo", now: "2026-11-24T12:00:00Z", cluster: "c", version: "1", may: {} } };
    render(<LoginPage />, root);
    await until(() => root.querySelector("#credential") !== null);
    submit(token);
    await until(() => location.pathname === "/workers");
    // Whom the other tabs did not answer in time finds a session by then, and stays where it is.
    await new Promise((done) => setTimeout(done, 400));
    expect(location.pathname).toBe("/workers");
    const sent = asked.filter((one) => String(one.init.body).includes(token));
    expect(sent.map((one) => one.path)).toEqual(["/api/v1/session:open"]);
    expect(sessionStorage.getItem("overwinter.session")).toBe("fresh");
    expect(JSON.stringify({ ...sessionStorage }) + JSON.stringify({ ...window.localStorage }) + location.href).not.toContain(token);
    expect(root.querySelector<HTMLInputElement>("#credential")?.value).toBe("");
  });
  it("says what is wrong, and asks nobody about what is no token", async () => {
    visit("/login");
    sessionStorage.clear();
    forgetSession();
    render(<LoginPage />, root);
    await until(() => root.querySelector("#credential") !== null);
    submit("hunter2");
    await until(() => texts(".failure").length === 1);
    expect(asked).toEqual([]);
    answers["/api/v1/session:open"] = { status: 401, body: { code: "UNAUTHENTICATED", message: "this cluster does not know that token", field: "", hint: "" } };
    submit(token);
    await until(() => texts(".failure")[0]?.includes("does not know") === true);
  });
});

describe("the workers", () => {
  it("stand with what is reserved, and say how many are lost", async () => {
    visit("/workers");
    const worker = (name: string, state: string) => ({
      name: `workers/${name}`, id: "1", state, stateReason: "", hostId: "", hostName: "box", version: "0.1.0", labels: {}, projects: [], spot: false,
      devices: [{ kind: "cpu", model: "", memoryBytes: "4294967296", threads: 4, gflopsFp32: 0, gflopsFp64: 0 }],
      uses: [{ memoryReservedBytes: "3221225472", memoryUsedBytes: "3113851289", threadsReserved: 4, seats: state === "READY" ? 1 : 0 }], silent: "240s",
      busyFraction: 0.94, losses: state === "LOST" ? 3 : 0,
      pricePerHour: { amountMicros: "360000", currencyCode: "USD" }, workersOnHost: 1, peerAddress: "", network: "", noExec: "", memoryLimit: "",
    });
    answers["/api/v1/workers"] = { status: 200, body: { workers: [worker("w-02", "LOST"), worker("w-01", "READY"), worker("w-00", "REMOVED")] } };
    render(<WorkersPage />, root);
    await until(() => texts("td.c-name").length === 2);
    expect(texts("td.c-name")).toEqual(["w-01", "w-02"]);
    expect(texts("td.c-state")).toEqual(["BUSY", "LOST"]);
    expect(texts("td.c-memory")).toEqual(["2.90 / 3.00 / 4.00", "– (budget 4.00)"]);
    expect([...root.querySelectorAll("td.c-memory .memory span")].map((part) => part.getAttribute("style"))).toEqual(["left: 0.00%; width: 75.00%;", "left: 0.00%; width: 72.49%;"]);
    expect(texts("td.c-busy")).toEqual(["94 %", "–"]);
    expect(texts("td.c-losses")).toEqual(["0", "3"]);
    expect(root.querySelector("main p.muted, p.muted")?.textContent).toContain("1 lost");
  });
});

describe("the audit", () => {
  const entry = (more: Partial<AuditEntry> = {}): AuditEntry => ({
    number: "7", time: "2026-11-24T12:00:00Z", actor: "tokens/7 (ann)", role: "admin", action: "job.update", object: "projects/demo/jobs/a",
    before: "cap 0.5", after: "cap 0.8", outcome: "done", reason: "", address: "", repeatedCount: 0, ...more,
  });
  const may = { readJobs: false, readWorkers: false, actOnOwnJobs: false, actOnWorkers: false, readAllMoney: false, readAudit: true };
  const who = (project: string) => ({ name: "aud", role: "auditor", project, now: "2026-11-24T12:00:00Z", cluster: "c", version: "1", may });
  it("tells who changed what from what to what, and who was refused how often", async () => {
    visit("/audit?actor=tokens%2F7&refusals=true");
    session.value = who("");
    answers["/api/v1/audit"] = { status: 200, body: { nextPageToken: "", entries: [entry(),
      entry({ number: "0", actor: "", role: "", action: "JobService/GetJob", object: "", before: "", after: "", outcome: "UNAUTHENTICATED", reason: "no token was sent", address: "192.0.2.9", repeatedCount: 1989 })] } };
    render(<AuditPage />, root);
    await until(() => texts("td.c-action").length === 2);
    expect(asked[0]?.path).toBe("/api/v1/audit?actor=tokens%2F7&refusals=true&pageSize=50");
    expect(texts("td.c-why")).toEqual(["cap 0.5 → cap 0.8", "no token was sent"]);
    expect(texts("td.c-actor")).toEqual(["tokens/7 (ann) admin", "nobody known from 192.0.2.9"]);
    expect(texts("td.c-outcome")).toEqual(["done", "UNAUTHENTICATED and 1,989 more"]);
  });
  it("shows text as text, and offers refusals to who sees all projects alone", async () => {
    visit("/audit");
    session.value = who("demo");
    answers["/api/v1/audit"] = { status: 200, body: { nextPageToken: "", entries: [entry({ actor: `tokens/7 (${kEvil})`, reason: kEvil, after: kEvil })] } };
    render(<AuditPage />, root);
    await until(() => texts("td.c-action").length === 1);
    expect(root.querySelector("img")).toBeNull();
    expect(root.querySelector("td.c-actor bdi")?.textContent).toContain(kEvil);
    expect(root.querySelector("input[type=checkbox]")).toBeNull();
  });
  it("turns pages by the server's tokens and back, and asks anew when a box changes", async () => {
    visit("/audit");
    session.value = who("");
    answers["/api/v1/audit"] = { status: 200, body: { nextPageToken: "t1", entries: [entry()] } };
    render(<AuditPage />, root);
    await until(() => texts("nav.pages button").includes("older ›"));
    [...root.querySelectorAll<HTMLButtonElement>("nav.pages button")].find((button) => button.textContent === "older ›")?.click();
    await until(() => asked.at(-1)?.path.includes("pageToken=t1") === true);
    await until(() => texts("nav.pages button").includes("‹ newer"));
    const object = root.querySelector<HTMLInputElement>("#object");
    if (object) object.value = " projects/demo ";
    object?.dispatchEvent(new Event("change", { bubbles: true }));
    await until(() => asked.at(-1)?.path === "/api/v1/audit?object=projects%2Fdemo&pageSize=50");
    expect(location.search).toBe("?object=projects%2Fdemo");
  });
});
