// What was spent hour by hour: the last of the bars is the hour that is.
import { useState } from "preact/hooks";
import { amount, amounts, int } from "../lib/format";
import { useLive } from "../lib/live";
import type { Spend } from "../lib/resources";
import { instant, moment, serverNow } from "../lib/time";
import { Panel } from "../ui/bits";
import { Shown } from "../ui/states";

const kEveryMs = 60_000;
const kHourMs = 3_600_000;
const kKinds = [["useful", "useful", "charged"], ["waiting", "gangs waiting", "waiting"], ["redone", "lost or redone", "wasted"], ["idle", "idle", "idle"]] as const;

type Kind = (typeof kKinds)[number][0];
export interface Hour { at: number; parts: Record<Kind, bigint>; all: bigint }

export function hoursOf(spend: Spend): Hour[] {
  const from = instant(spend.from) ?? 0;
  return spend.hours.map((hour, i) => {
    const parts = Object.fromEntries(kKinds.map(([kind]) => [kind, int(hour[kind])])) as Record<Kind, bigint>;
    return { at: from + i * kHourMs, parts, all: kKinds.reduce((sum, [kind]) => sum + parts[kind], 0n) };
  });
}

function Chart({ spend, asTable }: { spend: Spend; asTable: boolean }) {
  const hours = hoursOf(spend);
  const now = serverNow.value;
  const most = hours.reduce((max, hour) => (hour.all > max ? hour.all : max), 0n);
  const decimals = most < 1_000_000n ? 4 : 2;
  // Who sees no machines' money has nothing idle.
  const kinds = kKinds.filter(([kind]) => spend.machines || kind !== "idle");
  const of = (parts: (kind: Kind) => bigint): string[] => amounts(kinds.map(([kind]) => parts(kind)), decimals);
  const sums = of((kind) => hours.reduce((sum, hour) => sum + hour.parts[kind], 0n));
  const totals = kinds.map(([, word, look], i) => ({ look, text: `${word} ${sums[i]}` }));
  const said = (hour: Hour): string => {
    const shown = of((kind) => hour.parts[kind]);
    return `${moment(hour.at, now)}: ${kinds.map(([, word], i) => `${word} ${shown[i]}`).join(", ")}`;
  };
  return (
    <>
      {asTable ? (
        <div class="values hours" tabIndex={0} role="group" aria-label="Spend by hour">
          <table>
            <thead><tr><th scope="col">Hour from</th>{kinds.map(([kind, word]) => <th key={kind} scope="col" class="number">{word}</th>)}<th scope="col" class="number">all</th></tr></thead>
            <tbody>{[...hours].reverse().map((hour) => (
              <tr key={hour.at}><td>{moment(hour.at, now)}</td>{of((kind) => hour.parts[kind]).map((shown, i) => <td key={i} class="number">{shown}</td>)}<td class="number">{amount(hour.all, decimals)}</td></tr>
            ))}</tbody>
          </table>
        </div>
      ) : (
        <div role="img" aria-label={`By hour; the most was ${amount(most, decimals)}. In all: ${totals.map((one) => one.text).join(", ")}`}>
          <span class="muted note">{amount(most, decimals)}</span>
          <div class="spend">
            {hours.map((hour) => (
              <span key={hour.at} title={said(hour)}>
                {kinds.map(([kind, , look]) => <i key={kind} class={look} style={{ height: most > 0n ? `${Number(hour.parts[kind] * 10_000n / most) / 100}%` : "0" }} />)}
              </span>
            ))}
          </div>
          <div class="spend-axis muted note"><span>{moment(hours[0]?.at, now)}</span><span>{moment(hours[12]?.at, now)}</span><span>now</span></div>
        </div>
      )}
      <p class="cost-words number">
        {totals.map(({ look, text }) => <span key={look}><i class={"key " + look} /> {text}</span>)}
        <span class="muted">reserved now {amount(int(spend.reserved), decimals)}</span>
        {!spend.complete && <span class="muted">the oldest part is missing: there was too much</span>}
      </p>
    </>
  );
}

export function SpendPanel() {
  const live = useLive<Spend>("spend", kEveryMs);
  const [asTable, setAsTable] = useState(false);
  return (
    <Panel id="spend" title={<>Spend, {live.data.value?.currency}/h, last 24 h</>}
      aside={<button type="button" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>table</button>}>
      <Shown live={live} lines={5}>{(spend) => <Chart spend={spend} asTable={asTable} />}</Shown>
    </Panel>
  );
}
