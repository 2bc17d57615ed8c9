// State glyphs: shape before colour, in the colour of the text. The word always stands beside them.
import type { GlyphName, Look } from "../lib/state";

const kPaths: Record<GlyphName, string> = {
  quarter: "M8 8V2a6 6 0 0 1 6 6z",
  half: "M8 2a6 6 0 0 1 0 12z",
  triangle: "M4 2.2 13.6 8 4 13.8z",
  bars: "M4 2.5h2.8v11H4zM9.2 2.5H12v11H9.2z",
  tick: "M6.3 13.2 1.8 8.7l1.7-1.7 2.8 2.8 6.2-6.2 1.7 1.7z",
  cross: "M3.9 2.3 8 6.4l4.1-4.1 1.6 1.6L9.6 8l4.1 4.1-1.6 1.6L8 9.6l-4.1 4.1-1.6-1.6L6.4 8 2.3 3.9z",
  barred: "M3.2 4.6 4.6 3.2l8.2 8.2-1.4 1.4z",
};
const kRinged: GlyphName[] = ["quarter", "half", "barred"];

export function Glyph({ name }: { name: GlyphName }) {
  return (
    <svg class="glyph" viewBox="0 0 16 16" aria-hidden="true">
      {kRinged.includes(name) && <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.6" />}
      <path d={kPaths[name]} fill="currentColor" />
    </svg>
  );
}

export function State({ look }: { look: Look }) {
  return (
    <span class={`state tone-${look.tone}`}>
      <Glyph name={look.glyph} />
      <span>{look.word}</span>
    </span>
  );
}

export function Snowflake() {
  return (
    <svg class="mark" viewBox="0 0 16 16" aria-hidden="true">
      <path fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round"
        d="M8 1.5v13M2.4 4.75l11.2 6.5M2.4 11.25l11.2-6.5M6 2.5l2 2 2-2M6 13.5l2-2 2 2M2.2 7.4l2.7-.8-.8-2.7M13.8 8.6l-2.7.8.8 2.7M2.2 8.6l2.7.8-.8 2.7M13.8 7.4l-2.7-.8.8-2.7" />
    </svg>
  );
}
