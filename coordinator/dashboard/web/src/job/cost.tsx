// Cost against the cap: charged solid, of it what was computed again hatched and what waited dotted, reserved in dots.
import { amount, amounts, percent } from "../lib/format";
import type { Job } from "../lib/resources";
import { serverNow } from "../lib/time";
import { Panel } from "../ui/bits";
import { billOf, forecast } from "./numbers";

export function CostPanel({ job }: { job: Job }) {
  const bill = billOf(job);
  const { cap } = bill;
  const currency = job.cost?.charged?.currencyCode ?? "";
  const scale = [cap ?? 0n, bill.charged + bill.reserved, 1n].reduce((a, b) => (a > b ? a : b));
  const part = (value: bigint): string => `${(Number(value * 10000n / scale) / 100).toFixed(2)}%`;
  const says = forecast(job, serverNow.value);
  const parts = ([["charged", "useful", bill.useful], ["wasted", "recomputed", bill.wasted], ["waiting", "waiting", bill.waiting]] as const)
    .filter(([look, , value]) => look === "charged" || value > 0n);
  const shown = amounts(parts.map(([, , value]) => value), 4);
  const said = parts.map(([, word], i) => `${word} ${shown[i]}`).join(" + ");
  let left = 0n;
  return (
    <Panel id="cost" title={`Cost${cap === undefined ? "" : " against cap"}, ${currency}`}
      aside={<span class="sum number">{parts.map(([look, word], i) => <span key={look}>{i > 0 && " + "}<i class={"key " + look} /> {word} {shown[i]}</span>)} = {amount(bill.charged, 4)}</span>}>
      <div class="cost-bar" role="img"
        aria-label={`charged ${amount(bill.charged, 4)}: ${said}; reserved ${amount(bill.reserved, 4)}${cap === undefined ? ", no cap" : `, cap ${amount(cap, 4)}`}`}>
        {[...parts, ["held", "", bill.reserved] as const].map(([look, , value]) => {
          const from = left;
          left += value;
          return <span key={look} class={look} style={{ left: part(from), width: part(value) }} />;
        })}
        {cap !== undefined && [50n, 80n].map((tick) => <i key={String(tick)} class="tick" style={{ left: part(cap * tick / 100n) }} />)}
        {cap !== undefined && <i class="cap" style={{ left: part(cap) }} />}
      </div>
      <p class="cost-words number">
        <span>charged {amount(bill.charged, 4)}</span>
        <span><i class="key held" /> reserved {amount(bill.reserved, 4)}</span>
        {cap !== undefined && cap > 0n && <span>cap {amount(cap, 4)}, {percent(Number(bill.charged) / Number(cap))} of it charged</span>}
      </p>
      {says !== undefined && <p>{says}</p>}
    </Panel>
  );
}
