// The last lines of a job, on its page; the log has its own.
import { count } from "../lib/format";
import { useLive, type Live } from "../lib/live";
import type { LogBlock } from "../lib/resources";
import { Panel } from "../ui/bits";
import { LineText } from "../ui/line";
import { clock, instant } from "../lib/time";
import { Empty, Shown } from "../ui/states";

const kEveryMs = 3000;
const kLines = 12;

export const useLogTail = (name: string, isLive: boolean): Live<LogBlock> => useLive<LogBlock>(name + "/logs", isLive ? kEveryMs : 0, { lines: kLines });

export function LogTail({ name, live }: { name: string; live: Live<LogBlock> }) {
  const last = live.data.value?.lines.at(-1)?.number; // no count: numbers have holes
  return (
    <Panel id="logs" title="Logs" fold={last ? `to line ${count(last)}` : "0 lines"} aside={<a href={`/${name}/logs`}>all lines, search, links</a>}>
      <Shown live={live} lines={4}>{(block) => block.lines.length === 0 ? <Empty>It has printed nothing yet.</Empty> : (
        <ol class="tail">
          {block.lines.map((line) => (
            <li key={line.number} class={line.stream === "ERR" ? "err" : line.stream === "SYSTEM" ? "system" : undefined}>
              <span class="gutter"><a href={`/${name}/logs#L${line.number}`}>{count(line.number)}</a> {clock(instant(line.time) ?? 0)}</span>
              <LineText line={line} raw={false} />
            </li>
          ))}
        </ol>
      )}</Shown>
    </Panel>
  );
}
