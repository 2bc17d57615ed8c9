// Which curves the address asks for, and their points. Apart from what draws them, which comes later and is large.
import { useLive, type Live } from "../lib/live";
import type { SeriesList } from "../lib/resources";
import { place } from "../lib/router";
import type { Axis } from "./plot_data";

const kEveryMs = 10_000;

export interface SeriesChoice { axis: Axis; smooth: string; from: string; to: string }

export function seriesChoice(): SeriesChoice {
  const query = place.value.query;
  const x = query.get("x");
  return {
    axis: x === "time" || x === "elapsed" ? x : "step",
    smooth: ["0.6", "0.9"].find((one) => one === query.get("smooth")) ?? "",
    from: query.get("from") ?? "",
    to: query.get("to") ?? "",
  };
}

export function useSeries(name: string, isLive: boolean): Live<SeriesList> {
  const { axis, smooth, from, to } = seriesChoice();
  return useLive<SeriesList>(name + "/series", isLive ? kEveryMs : 0, { x: axis === "step" ? axis : "time", from, to, smooth });
}
