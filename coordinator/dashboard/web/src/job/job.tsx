// One job: is it learning, is it stuck, why, and what does it cost.
import { lazy } from "../ui/lazy";
import { bytes, count, duration, gib, int, kNone, percent } from "../lib/format";
import { plain } from "../lib/ansi";
import { followJob, useLive } from "../lib/live";
import { lastPart, projectOf, type CheckpointList, type Explanation, type Job, type Timeline } from "../lib/resources";
import { place } from "../lib/router";
import { isActive, isTerminal, jobLook } from "../lib/state";
import { instant, serverNow } from "../lib/time";
import { Labels, MemoryBar, Name, Panel, Progress, took, When, Zone } from "../ui/bits";
import { Title, say } from "../ui/frame";
import { State } from "../ui/glyph";
import { Shown } from "../ui/states";
import { useEffect, useRef } from "preact/hooks";
import { Actions } from "./actions";
import { CheckpointsPanel } from "./checkpoints";
import { CostPanel } from "./cost";
import { LogTail, useLogTail } from "./log_tail";
import { endText, fractionOf, lossText, progressText, silenceText, speedText } from "./numbers";
import { useSeries } from "./series";
import { TimelinePanel } from "./timeline";

export const curves = () => import("./curves").then((module) => module.Curves);
const Curves = lazy(curves);

const kEveryMs = 2000;
const kSlowMs = 5000;
const kHiddenMs = 60_000;

function Header({ job }: { job: Job }) {
  const now = serverNow.value;
  const fraction = fractionOf(job);
  const retries = typeof job.spec?.["retries"] === "number" ? job.spec["retries"] + 1 : undefined;
  const steps = progressText(job);
  const ends = endText(job, now);
  const silent = silenceText(job, now);
  const loss = lossText(job.progress?.loss);
  const validation = lossText(job.progress?.validationLoss);
  const speed = speedText(job);
  return (
    <div class="job-header">
      <p class="headline">
        <State look={jobLook(job.state)} /> <span class="number">{took(job, now)}</span>
        {job.attempt > 1 && <> · attempt {count(job.attempt)}{retries ? ` of ${count(retries)}` : ""}</>}
        {job.workerCount > 0 && <> · on {count(job.workerCount)} {job.workerCount === 1 ? "worker" : "workers"}</>}
        {silent !== undefined && <> · <strong class="tone-paused">{silent}</strong></>}
        {job.stateReason !== "" && job.stateReason !== job.state.toLowerCase() && <> · <bdi>{job.stateReason}</bdi></>}
      </p>
      <div class="job-progress">
        <span class="big">{percent(fraction)}</span>
        <Progress fraction={fraction || 0} />
        <span class="numbers">
          {steps !== "" && <span>{steps}</span>}
          {loss !== undefined && <span>loss {loss}{validation !== undefined && <>, validation {validation}</>}</span>}
          {speed !== undefined && <span>{speed}</span>}
          {ends !== undefined && <span>{ends}</span>}
        </span>
      </div>
      <dl class="facts wide">
        <div><dt>Submitted</dt><dd><When at={job.createTime} /> <Zone />{job.submitter !== "" && <> by <bdi>{job.submitter}</bdi></>}</dd></div>
        {job.startTime !== undefined && <div><dt>Started</dt><dd><When at={job.startTime} /></dd></div>}
        {job.endTime !== undefined && isTerminal(job.state) && <div><dt>Ended</dt><dd><When at={job.endTime} /></dd></div>}
        <div><dt>Priority</dt><dd>{job.priority}</dd></div>
        {Object.keys(job.labels).length > 0 && <div><dt>Labels</dt><dd><Labels labels={job.labels} /></dd></div>}
        {job.plan && <div><dt>Plan</dt><dd><bdi>{planText(job)}</bdi></dd></div>}
      </dl>
    </div>
  );
}

