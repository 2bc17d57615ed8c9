// A job's log: blocks of numbered lines from the server, rows of a fixed height, links to lines,
// search through all of them, and following that holds only at the bottom.
import { signal } from "../lib/signal";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { asApiError, get, isAbort, type ApiError } from "../lib/api";
import { plain } from "../lib/ansi";
import { count, plural } from "../lib/format";
import { followJob, useLive } from "../lib/live";
import { appended, emptyWindow, hashOf, indexOf, opened, prepended, rangeOf, type LogWindow } from "../lib/log_window";
import { lastPart, projectOf, type Job, type LogBlock, type LogLine } from "../lib/resources";
import { place, setHash, setQuery } from "../lib/router";
import { isTerminal, jobLook } from "../lib/state";
import { clock, instant, whole } from "../lib/time";
import { Name } from "../ui/bits";
import { Title } from "../ui/frame";
import { State } from "../ui/glyph";
import { LineText } from "../ui/line";
import { Select } from "../ui/select";
import { Empty, Failure, Waits } from "../ui/states";

const kRow = 20;
const kOverscan = 12;
const kFollowMs = 1500;
const kBefore = 100; // lines of context ahead of a linked one
const kBottom = 4;

interface Filters { rank: string; attempt: string }

const ask = (name: string, filters: Filters, more: Record<string, string | number>, signal?: AbortSignal): Promise<LogBlock> =>
  get<LogBlock>(name + "/logs", { rank: filters.rank, attempt: filters.attempt, ...more }, signal);

// The log as it is read: one reader per job and filters.
function useLog(name: string, filters: Filters, follow: boolean, isAtBottom: () => boolean) {
  const log = useMemo(() => ({
    window: signal<LogWindow>(emptyWindow),
    state: signal<"opening" | "open">("opening"),
    error: signal<ApiError | undefined>(undefined),
    unseen: signal(0),
    busy: false,
    generation: 0,
  }), [name, filters.rank, filters.attempt]);

  // Opens at a line, or at the end.
  const open = async (number: bigint | undefined): Promise<void> => {
    const mine = ++log.generation;
    log.state.value = "opening";
    try {
      const from = number === undefined ? undefined : number > BigInt(kBefore) ? number - BigInt(kBefore) : 1n;
      const block = await ask(name, filters, from === undefined ? {} : { from: String(from) });
      if (mine !== log.generation) return;
      log.window.value = opened(block);
      log.unseen.value = 0;
      log.error.value = undefined;
      log.state.value = "open";
    } catch (problem) {
      if (!isAbort(problem) && mine === log.generation) log.error.value = asApiError(problem);
    }
  };

  // One question at a time; what was asked before the log was opened elsewhere is dropped.
  const more = async (where: "earlier" | "later"): Promise<number> => {
    const window = log.window.value;
    if (log.busy || log.state.value !== "open") return 0;
    log.busy = true;
    const mine = log.generation;
    try {
      const first = window.lines[0];
      const block = where === "later" ? await ask(name, filters, { from: window.next })
        : await ask(name, filters, { before: first?.number ?? window.next });
      if (mine !== log.generation) return 0;
      log.error.value = undefined;
      if (where === "later") {
        const before = log.window.value.lines;
        log.window.value = appended(log.window.value, block);
        const after = log.window.value.lines;
        const lastBefore = before[before.length - 1];
        return lastBefore === undefined ? after.length : after.length - indexOf(after, BigInt(lastBefore.number) + 1n);
      }
      const { window: joined, added } = prepended(log.window.value, block);
      log.window.value = joined;
      return added;
    } catch (problem) {
      if (!isAbort(problem)) log.error.value = asApiError(problem);
      return 0;
    } finally {
      log.busy = false;
    }
  };

  useEffect(() => {
    if (!follow) return undefined;
    const timer = setInterval(() => {
      if (document.hidden || log.window.value.hasLater) return;
      void more("later").then((added) => { if (!isAtBottom()) log.unseen.value += added; });
    }, kFollowMs);
    return () => clearInterval(timer);
  }, [log, follow]);

  return { ...log, log, open, more };
}

