// What the founder opens in the morning: what runs, what needs somebody, what waits, what it costs.
import type { ComponentChildren } from "preact";
import { amount, count, int, kNone, micros, percent, plural } from "../lib/format";
import { followJobs, followWorkers, useLive } from "../lib/live";
import { lastPart, type Explanation, type Job, type JobList, type Summary, type Worker, type WorkerList } from "../lib/resources";
import { isActive, jobLook, workerLook, type Look } from "../lib/state";
import { instant, serverNow } from "../lib/time";
import { endText, fractionOf, progressText, silenceText } from "../job/numbers";
import { DeviceMemory, Name, Panel, Progress, took } from "../ui/bits";
import { Title } from "../ui/frame";
import { State } from "../ui/glyph";
import { Empty, Shown } from "../ui/states";
import { seenText } from "../lib/worker";
import { SpendPanel } from "./spend";

const kEveryMs = 4000;
const kDayMs = 86_400_000;
const kRunningShown = 6;
const kWaitingShown = 3;
const kFailedAsked = 20;
const kFailedShown = 5;
const kDevicesShown = 12;
const kOpen = "NOT state=SUCCEEDED AND NOT state=FAILED AND NOT state=CANCELLED";

function Count({ look, value, more, word, filter }: { look: Look; value: number; more?: boolean; word: string; filter: string }) {
  return (
    <a class="count" href={"/jobs?filter=" + encodeURIComponent(filter)}>
      <span class={`tone-${look.tone}`}><State look={{ ...look, word: count(value) + (more ? "+" : "") }} /></span> {word}
    </a>
  );
}

