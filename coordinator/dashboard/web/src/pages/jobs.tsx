// The list of jobs. The server filters, orders and pages; rows show new values where they stand, and
// move only when asked (P5).
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { amount, count, micros, percent, plural } from "../lib/format";
import { followJobs, useLive } from "../lib/live";
import { lastPart, projectOf, type Job, type JobList } from "../lib/resources";
import { narrow } from "../lib/narrow";
import { place, setQuery } from "../lib/router";
import { session } from "../lib/session";
import { isActive, jobLook } from "../lib/state";
import { instant, moment, serverNow } from "../lib/time";
import { visible } from "../lib/visible";
import { fractionOf, lossText, silenceText } from "../job/numbers";
import { Labels, Name, took, When, Zone } from "../ui/bits";
import { Title } from "../ui/frame";
import { State } from "../ui/glyph";
import { Select } from "../ui/select";
import { Empty, Failure, Waits } from "../ui/states";

const kEveryMs = 3000;
const kAllEveryMs = 60_000; // how many there are without the filter
const kTypingMs = 400;
const kSizes = ["25", "50", "100"];
const kLabelsMax = 30;
const kColumns: Record<string, string> = { workers: "Workers", submitted: "Submitted", took: "Took", labels: "Labels" };
const kOrders: Record<string, string> = { createTime: "create_time", endTime: "end_time", state: "state", cost: "cost", name: "name" };
const kStates = ["QUEUED", "STARTING", "RUNNING", "STOPPING", "PAUSED", "SUCCEEDED", "FAILED", "CANCELLED"];

// The terms of a filter text but for those of a key; the list is the text, so that choosing teaches it.
function without(filter: string, key: string): string[] {
  const own = new RegExp(`^(NOT\\s+)?${key}\\s*[!<>]?=`);
  return filter.split(/\s+AND\s+/).filter((term) => term.trim() !== "" && !own.test(term.trim()));
}
export const withState = (filter: string, state: string): string =>
  [...(state === "" ? [] : [`state=${state}`]), ...without(filter, "state")].join(" AND ");
// Of jobs that were submitted since: RFC 3339.
export const withSince = (filter: string, since: string): string =>
  [...without(filter, "create_time"), ...(since === "" ? [] : [`create_time>="${since}"`])].join(" AND ");
export const sinceOf = (filter: string): string => /(?:^|\sAND\s)\s*create_time\s*>=\s*"?([^"\s]+)/.exec(filter)?.[1] ?? "";
// The same for a label: one more term.
export function withLabel(filter: string, pair: string): string {
  const term = "labels." + pair.replace(/=(.*)$/, (_, value: string) => (/^[\w.-]+$/.test(value) ? `=${value}` : `="${value}"`));
  return filter === "" ? term : `${filter} AND ${term}`;
}
export function stateOf(filter: string): string {
  return /(?:^|\sAND\s)\s*state\s*=\s*([A-Z]+)/.exec(filter)?.[1] ?? "";
}

// `sort=-cost`: the key, and whether from the largest on.
function sortOf(): { key: string; down: boolean } {
  const [, minus = "", key = ""] = /^(-?)(\w+)$/.exec(place.value.query.get("sort") ?? "") ?? [];
  return key in kOrders ? { key, down: minus !== "" } : { key: "createTime", down: true };
}

function orderBy(sort: string): void {
  setQuery({ sort: sort === "-createTime" ? undefined : sort, page: undefined }, "push");
}

// `cols=took,labels`: all, where it does not say.
function isShown(column: string): boolean {
  const cols = place.value.query.get("cols");
  return cols === null || cols.split(",").includes(column);
}
function toggle(column: string): void {
  const shown = Object.keys(kColumns).filter((one) => isShown(one) !== (one === column));
  setQuery({ cols: shown.length === Object.keys(kColumns).length ? undefined : shown.join() || "none" }, "push");
}