function Row({ line, top, chosen, timed, raw, choose }: {
  line: LogLine; top: number; chosen: boolean; timed: boolean; raw: boolean; choose: (line: LogLine, extend: boolean) => void;
}) {
  const tone = [chosen && "chosen", line.stream === "ERR" && "err", line.stream === "SYSTEM" && "system"].filter(Boolean).join(" ");
  return (
    <div class={"log-row " + tone} style={{ top: `${top}px` }} role="row">
      <span class="gutter" role="cell">
        <a href={"#L" + line.number} onClick={(event) => {
          event.preventDefault();
          choose(line, event.shiftKey);
        }}>{count(line.number)}</a>
        {timed && <time>{clock(instant(line.time) ?? 0)}</time>}
        <span class="rank">{line.rank}</span>
      </span>
      <span role="cell" class="cell"><LineText line={line} raw={raw} /></span>
    </div>
  );
}

function Search({ name, filters, show }: { name: string; filters: Filters; show: (number: string) => void }) {
  const q = place.value.query.get("q") ?? "";
  const [text, setText] = useState(q);
  const [at, setAt] = useState(-1);
  useEffect(() => { setText(q); setAt(-1); }, [q]);
  const live = useLive<LogBlock>(q === "" ? undefined : name + "/logs:search", 0, { q, rank: filters.rank, attempt: filters.attempt });
  const hits = live.data.value;
  const error = live.error.value;
  const step = (by: number): void => {
    const all = hits?.lines ?? [];
    if (all.length === 0) return;
    const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : (at + by + all.length) % all.length;
    setAt(next);
    show(all[next]?.number ?? "1");
  };
  return (
    <form class="log-search" role="search" onSubmit={(event) => {
      event.preventDefault();
      if (text.trim() === q) step(1);
      else setQuery({ q: text.trim() }, "push");
    }}>
      <label><span class="visually-hidden">Search the whole log</span>
        <input type="search" value={text} placeholder="/ search all lines" spellcheck={false} autocomplete="off" maxLength={200}
          onInput={(event) => { setText(event.currentTarget.value); if (event.currentTarget.value === "") setQuery({ q: undefined }, "replace"); }} />
      </label>
      {q !== "" && (
        <span class="hits" role="status">
          {error ? error.message : !hits ? "searching…" : hits.lines.length === 0 ? "no line has it"
            : `${at < 0 ? "" : `${at + 1} of `}${count(hits.lines.length)}${hits.hasLater ? "+" : ""} ${hits.lines.length === 1 ? "line" : "lines"}`}
        </span>
      )}
      {hits && hits.lines.length > 0 && (
        <>
          <button type="button" aria-label="Previous hit" onClick={() => step(-1)}>↑</button>
          <button type="button" aria-label="Next hit" onClick={() => step(1)}>↓</button>
        </>
      )}
    </form>
  );
}

// The chosen lines, whole, with where they come from.
function Chosen({ lines, close }: { lines: LogLine[]; close: () => void }) {
  const first = lines[0];
  if (!first) return null;
  const text = lines.map((line) => plain(line.text)).join("\n");
  const copy = (what: string): void => void navigator.clipboard.writeText(what).catch(() => undefined);
  return (
    <aside class="chosen-lines" aria-label="Chosen lines">
      <p>
        <strong>{lines.length === 1 ? `Line ${count(first.number)}` : `${plural(lines.length, "line")} from ${count(first.number)}`}</strong>
        <span class="muted"> {whole(instant(first.time) ?? 0)} · attempt {first.attempt} · rank {first.rank} · {first.stream === "ERR" ? "standard error" : first.stream === "SYSTEM" ? "from Overwinter" : "standard output"}</span>
        <span class="grow" />
        <button type="button" onClick={() => copy(text)}>Copy text</button>
        <button type="button" onClick={() => copy(location.href)}>Copy link</button>
        <button type="button" onClick={close} aria-label="Close">✕</button>
      </p>
      <pre>{text}</pre>
    </aside>
  );
}

