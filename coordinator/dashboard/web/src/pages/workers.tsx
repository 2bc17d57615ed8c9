// Every worker that the caller may know of, its devices, and who has the least memory left.
import type { RefObject } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { amount, count, durationMs, gib, int, kNone, micros } from "../lib/format";
import { followWorkers, placesIn, useLive } from "../lib/live";
import { lastPart, type Worker, type WorkerList } from "../lib/resources";
import { place, setQuery } from "../lib/router";
import { workerLook } from "../lib/state";
import { serverNow } from "../lib/time";
import { DeviceMemory, Name } from "../ui/bits";
import { Title } from "../ui/frame";
import { State } from "../ui/glyph";
import { Select } from "../ui/select";
import { Empty, Shown } from "../ui/states";
import { busyText, isThere, seatsOf, seenText } from "../lib/worker";

const kEveryMs = 3000;
const kRows = 60; // drawn at once
const kStep = 10;
const kMapMax = 200;

export function budgetOf(worker: Worker): bigint {
  return worker.devices.reduce((sum, device) => sum + int(device.memoryBytes), 0n);
}
export function reservedOf(worker: Worker): bigint {
  return worker.uses.reduce((sum, use) => sum + int(use.memoryReservedBytes), 0n);
}
export function usedOf(worker: Worker): bigint {
  return worker.uses.reduce((sum, use) => sum + int(use.memoryUsedBytes), 0n);
}
export const deviceText = (worker: Worker): string =>
  worker.devices.map((device) => `${device.kind}${device.model && device.model !== device.kind ? " " + device.model : ""}, ${count(device.threads)} thr`).join("; ");

export const kSorts: Record<string, (a: Worker, b: Worker) => number> = {
  name: (a, b) => (a.name < b.name ? -1 : 1),
  free: (a, b) => {
    const left = budgetOf(a) - reservedOf(a);
    const right = budgetOf(b) - reservedOf(b);
    return left < right ? -1 : left > right ? 1 : kSortByName(a, b);
  },
  seen: (a, b) => (durationMs(b.silent) ?? 0) - (durationMs(a.silent) ?? 0),
  busy: (a, b) => Number(isThere(b)) - Number(isThere(a)) || b.busyFraction - a.busyFraction || kSortByName(a, b),
  losses: (a, b) => b.losses - a.losses || kSortByName(a, b),
};
function kSortByName(a: Worker, b: Worker): number {
  return a.name < b.name ? -1 : 1;
}

// Words of a name, a state, a kind of device or a label; every one must be there.
export function fits(worker: Worker, text: string): boolean {
  const labels = Object.entries(worker.labels).map(([key, value]) => `${key}=${value}`);
  const all = [lastPart(worker.name), worker.state, worker.hostName, ...labels,
    ...worker.devices.flatMap((device) => [device.kind, device.model])].join(" ").toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => all.includes(word));
}

function Row({ worker, at }: { worker: Worker; at: number }) {
  const seats = seatsOf(worker);
  const lost = worker.state === "LOST" || worker.state === "REMOVED";
  const name = lastPart(worker.name);
  return (
    <tr aria-rowindex={at + 2}>
      <td class="c-state"><State look={workerLook(worker.state, seats)} /></td>
      <td class="c-name"><a id={"row-" + name} class="row-link" href={"/" + worker.name}><Name>{name}</Name></a></td>
      <td class="c-device"><bdi>{deviceText(worker) || kNone}</bdi></td>
      <td class="c-memory">
        {lost ? <span class="muted">– (budget {gib(budgetOf(worker))})</span>
          : <DeviceMemory used={usedOf(worker)} reserved={reservedOf(worker)} budget={budgetOf(worker)} />}
      </td>
      <td class="c-busy number">{busyText(worker)}</td>
      <td class="c-seats number">{count(seats)}</td>
      <td class="c-price number">{worker.pricePerHour ? amount(micros(worker.pricePerHour), 3) : kNone}</td>
      <td class="c-seen">{seenText(worker)}</td>
      <td class="c-losses number">{count(worker.losses)}</td>
      <td class="c-why"><bdi>{worker.stateReason || null}</bdi></td>
    </tr>
  );
}

// Drawn again when its worker is another object: of many rows few change in a frame.
function KeptRow({ worker, at }: { worker: Worker; at: number }) {
  return useMemo(() => <Row worker={worker} at={at} />, [worker, at]);
}

