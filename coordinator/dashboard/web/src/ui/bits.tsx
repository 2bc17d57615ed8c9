// Small parts that several pages show in the same way.
import type { ComponentChildren } from "preact";
import { bytes, duration, gib, kNone, money, percent } from "../lib/format";
import type { Job, Money } from "../lib/resources";
import { narrow } from "../lib/narrow";
import { place } from "../lib/router";
import { instant, moment, serverNow, whole, zoneName } from "../lib/time";
import { isTerminal } from "../lib/state";
import { visible } from "../lib/visible";

export function Name({ children }: { children: string }) {
  return <bdi class="name">{children}</bdi>;
}

// A time, short, with the whole of it on request.
export function When({ at }: { at: string | undefined }) {
  const ms = instant(at);
  if (ms === undefined) return <>{kNone}</>;
  return <time dateTime={at} title={whole(ms)}>{moment(ms, serverNow.value)}</time>;
}

export function Zone() {
  return <span class="zone">{zoneName(serverNow.value)}</span>;
}

export function Amount({ value, decimals = 4 }: { value: Money | undefined; decimals?: number }) {
  if (value === undefined) return <>{kNone}</>;
  const title = `${value.amountMicros} micro-units ${value.currencyCode}`;
  return <span class="number" title={title}>{money(value, decimals)}</span>;
}

export function Progress({ fraction, label }: { fraction: number; label?: string }) {
  const part = Math.max(0, Math.min(1, fraction));
  return (
    <span class="progress" role="progressbar" aria-label={label ?? "Progress"} aria-valuemin={0} aria-valuemax={100}
      aria-valuenow={Math.floor(part * 100)} aria-valuetext={percent(part)}>
      <span style={{ width: `${(part * 100).toFixed(2)}%` }} />
    </span>
  );
}

// A section. With `fold`, its content in a few words, a phone shows those until it is asked for all.
export function Panel({ id, title, aside, fold, children }: { id: string; title: ComponentChildren; aside?: ComponentChildren; fold?: string; children: ComponentChildren }) {
  if (fold !== undefined && narrow.value) {
    return (
      <details id={id} class="panel" open={place.value.hash === "#" + id}>
        <summary><h2>{title}</h2><span class="aside">{fold}</span></summary>
        <div class="content">{aside !== undefined && <div class="aside">{aside}</div>}{children}</div>
      </details>
    );
  }
  return (
    <section id={id} class="panel" aria-labelledby={id + "-title"}>
      <header>
        <h2 id={id + "-title"}>{title}</h2>
        {aside !== undefined && <div class="aside">{aside}</div>}
      </header>
      <div class="content">{children}</div>
    </section>
  );
}

// How long a job has run, or waited while it has never run.
export function took(job: Job, now: number): string {
  const created = instant(job.createTime);
  const started = instant(job.startTime);
  const end = isTerminal(job.state) ? (instant(job.endTime) ?? now) : now;
  if (started !== undefined) return duration(end - started);
  if (created === undefined) return kNone;
  return isTerminal(job.state) ? kNone : duration(end - created) + " wait";
}

export function Labels({ labels }: { labels: Record<string, string> }) {
  const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  if (pairs.length === 0) return <>{kNone}</>;
  return (
    <span class="labels">
      {pairs.map(([key, value]) => <bdi key={key} class="label">{visible(`${key}=${value}`)}</bdi>)}
    </span>
  );
}

// Parts of a device's memory. Widths are parts of the budget.
export function MemoryBar({ parts, budget, label }: { parts: { kind: string; bytes: bigint; from?: bigint }[]; budget: bigint; label: string }) {
  const part = (value: bigint): string =>
    budget === 0n ? "0%" : `${(Number((value < budget ? value : budget) * 10000n / budget) / 100).toFixed(2)}%`;
  return (
    <span class="memory" role="img" aria-label={label}>
      {parts.map((one, index) => (
        <span key={index} class={one.kind} style={{ left: part(one.from ?? 0n), width: part(one.bytes) }} />
      ))}
    </span>
  );
}

// What is held of a device's memory now, what leases have reserved of it, and its budget.
export function DeviceMemory({ used, reserved, budget, unit = "" }: { used: bigint; reserved: bigint; budget: bigint; unit?: string }) {
  return (
    <>
      <MemoryBar budget={budget} parts={[{ kind: "reserved", bytes: reserved }, { kind: "used", bytes: used }]}
        label={`${bytes(used)} used, ${bytes(reserved)} of ${bytes(budget)} reserved`} />
      <span class="number">{[used, reserved, budget].map(gib).join(" / ") + unit}</span>
    </>
  );
}
