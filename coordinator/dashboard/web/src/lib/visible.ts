// Text in which nothing hides: what would turn the reading order or cannot be seen is printed by its number.
// Controls (but the tab), what sets a direction, what has no width, line ends within a line.
const kHidden = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]/g;

export function visible(text: string): string {
  return text.replace(kHidden, (hidden) =>
    "U+" + (hidden.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0"));
}