// One sentence: why it does not run, or how far it is.
export function whyOf(job: Job, now: number): string {
  if (isActive(job.state) && job.progress) {
    const progress = job.progress;
    const silent = silenceText(job, now);
    const far = fractionOf(job);
    const parts = [...(silent ? [silent] : []), ...(Number.isNaN(far) ? [] : [percent(far)])];
    if (progress.stepsTotal === "0" && progress.step !== "0") parts.push(`step ${count(progress.step)}`);
    else if (progress.stepsTotal !== "0") parts.push(`step ${count(progress.step)}/${count(progress.stepsTotal)}`);
    const loss = lossText(progress.loss);
    if (loss !== undefined) parts.push("loss " + loss);
    if (job.state !== "RUNNING" && job.stateReason !== "") parts.unshift(job.stateReason);
    return parts.join(" · ");
  }
  if (job.stateReason !== "") return job.stateReason;
  return job.state === "SUCCEEDED" ? "done" : "";
}

const kHours: Record<string, string> = { 1: "last hour", 24: "last 24 h", 168: "last 7 d", 720: "last 30 d" };
const kSorts: Record<string, string> = {
  "-createTime": "newest first", createTime: "oldest first", "-endTime": "last ended first", state: "by state", "-cost": "most cost first", name: "by name",
};
const same = (one: string): [string, string] => [one, visible(one)];

// What the rows that are shown have, for choosing.
function Choices({ jobs, filter, apply }: { jobs: Job[]; filter: string; apply: (filter: string) => void }) {
  const project = place.value.query.get("project") ?? "";
  const projects = [...new Set([...jobs.map((job) => projectOf(job.name)), ...(project === "" ? [] : [project])])].sort();
  const labels = [...new Set(jobs.flatMap((job) => Object.entries(job.labels).map(([key, value]) => `${key}=${value}`)))].sort().slice(0, kLabelsMax);
  const since = sinceOf(filter);
  const { key, down } = sortOf();
  const sort = (down ? "-" : "") + key;
  return (
    <>
      <Select label="State" value={stateOf(filter)} options={[["", "any state"], ...kStates.map(same)]} choose={(state) => apply(withState(filter, state))} />
      {session.value?.project === "" && projects.length + (project === "" ? 0 : 1) > 1 && (
        <Select label="Project" value={project} options={[["", "any project"], ...projects.map(same)]} choose={(to) => setQuery({ project: to, page: undefined }, "push")} />
      )}
      {labels.length > 0 && <Select label="Label" value="" options={[["", "any label"], ...labels.map(same)]} choose={(label) => apply(withLabel(filter, label))} />}
      <Select label="Submitted" value={since} choose={(to) => apply(withSince(filter, to in kHours ? hoursAgo(Number(to)) : to))}
        options={[["", "any time"], ...Object.entries(kHours), ...(since === "" ? [] : [[since, "since " + moment(instant(since), serverNow.value)] as [string, string]])]} />
      {narrow.value && <Select label="Order" value={sort} options={[...Object.entries(kSorts), ...(sort in kSorts ? [] : [same(sort)])]} choose={orderBy} />}
    </>
  );
}

const hoursAgo = (hours: number): string => new Date(serverNow.value - hours * 3_600_000).toISOString().replace(/\.\d+/, "");

function FilterBar({ total, jobs }: { total: string | undefined; jobs: Job[] }) {
  const query = place.value.query;
  const filter = query.get("filter") ?? "";
  const [text, setText] = useState(filter);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const own = useRef(filter);
  useEffect(() => {
    if (filter !== own.current) setText(filter); // Back, or a choice
    own.current = filter;
  }, [filter]);
  const apply = (value: string, how: "push" | "replace"): void => {
    clearTimeout(timer.current);
    own.current = value;
    setText(value);
    setQuery({ filter: value, page: undefined }, how);
  };
  return (
    <form class="filters" role="search" onSubmit={(event) => { event.preventDefault(); apply(text, "push"); }}>
      <label class="grow">
        <span class="visually-hidden">Filter</span>
        <input id="filter" type="search" value={text} spellcheck={false} autocomplete="off"
          placeholder="/ state=FAILED AND labels.team=nlp"
          onInput={(event) => {
            const value = event.currentTarget.value;
            setText(value);
            clearTimeout(timer.current);
            timer.current = setTimeout(() => apply(value.trim(), "replace"), kTypingMs);
          }} />
      </label>
      <Choices jobs={jobs} filter={filter} apply={(text) => apply(text, "push")} />
      <details class="menu">
        <summary>columns<span class="caret" aria-hidden="true">▾</span></summary>
        <div class="sheet">{Object.entries(kColumns).map(([name, word]) => (
          <p key={name}><label><input type="checkbox" checked={isShown(name)} onChange={() => toggle(name)} /> {word}</label></p>
        ))}</div>
      </details>
      {total !== undefined && <span class="muted total">{total}</span>}
    </form>
  );
}

