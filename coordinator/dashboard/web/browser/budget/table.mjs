// Rows of the budget: what was measured, against what it may be.
export const kRuns = 5;

export function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? NaN;
}
export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

const kDigits = { s: 3, ms: 1, kB: 1, MB: 1, "": 3 };
const text = (value, unit) => Number(value.toFixed(kDigits[unit] ?? 0)).toString();

// `most`: what the median may be; undefined: no budget, told beside the others.
export function row(what, unit, most, values, note = "") {
  if (values.length === 0 || values.some((value) => !Number.isFinite(value))) throw new Error(`${what}: measured ${values.join(", ")}`);
  const middle = median(values);
  const space = unit === "" ? "" : " ";
  return {
    what,
    budget: most === undefined ? "none" : `≤ ${most}${space}${unit}`,
    measured: `${text(middle, unit)} (${text(Math.min(...values), unit)} to ${text(Math.max(...values), unit)})${space}${unit}${note && "; " + note}`,
    met: most === undefined ? "" : middle <= most ? "met" : "missed",
  };
}
// What must hold in every run.
export function always(what, budget, held, note = "") {
  const count = held.filter(Boolean).length;
  return { what, budget, measured: `${count} of ${held.length}${note && "; " + note}`, met: count === held.length ? "met" : "missed" };
}

export function print(rows) {
  const cells = rows.map(({ what, budget, measured, met }) => [what, budget, measured, met]);
  console.log("| what | budget | measured: median (least to most) | met |\n|---|---|---|---|");
  for (const line of cells) console.log(`| ${line.map((cell) => cell.replace(/\|/g, "\\|")).join(" | ")} |`);
}
