// One worker: its devices, what is on it now, and what it costs.
import type { ComponentChildren } from "preact";
import { bytes, count, digits, int, kNone } from "../lib/format";
import { newest, useLive } from "../lib/live";
import { lastPart, type Job, type JobList, type Worker } from "../lib/resources";
import { jobLook, workerLook } from "../lib/state";
import { Amount, DeviceMemory, Labels, Name, Panel, When, Zone } from "../ui/bits";
import { Title } from "../ui/frame";
import { State } from "../ui/glyph";
import { Empty, Shown } from "../ui/states";
import { busyText, seatsOf, seenText } from "../lib/worker";

const kEveryMs = 3000;
// Jobs that may hold seats.
export const kActiveFilter =
  "NOT state=QUEUED AND NOT state=PAUSED AND NOT state=SUCCEEDED AND NOT state=FAILED AND NOT state=CANCELLED";

function Devices({ worker }: { worker: Worker }) {
  if (worker.devices.length === 0) return <Empty>It has not told of its devices yet.</Empty>;
  return (
    <table class="devices">
      <caption class="visually-hidden">Devices</caption>
      <thead>
        <tr>
          <th scope="col">Device</th><th scope="col">Memory used / reserved / budget GiB</th>
          <th scope="col" class="number">Threads</th><th scope="col" class="number">Seats</th>
          <th scope="col" class="number">GFLOP/s fp32</th><th scope="col" class="number">fp64</th>
        </tr>
      </thead>
      <tbody>
        {worker.devices.map((device, index) => {
          const use = worker.uses[index];
          return (
            <tr key={index}>
              <td class="c-name"><bdi>{device.kind}{index}</bdi> <span class="muted"><bdi>{device.model === device.kind ? "" : device.model}</bdi></span></td>
              <td class="c-memory">
                <DeviceMemory used={int(use?.memoryUsedBytes)} reserved={int(use?.memoryReservedBytes)} budget={int(device.memoryBytes)} />
              </td>
              <td class="number">{count(use?.threadsReserved ?? 0)} / {count(device.threads)}</td>
              <td class="number">{count(use?.seats ?? 0)}</td>
              <td class="number">{device.gflopsFp32 > 0 ? digits(device.gflopsFp32, 3) : kNone}</td>
              <td class="number">{device.gflopsFp64 > 0 ? digits(device.gflopsFp64, 3) : kNone}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function Seats({ jobs, name }: { jobs: Job[]; name: string }) {
  const seats = jobs.flatMap((job) => job.seats.filter((seat) => seat.worker === name).map((seat) => ({ job, seat })));
  if (seats.length === 0) return <Empty>Nothing runs here now.</Empty>;
  return (
    <table class="seats">
      <caption class="visually-hidden">Seats held on this worker</caption>
      <thead><tr><th scope="col">State</th><th scope="col">Job</th><th scope="col" class="number">Device</th><th scope="col" class="number">Used / peak / reserved</th><th scope="col" class="number">Threads</th></tr></thead>
      <tbody>
        {seats.map(({ job, seat }) => (
          <tr key={job.name + seat.number}>
            <td class="c-state"><State look={jobLook(job.state)} /></td>
            <td class="c-name"><a class="row-link" href={"/" + job.name}><Name>{lastPart(job.name)}</Name></a></td>
            <td class="number">{seat.device}</td>
            <td class="number">{[seat.memoryUsedBytes, seat.memoryPeakBytes, seat.memoryBytes].map(bytes).join(" / ")}</td>
            <td class="number">{count(seat.threads)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Facts({ worker }: { worker: Worker }) {
  const facts: [string, ComponentChildren][] = [
    ["Host", <bdi>{worker.hostName || kNone}{worker.workersOnHost > 1 ? `, with ${worker.workersOnHost - 1} more of ours` : ""}</bdi>],
    ["Version", worker.version || kNone],
    ["Joined", <><When at={worker.joinTime} /> <Zone /></>],
    ["Last seen", seenText(worker)],
    ["Busy, last hour", busyText(worker)],
    ["Lost, last 30 days", count(worker.losses)],
    ["Price an hour", worker.pricePerHour ? <><Amount value={worker.pricePerHour} decimals={3} /> {worker.pricePerHour.currencyCode}</> : kNone],
    ["Spot", worker.spot ? "yes: it may be taken away" : "no"],
    ["Projects", worker.projects.length === 0 ? "all" : <bdi>{worker.projects.join(", ")}</bdi>],
    ["Labels", <Labels labels={worker.labels} />],
    ["Gangs", worker.peerAddress === "" ? "on its own host alone" : <bdi>on {worker.network || "its network"}, at {worker.peerAddress}</bdi>],
    ["Programs", worker.noExec !== "" ? <bdi>none: {worker.noExec}</bdi> : `yes, memory limited by ${worker.memoryLimit || "the daemon"}`],
  ];
  return <dl class="facts">{facts.map(([word, value]) => [<dt key={word}>{word}</dt>, <dd key={word + "-is"}>{value}</dd>])}</dl>;
}

export function WorkerPage({ name }: { name: string }) {
  const live = useLive<Worker>(`workers/${encodeURIComponent(name)}`, kEveryMs, {}, {
    topic: "workers",
    take: newest("workers/" + name),
  });
  const jobs = useLive<JobList>("projects/-/jobs", kEveryMs, { filter: kActiveFilter, pageSize: 200 });
  return (
    <>
      <p class="crumbs"><a href="/workers">Workers</a> / <Name>{name}</Name></p>
      <Title text={name}><Name>{name}</Name></Title>
      <Shown live={live} lines={8}>{(worker) => (
        <>
          <p class="headline"><State look={workerLook(worker.state, seatsOf(worker))} /> <bdi>{worker.stateReason}</bdi></p>
          <Panel id="devices" title="Devices"><Devices worker={worker} /></Panel>
          <Panel id="seats" title="On it now">
            <Shown live={jobs} lines={2}>{(list) => <Seats jobs={list.jobs} name={name} />}</Shown>
          </Panel>
          <Panel id="facts" title="What it is"><Facts worker={worker} /></Panel>
        </>
      )}</Shown>
    </>
  );
}
