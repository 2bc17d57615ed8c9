// The text of a log line: text nodes with classes, whatever it holds.
import { bytes, count } from "../lib/format";
import { pieces } from "../lib/ansi";
import { visible } from "../lib/visible";
import type { LogLine } from "../lib/resources";

export function LineText({ line, raw }: { line: LogLine; raw: boolean }) {
  if (line.linesLost !== undefined) {
    return <span class="text lost">… {count(line.linesLost)} lines, {bytes(line.bytesLost)}, are not kept</span>;
  }
  return (
    <span class="text">
      {raw ? visible(line.text) : pieces(line.text).map((piece, i) => piece.tone === "" ? piece.text : <span key={i} class={piece.tone}>{piece.text}</span>)}
      {line.cut && <span class="lost"> … cut at 16 KiB</span>}
    </span>
  );
}