export function planText(job: Job): string {
  const plan = job.plan;
  if (!plan) return kNone;
  const workers = plan.workersMin === plan.workersMax ? count(plan.workersMax) : `${count(plan.workersMin)} to ${count(plan.workersMax)}`;
  const parts = [`${plan.transport} on ${workers} ${plan.workersMax === 1 ? "worker" : "workers"}`];
  if (plan.duration !== undefined && plan.duration !== "0s") parts.push(`about ${duration(Number(plan.duration.replace("s", "")) * 1000)}`);
  if (plan.train?.precision) parts.push(`precision ${plan.train.precision}`, `activations ${plan.train.activations}`);
  if (plan.why !== "") parts.push(plan.why);
  return [...parts, ...plan.warnings].join(" · ");
}

// Why it waits, stands or has ended, with each worker that is ruled out and its number.
function ExplainPanel({ job }: { job: Job }) {
  const live = useLive<Explanation>(job.name + ":explain", isTerminal(job.state) ? 0 : kSlowMs * 2);
  const title = job.state === "QUEUED" ? "Why it waits" : job.state === "FAILED" ? "Why it failed" : "Why";
  return (
    <Panel id="explain" title={title}>
      <Shown live={live} lines={3}>{(why) => (
        <>
          <p><bdi>{why.summary}</bdi></p>
          {why.smallestChange !== "" && <p>What would help: <bdi>{why.smallestChange}</bdi></p>}
          {why.failure && (
            <dl class="facts">
              {why.failure.worker !== "" && <><dt>First on</dt><dd><Name>{why.failure.worker}</Name>{why.failure.rank !== undefined && `, rank ${why.failure.rank}`}</dd></>}
              <dt>Ended by</dt><dd>{why.failure.signal !== 0 ? `signal ${why.failure.signal}` : `exit code ${why.failure.exitCode}`}</dd>
              <dt>At step</dt><dd>{count(why.failure.step)}</dd>
              <dt>Last good checkpoint</dt><dd>{why.checkpointStep === "0" ? "none" : `step ${count(why.checkpointStep)}`}</dd>
            </dl>
          )}
          {why.lastLines.length > 0 && <pre class="last-lines" role="group" tabIndex={0} aria-label="Last lines">{why.lastLines.map(plain).join("\n")}</pre>}
          {why.workers.length > 0 && (
            <table class="ruled-out">
              <caption class="visually-hidden">Workers that are ruled out</caption>
              <thead><tr><th scope="col">Worker</th><th scope="col">Why</th></tr></thead>
              <tbody>{why.workers.map((one) => <tr key={one.what}><td class="c-name"><Name>{one.what}</Name></td><td class="c-why"><bdi>{one.why}</bdi></td></tr>)}</tbody>
            </table>
          )}
          {why.commands.length > 0 && <ul class="commands">{why.commands.map((command) => <li key={command}><code>{command}</code></li>)}</ul>}
        </>
      )}</Shown>
    </Panel>
  );
}

// "worst 97 % of limit": of what leases have reserved.
export function worstText(job: Job): string {
  const worst = job.seats.reduce((most, seat) => Math.max(most, Number(seat.memoryUsedBytes) / Number(seat.memoryBytes)), 0);
  return worst > 0 ? `worst ${percent(worst)} of limit` : "";
}

