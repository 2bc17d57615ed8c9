// The timeline: one canvas, a row a worker; the events as a list below are its other form.
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { amount, duration, plural } from "../lib/format";
import type { Live } from "../lib/live";
import type { Checkpoint, Job, Timeline } from "../lib/resources";
import { clock, moment, serverNow, utc, whole } from "../lib/time";
import { place, setQuery } from "../lib/router";
import { Panel } from "../ui/bits";
import { painted } from "../ui/frame";
import { Empty, Shown } from "../ui/states";
import { lifeOf, scaleOf, ticks, type Life, type MarkKind, type Scale } from "./timeline_data";

const kRow = 28;
const kBar = 16;
const kTop = 22;
const kNames = 110;
const kSigns: Record<MarkKind, string> = { checkpoint: "◆", restart: "↻", paused: "‖", ended: "✕", state: "·" };
const kEventsShown = 12;

const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function hatch(ctx: CanvasRenderingContext2D, x: number, y: number, width: number, height: number): void {
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, width, height);
  ctx.clip();
  ctx.strokeStyle = colour("--surface");
  ctx.lineWidth = 2;
  for (let at = x - height; at < x + width; at += 6) {
    ctx.beginPath();
    ctx.moveTo(at, y + height);
    ctx.lineTo(at + height, y);
    ctx.stroke();
  }
  ctx.restore();
}

function draw(canvas: HTMLCanvasElement, life: Life, scale: Scale, width: number): void {
  const ratio = devicePixelRatio;
  const height = kTop + life.rows.length * kRow + 4;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const ctx = canvas.getContext("2d");
  if (!ctx) return;
  ctx.scale(ratio, ratio);
  const x = (ms: number): number => kNames + scale.place(ms) * (width - kNames - 12);
  ctx.font = "12px system-ui, sans-serif";
  ctx.textBaseline = "middle";
  ctx.textAlign = "center";
  ctx.fillStyle = colour("--surface-3");
  for (const { from, to } of scale.idle) ctx.fillRect(x(from), kTop - 4, x(to) - x(from), height);
  const span = life.to - life.from;
  for (const at of ticks(life.from, life.to, Math.max(2, Math.floor((width - kNames) / 90)) * span / scale.shown)) {
    if (scale.idle.some((one) => at > one.from && at < one.to)) continue;
    ctx.strokeStyle = colour("--grid");
    ctx.beginPath();
    ctx.moveTo(Math.round(x(at)) + 0.5, kTop - 4);
    ctx.lineTo(Math.round(x(at)) + 0.5, height);
    ctx.stroke();
    ctx.fillStyle = colour("--muted");
    const text = scale.shown < 10 * 60_000 ? clock(at) : moment(at, at);
    const half = ctx.measureText(text).width / 2;
    ctx.fillText(text, Math.min(width - half - 2, Math.max(kNames + half, x(at))), 9);
  }
  ctx.textAlign = "left";
  life.rows.forEach((row, i) => {
    const top = kTop + i * kRow + (kRow - kBar) / 2;
    ctx.fillStyle = colour("--text");
    ctx.fillText(fitted(ctx, row.worker, kNames - 12), 0, top + kBar / 2);
    for (const bar of row.bars) {
      const left = x(bar.from);
      const size = Math.max(2, x(bar.to) - left);
      ctx.fillStyle = colour(bar.open ? "--running" : "--line-slate");
      ctx.fillRect(left, top, size, kBar);
      for (const part of life.redone) {
        if (part.attempt !== bar.attempt) continue;
        const begin = Math.max(left, x(part.from));
        const end = Math.min(left + size, x(part.to));
        if (end > begin) hatch(ctx, begin, top, end - begin, kBar);
      }
      if (size > 18) {
        ctx.fillStyle = colour("--surface");
        ctx.fillText(String(bar.attempt), left + 5, top + kBar / 2 + 1);
      }
    }
    ctx.fillStyle = colour("--text");
    ctx.textAlign = "center";
    for (const mark of life.marks) {
      if (mark.kind === "state" || (mark.worker !== "" && mark.worker !== row.worker)) continue;
      ctx.fillText(kSigns[mark.kind], x(mark.at), top - 4);
    }
    ctx.textAlign = "left";
  });
}

function fitted(ctx: CanvasRenderingContext2D, text: string, width: number): string {
  if (ctx.measureText(text).width <= width) return text;
  let kept = text;
  while (kept.length > 1 && ctx.measureText(kept + "…").width > width) kept = kept.slice(0, -1);
  return kept + "…";
}

