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
import { Empty, Shown } from "../ui/states";
import { useEffect, useRef } from "preact/hooks";
import { Actions } from "./actions";
import { CostPanel } from "./cost";
import { LogTail } from "./log_tail";
import { endText, lossText, progressText, speedText } from "./numbers";
import { TimelinePanel } from "./timeline";

const Curves = lazy(() => import("./curves").then((module) => module.Curves));

const kEveryMs = 2000;
const kSlowMs = 5000;
const kHiddenMs = 60_000;

function Header({ job }: { job: Job }) {
  const now = serverNow.value;
  const fraction = job.progress?.fraction ?? 0;
  const retries = typeof job.spec?.["retries"] === "number" ? job.spec["retries"] + 1 : undefined;
  const ends = endText(job, now);
  const loss = lossText(job.progress?.loss);
  const validation = lossText(job.progress?.validationLoss);
  const speed = speedText(job);
  return (
    <div class="job-header">
      <p class="headline">
        <State look={jobLook(job.state)} /> <span class="number">{took(job, now)}</span>
        {job.attempt > 1 && <> · attempt {count(job.attempt)}{retries ? ` of ${count(retries)}` : ""}</>}
        {job.workerCount > 0 && <> · on {count(job.workerCount)} {job.workerCount === 1 ? "worker" : "workers"}</>}
        {job.stateReason !== "" && <> · <bdi>{job.stateReason}</bdi></>}
      </p>
      <div class="job-progress">
        <span class="big">{percent(fraction)}</span>
        <Progress fraction={fraction} />
        <span class="numbers">
          <span>{progressText(job)}</span>
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

function planText(job: Job): string {
  const plan = job.plan;
  if (!plan) return kNone;
  const workers = plan.workersMin === plan.workersMax ? count(plan.workersMax) : `${count(plan.workersMin)} to ${count(plan.workersMax)}`;
  const parts = [`${plan.transport} on ${workers} ${plan.workersMax === 1 ? "worker" : "workers"}`];
  if (plan.duration !== undefined && plan.duration !== "0s") parts.push(`about ${duration(Number(plan.duration.replace("s", "")) * 1000)}`);
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

function MemoryPanel({ job }: { job: Job }) {
  const predicted = int(job.plan?.memoryBytes);
  const peak = int(job.memoryPeakBytes);
  const rows = job.seats;
  const most = rows.reduce((max, seat) => (int(seat.memoryBytes) > max ? int(seat.memoryBytes) : max), predicted > peak ? predicted : peak);
  return (
    <Panel id="memory" title="Memory a device, GiB"
      aside={<span class="legend"><i class="used" /> peak <i class="reserved" /> reserved <i class="predicted" /> predicted</span>}>
      {rows.length === 0 && <p class="muted">No seat is held. Predicted {bytes(predicted)} a device{peak > 0n ? `; the most that a seat held was ${bytes(peak)}` : ""}.</p>}
      {rows.length > 0 && (
        <ul class="device-list">
          {rows.map((seat) => {
            const reserved = int(seat.memoryBytes);
            const used = int(seat.memoryPeakBytes);
            return (
              <li key={seat.number}>
                <a href={"/workers/" + seat.worker}><Name>{seat.worker}</Name></a> <span class="muted">device {seat.device}</span>
                <MemoryBar budget={most} parts={[{ kind: "reserved", bytes: reserved }, { kind: "used", bytes: used }, { kind: "predicted", bytes: 0n, from: predicted }]}
                  label={`peak ${bytes(used)}, reserved ${bytes(reserved)}, predicted ${bytes(predicted)}`} />
                <span class="number">{gib(used)} / {gib(reserved)} / {gib(predicted)}</span>
              </li>
            );
          })}
        </ul>
      )}
    </Panel>
  );
}

function CheckpointsPanel({ live, job }: { live: ReturnType<typeof useLive<CheckpointList>>; job: Job }) {
  return (
    <Panel id="checkpoints" title="Checkpoints, newest first">
      <Shown live={live} lines={2}>{(list) => list.checkpoints.length === 0
        ? <Empty>{job.plan?.transport === "elastic" ? "An elastic job keeps finished tiles, not checkpoints." : "None is stored yet."}</Empty>
        : (
          <table class="checkpoints">
            <caption class="visually-hidden">Checkpoints</caption>
            <thead><tr><th scope="col" class="number">Step</th><th scope="col">Stored</th><th scope="col" class="number">Size</th><th scope="col" class="number">Loss</th><th scope="col" class="number">Attempt</th><th scope="col">State</th></tr></thead>
            <tbody>
              {list.checkpoints.map((one) => (
                <tr key={one.name + one.attempt}>
                  <td class="number">{count(one.step)}</td>
                  <td><When at={one.createTime} /></td>
                  <td class="number">{bytes(one.sizeBytes)}</td>
                  <td class="number">{lossText(one.loss) ?? kNone}</td>
                  <td class="number">{count(one.attempt)}</td>
                  <td>{one.damage === "" ? "whole" : <strong class="tone-failed">✕ <bdi>{one.damage}</bdi></strong>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}</Shown>
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
  useSpokenState(job);
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
  const tab = job && !over ? `${isActive(job.state) ? percent(job.progress?.fraction ?? 0) : job.state} ${title}` : `${job ? job.state + " " : ""}${title}`;
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
          <Curves name={name} live={!over} began={instant(data.startTime) ?? 0} />
          <TimelinePanel job={data} live={timeline} checkpoints={checkpoints.data.value?.checkpoints ?? []} />
          <div class="pair">
            <MemoryPanel job={data} />
            <CheckpointsPanel live={checkpoints} job={data} />
          </div>
          <LogTail name={name} live={!over} />
        </>
      )}</Shown>
    </>
  );
}

