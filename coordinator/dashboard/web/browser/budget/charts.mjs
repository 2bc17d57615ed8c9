// Four charts of two lines with 1,000 points each, drawn again and again, and what must be seen in them.
import { kRun, planted } from "./synthetic.mjs";
import { always, kRuns, quantile, row } from "./table.mjs";

const kCharts = 4;
const kDrawings = 20; // a run
const kSeriesMs = 10_000; // how often the page asks for curves
const kFasterMs = 150;

// In the page, of its first chart: what stands in the pixels of each planted step.
function look({ first, last, spike, gap, odd, restart }) {
  const plot = document.querySelector(".plot");
  const canvas = plot.querySelector("canvas");
  const box = canvas.getBoundingClientRect();
  const over = plot.querySelector(".u-over").getBoundingClientRect();
  const ratio = canvas.width / box.width;
  const area = { left: (over.left - box.left) * ratio, top: Math.round((over.top - box.top) * ratio), width: over.width * ratio, height: Math.round(over.height * ratio) };
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const probe = document.createElement("canvas").getContext("2d");
  const rgb = (name) => {
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    probe.fillRect(0, 0, 1, 1);
    return probe.getImageData(0, 0, 1, 1).data;
  };
  const x = (step) => Math.round(area.left + (step - first) / (last - first) * area.width);
  // Rows of a column, from the top of the plot, that have that colour.
  const rows = (column, colour) => {
    const out = [];
    for (let y = 0; y < area.height; y += 1) {
      const at = ((area.top + y) * canvas.width + column) * 4;
      if (data[at + 3] > 60 && [0, 1, 2].every((i) => Math.abs(data[at + i] - colour[i]) < 24)) out.push(y);
    }
    return out;
  };
  const near = (column, colour, by) => Array.from({ length: 2 * by + 1 }, (_, i) => rows(column - by + i, colour));
  const lines = [rgb("--line-blue"), rgb("--line-amber")];
  const hasLine = (step) => lines.some((colour) => near(x(step), colour, 2).some((column) => column.length > 0));
  const reaches = (column) => Math.min(area.height, ...near(column, lines[0], 2).flat()) < area.height * 0.2;
  const inGap = [0.25, 0.5, 0.75].map((part) => gap[0] + part * (gap[1] - gap[0]));
  return {
    spike: reaches(x(spike)) && !reaches(x(spike) - 12) && !reaches(x(spike) + 12),
    gap: !inGap.some(hasLine) && hasLine(gap[0] - 20) && hasLine(gap[1] + 20),
    NaN: near(x(odd), rgb("--text"), 1).some((column) => column.filter((y) => y < 12 * ratio).length >= 5 * ratio),
    restart: near(x(restart), rgb("--muted"), 1).some((column) => column.length > area.height / 4),
  };
}

export async function charts(browser, synthetic) {
  const seen = [];
  for (let i = 0; i < kRuns; i += 1) {
    await browser.visit(async (page) => {
      synthetic.more = 0;
      await page.goto(`${synthetic.url}/${kRun}`);
      await page.evaluate(() => globalThis.budget.data);
      await page.waitForFunction(() => globalThis.budget.draws.length > 0);
      seen.push(await page.evaluate(look, planted));
    }, { needs: ".plot canvas" });
  }
  const p50 = [];
  const p95 = [];
  let lines = 0;
  await browser.visit(async (page) => {
    await page.goto(`${synthetic.url}/${kRun}?smooth=0.9`);
    await page.evaluate(() => globalThis.budget.data);
    for (let i = 0; i < kRuns; i += 1) {
      await page.evaluate(() => { globalThis.budget.draws.length = 0; });
      await page.waitForFunction((count) => globalThis.budget.draws.length >= count, kDrawings);
      const draws = await page.evaluate(() => globalThis.budget.draws);
      if (draws.some((one) => one.charts !== kCharts)) throw new Error(`drawn at once: ${draws.map((one) => one.charts).join()} of ${kCharts} charts`);
      p50.push(quantile(draws.map((one) => one.ms), 0.5));
      p95.push(quantile(draws.map((one) => one.ms), 0.95));
    }
    lines = await page.evaluate(() => document.querySelectorAll(".plot canvas").length);
  }, { needs: ".plot canvas", faster: { [kSeriesMs]: kFasterMs } });
  if (lines !== kCharts) throw new Error(`${lines} charts`);
  return [
    row("4 charts × 1,000 points × 2 lines, redraw p50 of 20", "ms", 8, p50),
    row("the same, p95", "ms", 25, p95),
    ...["spike", "gap", "NaN", "restart"].map((what) => always(`a planted ${what} is seen in pixels, looks`, "always", seen.map((one) => one[what]))),
  ];
}
