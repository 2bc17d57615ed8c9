// Cost against the cap: charged solid, of it what was lost or done again hatched, reserved dotted.
import { amount, percent } from "../lib/format";
import type { Job } from "../lib/resources";
import { serverNow } from "../lib/time";
import { Panel } from "../ui/bits";
import { billOf, forecast } from "./numbers";

export function CostPanel({ job }: { job: Job }) {
  const bill = billOf(job);
  const currency = job.cost?.charged?.currencyCode ?? "";
  const scale = [bill.cap ?? 0n, bill.charged + bill.reserved, 1n].reduce((a, b) => (a > b ? a : b));
  const part = (value: bigint): string => `${(Number(value * 10000n / scale) / 100).toFixed(2)}%`;
  const says = forecast(job, serverNow.value);
  return (
    <Panel id="cost" title={`Cost${bill.cap === undefined ? "" : " against cap"}, ${currency}`}
      aside={<span class="sum number">useful {amount(bill.useful, 4)} + lost or redone {amount(bill.wasted, 4)} = {amount(bill.charged, 4)}</span>}>
      <div class="cost-bar" role="img"
        aria-label={`charged ${amount(bill.charged, 4)} of which lost or redone ${amount(bill.wasted, 4)}, reserved ${amount(bill.reserved, 4)}${bill.cap === undefined ? ", no cap" : `, cap ${amount(bill.cap, 4)}`}`}>
        <span class="charged" style={{ left: "0", width: part(bill.useful) }} />
        <span class="wasted" style={{ left: part(bill.useful), width: part(bill.wasted) }} />
        <span class="held" style={{ left: part(bill.charged), width: part(bill.reserved) }} />
        {bill.cap !== undefined && [50n, 80n].map((tick) => <i key={String(tick)} class="tick" style={{ left: part((bill.cap ?? 0n) * tick / 100n) }} />)}
        {bill.cap !== undefined && <i class="cap" style={{ left: part(bill.cap) }} />}
      </div>
      <p class="cost-words number">
        <span><i class="key charged" /> charged {amount(bill.charged, 4)}</span>
        {bill.wasted > 0n && <span><i class="key wasted" /> of it lost or redone {amount(bill.wasted, 4)}</span>}
        <span><i class="key held" /> reserved {amount(bill.reserved, 4)}</span>
        {bill.cap !== undefined && bill.cap > 0n && <span>cap {amount(bill.cap, 4)}, {percent(Number(bill.charged) / Number(bill.cap))} of it charged</span>}
      </p>
      {says !== undefined && <p>{says}</p>}
    </Panel>
  );
}