// A head that orders the list by its column.
function Head({ by, word, kind, before, children }: { by: string; word: string; kind?: string; before?: string; children?: ComponentChildren }) {
  const { key, down } = sortOf();
  const is = key === by;
  const next = is ? !down : by !== "name" && by !== "state";
  return (
    <th scope="col" class={kind} aria-sort={is ? (down ? "descending" : "ascending") : undefined}>
      {before}<button type="button" class="sort" onClick={() => orderBy((next ? "-" : "") + by)}>
        {word}{is && <span aria-hidden="true"> {down ? "▾" : "▴"}</span>}
      </button>{children}
    </th>
  );
}

function Row({ job, gone }: { job: Job; gone: boolean }) {
  const now = serverNow.value;
  const cap = job.cost?.cap;
  const spent = micros(job.cost?.charged);
  const atCap = cap !== undefined && spent >= micros(cap);
  return (
    <tr class={gone ? "gone" : undefined}>
      <td class="c-state"><State look={jobLook(job.state)} /></td>
      <td class="c-name"><a id={"row-" + lastPart(job.name)} class="row-link" href={"/" + job.name} title={job.displayName}><Name>{lastPart(job.name)}</Name></a></td>
      <td class="c-why"><bdi>{gone ? "no longer on this page; shown as it was" : whyOf(job, now)}</bdi></td>
      {isShown("workers") && <td class="c-workers number">{job.workerCount === 0 ? "–" : count(job.workerCount)}</td>}
      {isShown("submitted") && <td class="c-submitted"><When at={job.createTime} /></td>}
      {isShown("took") && <td class="c-took">{took(job, now)}</td>}
      <td class="c-cost number" title={job.cost?.charged ? `${job.cost.charged.amountMicros} micro-units` : undefined}>
        {amount(spent, 4)} / {cap ? amount(micros(cap), 2) : "–"}{atCap && <strong class="tone-paused" title="the cap is reached"> !</strong>}
      </td>
      {isShown("labels") && <td class="c-labels"><Labels labels={job.labels} /></td>}
    </tr>
  );
}

// "412", "10,000+": counted so far and no farther.
export const sizeText = (list: JobList): string => count(list.totalSize) + (list.totalSizeCapped ? "+" : "");

// The rows as they stand, with the newest value of each; what came or moved since is counted.
interface Standing { key: string; names: string[]; jobs: Map<string, Job> }

function standingOf(key: string, list: JobList, before: Standing | undefined): Standing {
  const jobs = new Map(list.jobs.map((job) => [job.name, job]));
  if (before?.key !== key) return { key, names: list.jobs.map((job) => job.name), jobs };
  for (const name of before.names) {
    const old = before.jobs.get(name);
    if (!jobs.has(name) && old) jobs.set(name, old);
  }
  return { key, names: before.names, jobs };
}

export function changesOf(names: string[], fresh: string[]): { added: number; moved: number } {
  const known = new Set(names);
  const added = fresh.filter((name) => !known.has(name)).length;
  const there = new Set(fresh);
  const before = names.filter((name) => there.has(name));
  const after = fresh.filter((name) => known.has(name));
  return { added, moved: before.filter((name, i) => after[i] !== name).length };
}