export function LogsPage({ name }: { name: string }) {
  const query = place.value.query;
  const filters = { rank: query.get("rank") ?? "", attempt: query.get("attempt") ?? "" };
  const timed = query.get("time") !== "off";
  const raw = query.get("raw") === "1";
  const live = useLive<Job>(name, 5000, {}, followJob(name));
  const job = live.data.value;
  const over = job !== undefined && isTerminal(job.state);
  const [follow, setFollow] = useState(true);
  const atBottom = useRef(true);
  const log = useLog(name, filters, follow, () => atBottom.current);
  const scroller = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const wanted = useRef<bigint | undefined>(undefined);
  const window = log.window.value;
  const range = rangeOf(place.value.hash);

  const rowsHeight = window.lines.length * kRow;
  const toNumber = (number: bigint): void => {
    const box = scroller.current;
    if (box) box.scrollTop = Math.max(0, indexOf(log.window.value.lines, number) * kRow - box.clientHeight / 3);
  };
  const open = (from: bigint | undefined): void => {
    wanted.current = from;
    atBottom.current = from === undefined;
    void log.open(from);
  };
  const show = (number: string): void => {
    const wish = BigInt(number);
    const lines = log.window.value.lines;
    const first = lines[0];
    const last = lines[lines.length - 1];
    setHash("#L" + number);
    atBottom.current = false;
    if (first && last && wish >= BigInt(first.number) && wish <= BigInt(last.number)) toNumber(wish);
    else open(wish);
  };

  useEffect(() => {
    open(range?.from);
  }, [log.log]);
  // Back, or a link that somebody clicked.
  useEffect(() => {
    if (range !== undefined && log.state.value === "open" && wanted.current === undefined) {
      const line = window.lines[indexOf(window.lines, range.from)];
      if (line?.number !== String(range.from)) open(range.from);
    }
  }, [place.value.hash]);
  useLayoutEffect(() => {
    const box = scroller.current;
    if (!box || log.state.value !== "open") return;
    if (wanted.current !== undefined) {
      toNumber(wanted.current);
      wanted.current = undefined;
    } else if (atBottom.current) {
      box.scrollTop = box.scrollHeight;
      log.unseen.value = 0;
    }
  }, [window, log.state.value]);
  useEffect(() => {
    const box = scroller.current;
    if (!box) return undefined;
    const fit = new ResizeObserver(() => {
      setHeight(box.clientHeight);
      if (atBottom.current) box.scrollTop = box.scrollHeight;
    });
    fit.observe(box);
    return () => fit.disconnect();
  }, [log.state.value === "open" && window.lines.length > 0]);

  const scrolled = (): void => {
    const box = scroller.current;
    if (!box) return;
    setTop(box.scrollTop);
    atBottom.current = !window.hasLater && box.scrollTop + box.clientHeight >= box.scrollHeight - kBottom;
    if (atBottom.current) log.unseen.value = 0;
    if (box.scrollTop < 40 * kRow && window.hasEarlier) {
      void log.more("earlier").then((added) => { box.scrollTop += added * kRow; });
    } else if (window.hasLater && box.scrollTop + box.clientHeight > box.scrollHeight - 40 * kRow) {
      void log.more("later");
    }
  };
  const choose = (line: LogLine, extend: boolean): void => {
    atBottom.current = false;
    setHash(extend && range ? hashOf(String(range.from), line.number) : "#L" + line.number);
  };
  const toEnd = (): void => {
    setHash("");
    atBottom.current = true;
    setFollow(true);
    if (window.hasLater) void log.open(undefined);
    else if (scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  };

  const from = Math.max(0, Math.floor(top / kRow) - kOverscan);
  const to = Math.min(window.lines.length, Math.ceil((top + height) / kRow) + kOverscan);
  const chosen = range ? window.lines.slice(indexOf(window.lines, range.from), indexOf(window.lines, range.to + 1n)) : [];
  const error = log.error.value;
  const ranks = [...new Set(window.lines.map((line) => line.rank))].sort((a, b) => a - b);
  const attempts = job ? Array.from({ length: Math.max(1, job.attempt) }, (_, i) => String(i + 1)) : [];
  return (
    <div class="log-page">
      <p class="crumbs"><a href="/jobs">Jobs</a> / <a href={`/jobs?project=${encodeURIComponent(projectOf(name))}`}><bdi>{projectOf(name)}</bdi></a> / <a href={"/" + name}><Name>{lastPart(name)}</Name></a> / Logs</p>
      <Title text={`Logs of ${lastPart(name)}`}><span>Logs </span>{job && <State look={jobLook(job.state)} />}</Title>
      {live.error.value && live.error.value.status === 404 ? <Failure error={live.error.value} /> : (
        <>
          <div class="log-bar">
            <button type="button" aria-pressed={over ? undefined : follow && !window.hasLater} onClick={() => (follow && !over ? setFollow(false) : toEnd())}>{over ? "to the end" : follow ? "● following" : "follow"}</button>
            <Select label="Rank" value={filters.rank} choose={(rank) => setQuery({ rank }, "push")}
              options={[["", "all ranks"], ...[...new Set([...ranks.map(String), ...(filters.rank ? [filters.rank] : [])])].map((rank): [string, string] => [rank, "rank " + rank])]} />
            {attempts.length > 1 && (
              <Select label="Attempt" value={filters.attempt} choose={(attempt) => setQuery({ attempt }, "push")}
                options={[["", "all attempts"], ...attempts.map((one): [string, string] => [one, "attempt " + one])]} />
            )}
            <Search name={name} filters={filters} show={show} />
            <span class="grow" />
            <button type="button" aria-pressed={timed} onClick={() => setQuery({ time: timed ? "off" : undefined }, "replace")}>time</button>
            <button type="button" aria-pressed={raw} onClick={() => setQuery({ raw: raw ? undefined : "1" }, "replace")}>raw</button>
          </div>
          {error && error.status !== 0 && <Failure error={error} again={() => void log.open(range?.from)} />}
          {log.state.value === "opening" && !error && <Waits on lines={14} />}
          {log.state.value === "open" && window.lines.length === 0 && (
            <Empty>{filters.rank !== "" || filters.attempt !== "" ? "No line of that rank and attempt." : over ? "It printed nothing." : "It has printed nothing yet."}</Empty>
          )}
          {log.state.value === "open" && window.lines.length > 0 && (
            <div class={timed ? "log-box timed" : "log-box"}>
              <div ref={scroller} class="log-scroll" onScroll={scrolled} tabIndex={0} role="table" aria-label="Log lines" aria-rowcount={window.hasEarlier || window.hasLater ? -1 : window.lines.length}>
                <div style={{ height: `${rowsHeight}px` }} class="log-rows" role="rowgroup">
                  {window.lines.slice(from, to).map((line, i) => (
                    <Row key={line.number} line={line} top={(from + i) * kRow} timed={timed} raw={raw} choose={choose}
                      chosen={range !== undefined && BigInt(line.number) >= range.from && BigInt(line.number) <= range.to} />
                  ))}
                </div>
              </div>
              {(log.unseen.value > 0 || window.hasLater) && (
                <button type="button" class="unseen" onClick={toEnd}>↓ {log.unseen.value > 0 ? `${count(log.unseen.value)} new` : "to the end"}</button>
              )}
            </div>
          )}
          {chosen.length > 0 && <Chosen lines={chosen} close={() => setHash("")} />}
        </>
      )}
    </div>
  );
}
