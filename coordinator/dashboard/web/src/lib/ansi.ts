// A line of a terminal as pieces of plain text with a class: sixteen colours, bold; every other
// sequence goes. A carriage return overwrites the line, so that a progress bar is one. What would turn
// the reading order or cannot be seen is printed by its number.
import { visible } from "./visible";

export interface Piece { text: string; tone: string }

const kNames = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

// CSI, OSC (to BEL or ST) and two-character sequences.
const kSequence = /\u001b(?:\[([0-9;:?<=>]*)([ -/]*)([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\|$)|[PX^_][^\u001b]*(?:\u001b\\|$)|[ -/]*[0-~])?/g;

function applied(codes: string, tone: { colour: string; bold: boolean }): void {
  const numbers = codes === "" ? [0] : codes.split(/[;:]/).map(Number);
  for (let i = 0; i < numbers.length; ++i) {
    const code = numbers[i] ?? 0;
    if (code === 0) {
      tone.colour = "";
      tone.bold = false;
    } else if (code === 1) tone.bold = true;
    else if (code === 22) tone.bold = false;
    else if (code === 39) tone.colour = "";
    else if (code >= 30 && code <= 37) tone.colour = kNames[code - 30] ?? "";
    else if (code >= 90 && code <= 97) tone.colour = "bright-" + (kNames[code - 90] ?? "");
    else if (code === 38 || code === 48) i += numbers[i + 1] === 5 ? 2 : 4; // 256 colours and more: left out
  }
}

export function pieces(line: string): Piece[] {
  // What stands before the last return that something follows was overwritten.
  const trimmed = line.replace(/\r+$/, "");
  const from = trimmed.lastIndexOf("\r") + 1;
  const out: Piece[] = [];
  const tone = { colour: "", bold: false };
  let at = 0;
  const add = (text: string, place: number): void => {
    const kept = text.slice(Math.max(0, from - place));
    if (kept === "") return;
    const name = [tone.colour && "ansi-" + tone.colour, tone.bold && "ansi-bold"].filter(Boolean).join(" ");
    const last = out[out.length - 1];
    const shown = visible(kept);
    if (last && last.tone === name) last.text += shown;
    else out.push({ text: shown, tone: name });
  };
  for (const match of trimmed.matchAll(kSequence)) {
    add(trimmed.slice(at, match.index), at);
    if (match[3] === "m" && match[2] === "" && !/[?<=>]/.test(match[1] ?? "")) applied(match[1] ?? "", tone);
    at = match.index + match[0].length;
  }
  add(trimmed.slice(at), at);
  return out;
}

export const plain = (line: string): string => pieces(line).map((piece) => piece.text).join("");