function Canvas({ life, scale }: { life: Life; scale: Scale }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [told, setTold] = useState("");
  // Before it is painted: a canvas that is drawn later has another height until then.
  useLayoutEffect(() => {
    const root = box.current;
    if (!root) return undefined;
    const measure = (): void => setWidth(root.clientWidth);
    measure();
    const fit = new ResizeObserver(measure);
    fit.observe(root);
    return () => fit.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (canvas.current && width > 0) draw(canvas.current, life, scale, width);
  }, [life, scale, width, painted.value, utc.value]);
  const point = (event: PointerEvent): void => {
    const part = (event.offsetX - kNames) / (width - kNames - 12);
    const at = scale.time(part);
    const idle = scale.idle.find((one) => at > one.from && at < one.to);
    const row = life.rows[Math.floor((event.offsetY - kTop) / kRow)];
    const near = scale.shown / Math.max(1, width - kNames) * 6;
    const mark = life.marks.find((one) => one.kind !== "state" && Math.abs(one.at - at) < near && (one.worker === "" || one.worker === row?.worker));
    const bar = row?.bars.find((one) => at >= one.from && at <= one.to);
    if (mark) setTold(`${clock(mark.at)} ${mark.text}`);
    else if (row && bar) setTold(`${row.worker}, attempt ${bar.attempt}: ${clock(bar.from)} to ${bar.open ? "now" : clock(bar.to)}, ${duration(bar.to - bar.from)}${bar.charged > 0n ? `, ${amount(bar.charged, 4)} charged` : ""}`);
    else setTold(idle ? `${moment(idle.from, serverNow.value)} to ${moment(idle.to, serverNow.value)}: nothing ran for ${duration(idle.to - idle.from)}` : "");
  };
  return (
    <div ref={box} class="timeline">
      <canvas ref={canvas} role="img" aria-label="Timeline; the events are listed below" onPointerMove={point} onPointerDown={point} onPointerLeave={() => setTold("")} />
      <p class="readout">{told === "" ? <span class="muted">◆ checkpoint · ✕ attempt ended · ‖ paused · hatched: lost</span> : <bdi>{told}</bdi>}</p>
    </div>
  );
}

function Events({ life }: { life: Life }) {
  const [all, setAll] = useState(false);
  const marks = [...life.marks].reverse();
  const shown = all ? marks : marks.slice(0, kEventsShown);
  const now = serverNow.value;
  return (
    <>
      <ol class="events" id="events">
        {shown.map((mark, i) => (
          <li key={`${mark.at} ${mark.text} ${i}`}>
            <time dateTime={new Date(mark.at).toISOString()} title={whole(mark.at)}>{clock(mark.at) + (now - mark.at > 86_400_000 ? `, ${moment(mark.at, now)}` : "")}</time>{" "}
            <span class="sign" aria-hidden="true">{kSigns[mark.kind]}</span> <bdi>{mark.text}</bdi>
          </li>
        ))}
      </ol>
      {marks.length > kEventsShown && <p><button type="button" onClick={() => setAll(!all)}>{all ? "fewer" : `all ${marks.length} events`}</button></p>}
    </>
  );
}

export function TimelinePanel({ job, live, checkpoints }: { job: Job; live: Live<Timeline>; checkpoints: Checkpoint[] }) {
  const data = live.data.value;
  const life = useMemo(() => data && lifeOf(data, job.attempts, checkpoints), [data, job.attempts, checkpoints]);
  const folded = place.value.query.get("idle") === "folded";
  const foldable = useMemo(() => life && scaleOf(life, true), [life]);
  const scale = useMemo(() => life && scaleOf(life, folded), [life, folded]);
  return (
    <Panel id="timeline" title="Timeline"
      aside={foldable && foldable.idle.length > 0 ? <button type="button" aria-pressed={folded} onClick={() => setQuery({ idle: folded ? undefined : "folded" }, "push")}>collapse idle</button> : undefined}
      fold={plural(Math.max(0, job.attempt - 1), "restart")}>
      <Shown live={live} lines={4}>{(timeline) => !life || !scale ? null : (
        <>
          {life.rows.length > 0 ? <Canvas life={life} scale={scale} /> : <Empty>No worker has had a seat of it yet.</Empty>}
          {!timeline.complete && <p class="muted">It is longer than what is read here: the oldest part is shown.</p>}
          <Events life={life} />
        </>
      )}</Shown>
    </Panel>
  );
}
