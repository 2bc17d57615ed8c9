import { describe, expect, it } from "vitest";
import { csvOf, grouped, pinched, plotData, stepAt } from "../src/job/plot_data";
import type { Series, SeriesPart } from "../src/lib/resources";

const part = (attempt: number, steps: number[], values: (number | string)[]): SeriesPart =>
  ({ attempt, steps, times: steps.map((step) => step * 1000), values });
const series = (metric: string, ...parts: SeriesPart[]): Series =>
  ({ metric, count: String(parts.reduce((n, p) => n + p.steps.length, 0)), kept: parts.reduce((n, p) => n + p.steps.length, 0), parts, lost: [] });

describe("columns of a plot", () => {
  it("leaves a gap between parts, and joins points that another curve lacks", () => {
    const data = plotData([series("loss", part(1, [0, 1, 2], [3, 2, 1]), part(1, [10, 11], [0.5, 0.4])), series("validation_loss", part(1, [0, 10], [4, 1]))], "step", false);
    expect(data.xs).toEqual([0, 1, 2, 6, 10, 11]);
    expect(data.columns[0]).toEqual([3, 2, 1, null, 0.5, 0.4]);
    expect(data.columns[1]).toEqual([4, undefined, undefined, undefined, 1, undefined]);
    expect(data.restarts).toEqual([]);
  });
  it("marks where a run began again", () => {
    const data = plotData([series("loss", part(1, [0, 5], [3, 2]), part(2, [6, 9], [2.1, 1]))], "step", false);
    expect(data.restarts).toEqual([{ x: 6, attempt: 2 }]);
    expect(data.columns[0]).toEqual([3, 2, null, 2.1, 1]);
  });
  it("counts what is no number, and what a logarithm has no place for", () => {
    const data = plotData([series("loss", part(1, [0, 1, 2, 3], [1, "NaN", "Infinity", -1]))], "step", true);
    expect(data.odd).toEqual([{ x: 1, text: "NaN" }, { x: 2, text: "Infinity" }]);
    expect(data.leftOut).toBe(1);
    expect(data.columns[0]).toEqual([1, null, null, null]);
  });
  it("has seconds on the axis of time", () => {
    expect(plotData([series("loss", part(1, [3, 4], [1, 2]))], "time", false).xs).toEqual([3, 4]);
    expect(stepAt([series("loss", part(1, [3, 40], [1, 2]))], "time", 30)).toBe(40);
    expect(stepAt([], "step", 12.4)).toBe(12);
    expect(plotData([series("loss", part(1, [3, 4], [1, 2]))], "elapsed", false, 2000).xs).toEqual([1, 2]);
    expect(stepAt([series("loss", part(1, [3, 40], [1, 2]))], "elapsed", 30, 2000)).toBe(40);
  });
  it("keeps under two fingers what they took hold of", () => {
    // 0 to 1000 on 500 pixels; taken at 400 and 600, spread to the edges.
    expect(pinched([400, 600], [0, 500], 500)).toEqual([400, 600]);
    expect(pinched([400, 600], [200, 300], 500)).toEqual([0, 1000]);
    expect(pinched([400, 600], [100, 300], 500)).toEqual([300, 800]);
  });
  it("has lines of their own for means and for what was thrown away", () => {
    const loss = { ...series("loss", { ...part(1, [0, 1], [3, 1]), smooth: [3, 2] }), lost: [part(1, [2, 3], [9, "NaN"]), part(2, [2], [8])] };
    const data = plotData([loss, series("validation_loss", part(1, [1], [4]))], "step", true);
    expect(data.lines).toEqual([{ series: 0, kind: "raw" }, { series: 0, kind: "smooth" }, { series: 0, kind: "lost" }, { series: 1, kind: "raw" }]);
    expect(data.columns[1]?.slice(0, 2)).toEqual([3, 2]);
    expect(data.odd).toEqual([]); // of what is kept alone
    expect(data.restarts).toEqual([]);
  });
  it("draws a loss with its validation, and others alone", () => {
    const all = ["gflops", "loss", "tokens_per_second", "validation_loss"].map((metric) => series(metric));
    expect(grouped(all).map((group) => group.map((one) => one.metric))).toEqual([["loss", "validation_loss"], ["gflops"], ["tokens_per_second"]]);
  });
  it("saves every point as it came", () => {
    expect(csvOf([series("a\"b", part(2, [7], ["NaN"]))])).toBe("metric,attempt,step,time,value\n\"a\"\"b\",2,7,1970-01-01T00:00:07.000Z,NaN\n");
  });
});
