// What a job can go on from. A checkpoint is whole when it was stored; a disk may have changed that since, so it can be read again.
import { useState } from "preact/hooks";
import { asApiError, post } from "../lib/api";
import { bytes, count, kNone } from "../lib/format";
import type { useLive } from "../lib/live";
import type { CheckpointList, Job } from "../lib/resources";
import { instant, moment, serverNow } from "../lib/time";
import { Panel, When } from "../ui/bits";
import { say } from "../ui/frame";
import { Empty, Shown } from "../ui/states";
import { lossText } from "./numbers";

const kReadMs = 600_000;

export function CheckpointsPanel({ live, job }: { live: ReturnType<typeof useLive<CheckpointList>>; job: Job }) {
  const [said, setSaid] = useState<Record<string, string>>({}); // by name: what became of reading it
  const [busy, setBusy] = useState(false);
  const all = live.data.value?.checkpoints ?? [];
  const last = all[0];
  const verify = async (): Promise<void> => {
    setBusy(true);
    let bad = 0;
    const names = [...new Set(all.map((one) => one.name))];
    for (const name of names) {
      const tell = (what: string): void => setSaid((before) => ({ ...before, [name]: what }));
      tell("reading…");
      try {
        const { good } = await post<{ good: boolean }>(name + ":verify", {}, kReadMs);
        if (!good) bad++;
        tell(good ? "✓ verified" : ""); // the list says what is wrong with it
      } catch (problem) {
        bad++;
        tell(asApiError(problem).message);
      }
    }
    live.again();
    setBusy(false);
    say(bad === 0 ? `${names.length} checkpoints are as they were stored.` : `${bad} of ${names.length} checkpoints are not verified.`);
  };
  const aside = last && <button type="button" disabled={busy} onClick={() => void verify()}>Verify all</button>;
  return (
    <Panel id="checkpoints" title="Checkpoints, newest first" aside={aside}
      fold={last ? `last ${moment(instant(last.createTime), serverNow.value)} ${last.damage === "" ? "✓" : "✕"}` : "none"}>
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
                  <td>{one.damage === "" ? said[one.name] || "whole" : <strong class="tone-failed">✕ <bdi>{one.damage}</bdi></strong>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}</Shown>
    </Panel>
  );
}