// Which rows of many are drawn: those in sight, of one height, and some beyond it.
function useWindow(count: number): { body: RefObject<HTMLTableSectionElement | null>; from: number; to: number; height: number } {
  const body = useRef<HTMLTableSectionElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(33);
  const isLong = count > kRows;
  useEffect(() => {
    if (!isLong) return undefined;
    const look = (): void => {
      const box = body.current;
      const row = box?.querySelector<HTMLElement>("tr[aria-rowindex]");
      if (!box || !row) return;
      setHeight(row.offsetHeight);
      setTop(Math.floor(Math.max(0, -box.getBoundingClientRect().top) / row.offsetHeight / kStep) * kStep);
    };
    look();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [isLong]);
  const from = isLong ? Math.max(0, Math.min(top - kStep, count - kRows)) : 0;
  return { body, from, to: Math.min(count, from + kRows), height };
}

function Boxes({ workers }: { workers: Worker[] }) {
  return (
    <ul class="map">
      {workers.flatMap((worker) => worker.devices.map((device, i) => {
        const use = worker.uses[i];
        return (
          <li key={worker.name + i}>
            <State look={workerLook(worker.state, use?.seats ?? 0)} />
            <a class="row-link" href={"/" + worker.name}><Name>{lastPart(worker.name)}</Name></a> <span class="muted"><bdi>{device.kind}{i}</bdi></span>
            <DeviceMemory used={int(use?.memoryUsedBytes)} reserved={int(use?.memoryReservedBytes)} budget={int(device.memoryBytes)} unit=" GiB" />
          </li>
        );
      }))}
    </ul>
  );
}

function List({ workers, text, state, sort, map }: { workers: Worker[]; text: string; state: string; sort: string; map: boolean }) {
  // Removed machines stay in the list for who asks for them.
  const isMeant = (worker: Worker): boolean => state === "" ? worker.state !== "REMOVED" : worker.state === state;
  // What is chosen and its order stand until somebody asks anew, or one comes: rows do not move by themselves.
  const names = useMemo(
    () => workers.filter((worker) => isMeant(worker) && (text === "" || fits(worker, text))).sort(kSorts[sort] ?? kSortByName).map((worker) => worker.name),
    [text, state, sort, workers.length],
  );
  const { body, from, to, height } = useWindow(names.length);
  const places = placesIn(workers);
  const found = (some: string[]): Worker[] => some.flatMap((name) => workers[places.get(name) ?? -1] ?? []);
  const shown = found(names.slice(from, to));
  // Counted once a second: of 10,000 it would be a tenth of each frame's changes.
  const [all, lost] = useMemo(() => {
    const meant = workers.filter(isMeant);
    return [meant.length, meant.filter((worker) => worker.state === "LOST").length];
  }, [state, workers.length, serverNow.value]);
  if (names.length === 0) {
    return text !== "" || state !== ""
      ? <Empty>No worker matches. <button type="button" onClick={() => setQuery({ filter: undefined, state: undefined }, "push")}>Clear filter</button></Empty>
      : <Empty>No machine has joined. <code>overwinter tokens create --role worker -o join.file</code> makes what a machine needs.</Empty>;
  }
  const currency = workers.find((worker) => worker.pricePerHour)?.pricePerHour?.currencyCode ?? "";
  const mapped = map ? found(names) : [];
  const isMap = map && mapped.reduce((sum, worker) => sum + worker.devices.length, 0) <= kMapMax;
  return (
    <>
      <p class="muted">{count(names.length)} of {count(all)}{lost > 0 && <> · <strong class="tone-failed">{count(lost)} lost</strong></>}
        {map && !isMap && <> · a map is of {count(kMapMax)} devices at most: filter first</>}</p>
      {isMap ? <Boxes workers={mapped} /> : (
        <table class={names.length > kRows ? "workers long" : "workers"} aria-rowcount={names.length + 1}>
          <caption class="visually-hidden">Workers</caption>
          <thead>
            <tr>
              <th scope="col">State</th><th scope="col">Worker</th><th scope="col" class="c-device">Devices</th>
              <th scope="col">Memory used / reserved / budget GiB</th><th scope="col" class="number">Busy, 1 h</th><th scope="col" class="c-seats number">Seats</th>
              <th scope="col" class="number">{currency}/h</th><th scope="col">Last seen</th><th scope="col" class="c-losses number">Lost, 30 d</th><th scope="col">Why</th>
            </tr>
          </thead>
          <tbody ref={body}>
            {from > 0 && <tr key="before" aria-hidden="true" style={{ height: `${from * height}px` }} />}
            {shown.map((worker, i) => <KeptRow key={worker.name} worker={worker} at={from + i} />)}
            {to < names.length && <tr key="after" aria-hidden="true" style={{ height: `${(names.length - to) * height}px` }} />}
          </tbody>
        </table>
      )}
    </>
  );
}

export function WorkersPage() {
  const live = useLive<WorkerList>("workers", kEveryMs, {}, followWorkers);
  const query = place.value.query;
  const text = query.get("filter") ?? "";
  const state = query.get("state") ?? "";
  const sort = query.get("sort") ?? "name";
  return (
    <>
      <Title text="Workers" />
      <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        <label class="grow"><span class="visually-hidden">Filter</span>
          <input id="filter" type="search" value={text} placeholder="/ words: name, host, device, label" spellcheck={false} autocomplete="off"
            onInput={(event) => setQuery({ filter: event.currentTarget.value }, "replace")} />
        </label>
        <Select label="State" value={state} choose={(to) => setQuery({ state: to }, "push")}
          options={[["", "any state"], ...["JOINED", "READY", "DRAINING", "LOST", "REMOVED"].map((one): [string, string] => [one, one])]} />
        <Select label="Order" value={sort} choose={(to) => setQuery({ sort: to }, "push")}
          options={[["name", "by name"], ["free", "least free memory"], ["seen", "longest silent"], ["busy", "busiest"], ["losses", "most losses"]]} />
        <button type="button" aria-pressed={query.get("view") === "map"} onClick={() => setQuery({ view: query.get("view") === "map" ? undefined : "map" }, "push")}>map</button>
      </form>
      <Shown live={live} lines={8}>{(list) => <List workers={list.workers} text={text.trim()} state={state} sort={sort} map={query.get("view") === "map"} />}</Shown>
    </>
  );
}