const kMemoryParts = ["used", "reserved", "predicted", "peak"];
export function MemoryPanel({ job }: { job: Job }) {
  const predicted = int(job.plan?.memoryBytes);
  const past = int(job.memoryPeakBytes);
  const most = [past, predicted, ...job.seats.map((seat) => int(seat.memoryBytes))].reduce((a, b) => (a > b ? a : b));
  return (
    <Panel id="memory" title="Memory a device, GiB" fold={worstText(job)} aside={<span class="legend">{kMemoryParts.map((kind) => [<i key={kind} class={kind} />, ` ${kind} `])}</span>}>
      {job.seats.length === 0 && <p class="muted">No seat is held. Predicted {bytes(predicted)} a device{past > 0n ? `; the most that a seat held was ${bytes(past)}` : ""}.</p>}
      <ul class="device-list">
        {job.seats.map((seat) => {
          const [used, reserved, peak] = [int(seat.memoryUsedBytes), int(seat.memoryBytes), int(seat.memoryPeakBytes)];
          return (
            <li key={seat.number}>
              <a href={"/workers/" + seat.worker}><Name>{seat.worker}</Name></a> <span class="muted">device {seat.device}</span>
              <MemoryBar budget={most} label={`${bytes(used)} used, ${bytes(reserved)} reserved, ${bytes(predicted)} predicted, peak ${bytes(peak)}`}
                parts={[{ kind: "reserved", bytes: reserved }, { kind: "used", bytes: used }, { kind: "predicted", bytes: 0n, from: predicted }, { kind: "peak", bytes: 0n, from: peak }]} />
              <span class="number">{[used, reserved, predicted].map(gib).join(" / ")} <span class="muted">peak {gib(peak)}</span></span>
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}

// The title and the live region say a change of state, never a number.
function useSpokenState(job: Job | undefined): void {
  const before = useRef<string | undefined>(undefined);
  useEffect(() => {
    if (!job) return;
    if (before.current !== undefined && before.current !== job.state) say(`${lastPart(job.name)} is now ${job.state.toLowerCase()}.`);
    before.current = job.state;
  }, [job?.state]);
}

export function JobPage({ name }: { name: string }) {
  const live = useLive<Job>(name, kEveryMs, {}, followJob(name));
  const job = live.data.value;
  const over = job !== undefined && isTerminal(job.state);
  const every = over ? 0 : kSlowMs;
  const checkpoints = useLive<CheckpointList>(name + "/checkpoints", every);
  const timeline = useLive<Timeline>(name + "/timeline", every);
  const series = useSeries(name, !over);
  const lines = useLogTail(name, !over);
  useSpokenState(job);
  useEffect(() => void curves().catch(() => undefined), []); // fetched while the job is asked for
  const title = lastPart(name);
  // A section of the address comes with the first answer.
  const isThere = job !== undefined;
  useEffect(() => {
    if (isThere && /^#[a-z]+$/.test(location.hash)) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  }, [isThere, place.value.hash]);
  // Nobody looks: its tab's title stays true all the same.
  useEffect(() => {
    const timer = setInterval(() => { if (document.hidden && !over) live.again(); }, kHiddenMs);
    return () => clearInterval(timer);
  }, [name, over]);
  const tab = job && !over ? `${isActive(job.state) ? percent(fractionOf(job)) : job.state} ${title}` : `${job ? job.state + " " : ""}${title}`;
  return (
    <>
      <p class="crumbs"><a href="/jobs">Jobs</a> / <a href={`/jobs?project=${encodeURIComponent(projectOf(name))}`}><bdi>{projectOf(name)}</bdi></a> / <Name>{title}</Name></p>
      <Title text={tab}><Name>{title}</Name></Title>
      <Shown live={live} lines={10}>{(data) => (
        <>
          <Actions job={data} />
          <Header job={data} />
          {["QUEUED", "PAUSED", "FAILED"].includes(data.state) && <ExplainPanel key={data.state} job={data} />}
          <CostPanel job={data} />
          <div class={data.spec?.["train"] && data.startTime && series.data.value?.series.length !== 0 ? "curves-room" : ""}>
            <Curves name={name} live={series} began={instant(data.startTime) ?? 0} />
          </div>
          <TimelinePanel job={data} live={timeline} checkpoints={checkpoints.data.value?.checkpoints ?? []} />
          <div class="pair">
            <MemoryPanel job={data} />
            <CheckpointsPanel live={checkpoints} job={data} />
          </div>
          <LogTail name={name} live={lines} />
        </>
      )}</Shown>
    </>
  );
}