export function JobsPage() {
  const query = place.value.query;
  const filter = query.get("filter") ?? "";
  const { key: by, down } = sortOf();
  const size = kSizes.includes(query.get("size") ?? "") ? (query.get("size") ?? "50") : "50";
  const page = query.get("page") ?? "";
  const project = query.get("project") ?? "-";
  const asked = { filter, orderBy: kOrders[by] + (down ? " desc" : ""), pageSize: size, pageToken: page };
  const live = useLive<JobList>(`projects/${project}/jobs`, kEveryMs, asked, followJobs);
  const standing = useRef<Standing | undefined>(undefined);
  const [, redraw] = useState(0);
  const trail = useRef<{ of: string; tokens: string[] }>({ of: "", tokens: [] });

  const list = live.data.value;
  const error = live.error.value;
  const key = JSON.stringify([project, asked]);
  // Which pages were turned on the way here, for going back to newer ones.
  const listKey = JSON.stringify([project, filter, by, down, size]);
  if (trail.current.of !== listKey) trail.current = { of: listKey, tokens: [] };
  if (list) standing.current = standingOf(key, list, standing.current);

  const rows = standing.current?.key === key ? standing.current : undefined;
  const fresh = list?.jobs.map((job) => job.name) ?? [];
  const there = new Set(fresh);
  const { added, moved } = rows ? changesOf(rows.names, fresh) : { added: 0, moved: 0 };
  const all = useLive<JobList>(filter === "" ? undefined : `projects/${project}/jobs`, kAllEveryMs, { pageSize: 1 }).data.value;
  const total = list && (filter === "" ? `${sizeText(list)} ${list.totalSize === "1" ? "job" : "jobs"}` : `${sizeText(list)} match${all ? ` of ${sizeText(all)}` : ""}`);
  const words = by !== "createTime" ? ["first", "previous", "next"] : down ? ["newest", "newer", "older"] : ["oldest", "older", "newer"];
  const turn = (to: string | undefined): void => {
    scrollTo(0, 0);
    setQuery({ page: to }, "push");
  };
  return (
    <>
      <Title text="Jobs" />
      <FilterBar total={total} jobs={list?.jobs ?? []} />
      {error && error.status !== 0 && error.status !== 503 && <Failure error={error} again={live.again} />}
      <Waits on={!rows && !error} lines={12}>{() => (
        <>
          {rows && rows.names.length === 0 && (
            <Empty>
              {filter !== "" ? <>No job matches this filter. <button type="button" onClick={() => setQuery({ filter: undefined, page: undefined }, "push")}>Clear filter</button></>
                : <>There is no job yet. <code>overwinter submit FILE.yaml</code> makes one.</>}
            </Empty>
          )}
          {rows && rows.names.length > 0 && (
            <table class="jobs">
              <caption class="visually-hidden">Jobs by {by === "createTime" ? "time" : by}, {down ? "descending" : "ascending"}</caption>
              <thead>
                <tr>
                  <Head by="state" word="State" /><Head by="name" word="Job" /><th scope="col">Why / progress</th>
                  {isShown("workers") && <th scope="col" class="c-workers number">Workers</th>}
                  {isShown("submitted") && <Head by="createTime" word="Submitted" kind="c-submitted"> <Zone /></Head>}
                  {isShown("took") && <Head by="endTime" before="Took, " word="ended" kind="c-took" />}
                  <Head by="cost" word="Cost" kind="number"> / cap {currency(rows.jobs)}</Head>
                  {isShown("labels") && <th scope="col" class="c-labels">Labels</th>}
                </tr>
              </thead>
              <tbody>
                {/* Which jobs stand here changes when a page is turned alone: the next page's take over these rows. */}
                {rows.names.map((name, i) => {
                  const job = rows.jobs.get(name);
                  return job && <Row key={i} job={job} gone={!there.has(name)} />;
                })}
              </tbody>
            </table>
          )}
          {rows && (
            <nav class="pages" aria-label="Pages of the list">
              {(added > 0 || moved > 0) && (
                <button type="button" class="news" onClick={() => { standing.current = undefined; redraw((n) => n + 1); }}>
                  {[added > 0 && `${count(added)} new`, moved > 0 && `${count(moved)} changed place`].filter(Boolean).join(", ")}: show
                </button>
              )}
              <span class="grow" />
              {page !== "" && <button type="button" onClick={() => turn(undefined)}>« {words[0]}</button>}
              {page !== "" && trail.current.tokens.length > 0 && (
                <button type="button" onClick={() => turn(trail.current.tokens.pop() || undefined)}>‹ {words[1]}</button>
              )}
              {list?.nextPageToken !== undefined && list.nextPageToken !== "" && (
                <button type="button" onClick={() => { trail.current.tokens.push(page); turn(list.nextPageToken); }}>{words[2]} ›</button>
              )}
              <Select label="Rows a page" value={size} options={kSizes.map((one) => [one, one + " a page"])} choose={(to) => setQuery({ size: to, page: undefined }, "push")} />
              {rows.names.length > 0 && <span class="muted">{plural(rows.names.length, "row")}</span>}
            </nav>
          )}
        </>
      )}</Waits>
    </>
  );
}

function currency(jobs: Map<string, Job>): string {
  for (const job of jobs.values()) if (job.cost?.charged) return job.cost.charged.currencyCode;
  return "";
}