function Counts({ summary, workers, failed }: { summary: Summary; workers: Worker[]; failed: number }) {
  const alive = workers.filter((worker) => worker.state !== "REMOVED");
  const burn = alive.reduce((sum, worker) => sum + micros(worker.pricePerHour), 0n);
  const currency = summary.costToday?.currencyCode ?? "";
  return (
    <div class="counts">
      <Count look={jobLook("RUNNING")} value={summary.jobsRunning} word="running" filter="state=RUNNING" />
      <Count look={jobLook("QUEUED")} value={summary.jobsQueued} word={`queued, ${count(summary.jobsWaitingForBudget)} for budget`} filter="state=QUEUED" />
      <Count look={jobLook("PAUSED")} value={summary.jobsPaused} word="paused" filter="state=PAUSED" />
      <Count look={jobLook("FAILED")} value={failed} more={failed === kFailedAsked} word="failed in 24 h" filter="state=FAILED" />
      <a class="count" href="/workers">
        <span class="number">{count(summary.workersReady)}</span> {summary.workersReady === 1 ? "worker" : "workers"} ready
        {summary.workersDraining > 0 && <>, {count(summary.workersDraining)} draining</>}
        {summary.workersLost > 0 && <>, <strong class="tone-failed">{count(summary.workersLost)} lost</strong></>}
      </a>
      <span class="count">machines <span class="number">{amount(burn, 2)}</span> {currency}/h</span>
      <span class="count">today <span class="number">{amount(micros(summary.costToday), 2)}</span> {currency}</span>
      <span class="count">month <span class="number">{amount(micros(summary.costMonth), 2)}</span> {currency} <span class="muted">(UTC)</span></span>
      <span class="count">waste <span class="number">{wasteText(summary.wasteFractionMonth)}</span></span>
      {summary.diskFull && <strong class="tone-failed">the coordinator's disk is full: nothing new is taken</strong>}
    </div>
  );
}

// "3.1 %": what of the month's charge was not useful.
export const wasteText = (fraction: number | undefined): string => fraction === undefined ? kNone : `${(fraction * 100).toFixed(1)} %`;

// Paused for somebody, or failed within a day.
const isLate = (job: Job, now: number): boolean => now - (instant(job.endTime) ?? 0) < kDayMs;
export function needing(open: Job[], failed: Job[], now: number): Job[] {
  return [
    ...open.filter((job) => job.state === "PAUSED" && !job.resumesByItself),
    ...failed.filter((job) => isLate(job, now)).slice(0, kFailedShown),
  ];
}

function Line({ job, children }: { job: Job; children: ComponentChildren }) {
  return (
    <li class="line">
      <State look={jobLook(job.state)} />
      <a href={"/" + job.name}><Name>{lastPart(job.name)}</Name></a>
      <div class="rest">{children}</div>
    </li>
  );
}

function Waiting({ job }: { job: Job }) {
  const live = useLive<Explanation>(job.name + ":explain", 15_000);
  const why = live.data.value;
  return (
    <Line job={job}>
      <span class="muted">{took(job, serverNow.value)}</span>{" "}
      <bdi>{why?.summary || job.stateReason}</bdi>
      {why && why.smallestChange !== "" && <div class="muted"><bdi>{why.smallestChange}</bdi></div>}
    </Line>
  );
}

function Running({ job }: { job: Job }) {
  const steps = progressText(job);
  const ends = endText(job, serverNow.value);
  const silent = silenceText(job, serverNow.value);
  const cap = job.cost?.cap;
  return (
    <Line job={job}>
      <span class="running">
        <Progress fraction={fractionOf(job) || 0} label={lastPart(job.name)} />
        <span class="number">{percent(fractionOf(job))}</span>
        {steps !== "" && <span>{steps}</span>}
        <span class="number">{amount(micros(job.cost?.charged), 4)}{cap && <> of {amount(micros(cap), 2)}</>} {job.cost?.charged?.currencyCode}</span>
        {silent ? <strong class="tone-paused">{silent}</strong> : ends && <span>{ends}</span>}
      </span>
    </Line>
  );
}

function upText(workers: Worker[]): string {
  const there = workers.filter((worker) => worker.state !== "REMOVED").flatMap((worker) => worker.devices.map(() => worker.state !== "LOST"));
  return `(${count(there.filter(Boolean).length)} of ${count(there.length)} up)`;
}

function Devices({ workers, jobs }: { workers: Worker[]; jobs: Job[] }) {
  const wasOn = (worker: Worker): string => {
    const on = jobs.filter((job) => job.attempts.some((one) => one.worker === lastPart(worker.name)) || job.seats.some((seat) => seat.worker === lastPart(worker.name)));
    return on.length === 0 ? "" : "; was on " + on.map((job) => lastPart(job.name)).join(", ");
  };
  const there = workers.filter((worker) => worker.state !== "REMOVED");
  // Who is lost comes first: that is what somebody looks for.
  const order = [...there].sort((a, b) => Number(b.state === "LOST") - Number(a.state === "LOST") || (a.name < b.name ? -1 : 1));
  const rows = order.flatMap((worker) =>
    worker.devices.map((device, index) => ({ worker, device, index, use: worker.uses[index] })));
  if (rows.length === 0) return <Empty>No machine has joined. <code>overwinter tokens create --role worker -o join.file</code></Empty>;
  return (
    <>
      <ul class="device-list">
        {rows.slice(0, kDevicesShown).map(({ worker, device, index, use }) => {
          const lost = worker.state === "LOST";
          return (
            <li key={worker.name + index}>
              <a href={"/" + worker.name}><Name>{lastPart(worker.name)}</Name></a> <span class="muted"><bdi>{device.kind}{index}</bdi></span>
              {lost ? <span class="wide"><State look={workerLook("LOST", 0)} /> {seenText(worker)} ago{wasOn(worker)}</span> : (
                <>
                  <DeviceMemory used={int(use?.memoryUsedBytes)} reserved={int(use?.memoryReservedBytes)} budget={int(device.memoryBytes)} />
                  <span class="muted">{plural(use?.seats ?? 0, "seat")}</span>
                </>
              )}
            </li>
          );
        })}
      </ul>
      {rows.length > kDevicesShown && <p><a href="/workers">{count(kDevicesShown)} of {count(rows.length)} devices</a></p>}
    </>
  );
}

export function OverviewPage() {
  const summary = useLive<Summary>("summary", kEveryMs);
  const workers = useLive<WorkerList>("workers", kEveryMs, {}, followWorkers);
  const open = useLive<JobList>("projects/-/jobs", kEveryMs, { filter: kOpen, pageSize: 50 }, followJobs);
  const failed = useLive<JobList>("projects/-/jobs", 15_000, { filter: "state=FAILED", orderBy: "end_time desc", pageSize: kFailedAsked });
  const queued = useLive<JobList>("projects/-/jobs", kEveryMs, { filter: "state=QUEUED", orderBy: "create_time", pageSize: kWaitingShown });
  const sum = summary.data.value;
  const jobs = open.data.value?.jobs ?? [];
  const running = jobs.filter((job) => isActive(job.state));
  const ended = failed.data.value?.jobs ?? [];
  const need = needing(jobs, ended, serverNow.value);
  return (
    <>
      <Title text="Overview" />
      <Shown live={summary} lines={1}>{(data) => <Counts summary={data} workers={workers.data.value?.workers ?? []} failed={ended.filter((job) => isLate(job, serverNow.value)).length} />}</Shown>
      <div class="overview">
        <div>
          <Panel id="needs" title={<>Needs you <span class="muted">({count(need.length)})</span></>}>
            <Shown live={open} lines={2}>{() => need.length === 0 ? <Empty>Nothing.</Empty> : (
              <ul class="lines">{need.map((job) => <Line key={job.name} job={job}><bdi>{job.stateReason}</bdi> <a href={`/${job.name}${job.state === "FAILED" ? "/logs" : ""}`}>{job.state === "FAILED" ? "logs" : "resume or top up"}</a></Line>)}</ul>
            )}</Shown>
          </Panel>
          <Panel id="running" title={<>Running <span class="muted">({sum ? count(sum.jobsRunning) : "–"})</span></>}>
            <Shown live={open} lines={3}>{() => running.length === 0 ? <Empty>No job runs. <code>overwinter submit FILE.yaml</code></Empty> : (
              <>
                <ul class="lines">{running.slice(0, kRunningShown).map((job) => <Running key={job.name} job={job} />)}</ul>
                {running.length > kRunningShown && <p><a href={"/jobs?filter=state%3DRUNNING"}>all that run</a></p>}
              </>
            )}</Shown>
          </Panel>
          <Panel id="waiting" title={<>Waiting longest <span class="muted">({sum ? `${count(Math.min(kWaitingShown, sum.jobsQueued))} of ${count(sum.jobsQueued)}` : "–"})</span></>}>
            <Shown live={queued} lines={2}>{(list) => list.jobs.length === 0 ? <Empty>No job waits.</Empty> : (
              <ul class="lines">{list.jobs.map((job) => <Waiting key={job.name} job={job} />)}</ul>
            )}</Shown>
          </Panel>
        </div>
        <div>
          <SpendPanel />
          <Panel id="devices" title={<>Devices <span class="muted">{upText(workers.data.value?.workers ?? [])}</span></>} aside={<span class="legend"><i class="used" /> used <i class="reserved" /> reserved, of budget, GiB</span>}>
            <Shown live={workers} lines={4}>{(list) => <Devices workers={list.workers} jobs={jobs} />}</Shown>
          </Panel>
        </div>
      </div>
    </>
  );
}
