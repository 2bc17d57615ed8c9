// @vitest-environment node
// The colours of tokens.css: their contrast on every surface, and how far apart they stay for people
// who see fewer of them (CIEDE2000; Machado, Oliveira and Fernandes 2009 at full severity).
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const css = readFileSync(new URL("../src/styles/tokens.css", import.meta.url), "utf8");

function tokens(block: string): Record<string, string> {
  const body = css.slice(css.indexOf("{", css.indexOf(block)));
  const out: Record<string, string> = {};
  for (const [, name, value] of body.slice(0, body.indexOf("}")).matchAll(/--([a-z0-9-]+):\s*(#[0-9a-f]{6});/g)) {
    out[name ?? ""] = value ?? "";
  }
  return out;
}

type Triple = [number, number, number];
const rgb = (hex: string): Triple => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255) as Triple;
const linear = (c: number): number => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
const light = (hex: string): Triple => rgb(hex).map(linear) as Triple;

function contrast(a: string, b: string): number {
  const [high, low] = [a, b].map((hex) => {
    const [r, g, bl] = light(hex);
    return 0.2126 * r + 0.7152 * g + 0.0722 * bl;
  }).sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

const seen: Record<string, Triple[]> = {
  everything: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protanopia: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deuteranopia: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritanopia: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};

function lab(hex: string, matrix: Triple[]): Triple {
  const from = light(hex);
  const [r, g, b] = matrix.map((row) => Math.min(1, Math.max(0, row[0] * from[0] + row[1] * from[1] + row[2] * from[2]))) as Triple;
  const f = (t: number): number => (t > 216 / 24389 ? Math.cbrt(t) : (24389 / 27 * t + 16) / 116);
  const x = f((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
  const y = f(0.2126729 * r + 0.7151522 * g + 0.072175 * b);
  const z = f((0.0193339 * r + 0.119192 * g + 0.9503041 * b) / 1.08883);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

// Sharma, Wu and Dalal 2005.
export function ciede2000([l1, a1, b1]: Triple, [l2, a2, b2]: Triple): number {
  const rad = Math.PI / 180;
  const mean = (Math.hypot(a1, b1) + Math.hypot(a2, b2)) / 2;
  const g = 0.5 * (1 - Math.sqrt(mean ** 7 / (mean ** 7 + 25 ** 7)));
  const polar = (a: number, b: number): [number, number] => {
    const hue = Math.atan2(b, a) / rad;
    return [Math.hypot(a, b), hue < 0 ? hue + 360 : hue];
  };
  const [c1, h1] = polar(a1 * (1 + g), b1);
  const [c2, h2] = polar(a2 * (1 + g), b2);
  let turn = h2 - h1;
  if (c1 * c2 === 0) turn = 0;
  else if (turn > 180) turn -= 360;
  else if (turn < -180) turn += 360;
  const dl = l2 - l1;
  const dc = c2 - c1;
  const dh = 2 * Math.sqrt(c1 * c2) * Math.sin(turn / 2 * rad);
  const l = (l1 + l2) / 2;
  const c = (c1 + c2) / 2;
  let h = h1 + h2;
  if (c1 * c2 !== 0) h = Math.abs(h1 - h2) <= 180 ? h / 2 : h < 360 ? (h + 360) / 2 : (h - 360) / 2;
  const t = 1 - 0.17 * Math.cos((h - 30) * rad) + 0.24 * Math.cos(2 * h * rad) + 0.32 * Math.cos((3 * h + 6) * rad) - 0.2 * Math.cos((4 * h - 63) * rad);
  const sl = 1 + 0.015 * (l - 50) ** 2 / Math.sqrt(20 + (l - 50) ** 2);
  const sc = 1 + 0.045 * c;
  const sh = 1 + 0.015 * c * t;
  const rc = 2 * Math.sqrt(c ** 7 / (c ** 7 + 25 ** 7));
  const rt = -Math.sin(2 * 30 * Math.exp(-(((h - 275) / 25) ** 2)) * rad) * rc;
  return Math.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * (dc / sc) * (dh / sh));
}

const states = ["queued", "starting", "running", "paused", "succeeded", "failed", "cancelled"];
const themes = { light: tokens(":root {"), dark: tokens(":root[data-theme=\"dark\"]") };
const said: Record<keyof typeof themes, number[]> = {
  light: [5.34, 8.91, 4.64, 4.61, 5.05, 8.64, 13.45],
  dark: [4.99, 8.56, 4.62, 7.63, 10.85, 4.63, 12.36],
};
const surfaces = ["surface", "surface-2", "surface-3"];

describe("CIEDE2000", () => {
  it("gives the distances of its authors' table", () => {
    expect(ciede2000([50, 2.6772, -79.7751], [50, 0, -82.7485])).toBeCloseTo(2.0425, 4);
    expect(ciede2000([50, -1, 2], [50, 0, 0])).toBeCloseTo(2.3669, 4);
    expect(ciede2000([60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387])).toBeCloseTo(1.2644, 4);
    expect(ciede2000([22.7233, 20.0904, -46.694], [23.0331, 14.973, -42.5619])).toBeCloseTo(2.0373, 4);
  });
});

for (const [name, colours] of Object.entries(themes) as [keyof typeof themes, Record<string, string>][]) {
  describe(`the ${name} theme`, () => {
    const of = (token: string): string => colours[token] ?? "";
    const worst = (token: string): number => Math.min(...surfaces.map((surface) => contrast(of(token), of(surface))));

    it("has every state's contrast on the worst surface", () => {
      expect(states.map((state) => Math.round(worst(state) * 100) / 100)).toEqual(said[name]);
    });
    it("has text, muted text and borders that can be read", () => {
      expect(worst("text")).toBeGreaterThan(12);
      expect(worst("muted")).toBeGreaterThanOrEqual(5.8);
      expect(worst("border")).toBeGreaterThanOrEqual(3.2);
    });
    for (const [sight, matrix] of Object.entries(seen)) {
      it(`keeps states apart for who sees ${sight}`, () => {
        const distances = states.flatMap((a, i) => states.slice(i + 1).map((b) => ciede2000(lab(of(a), matrix), lab(of(b), matrix))));
        expect(Math.min(...distances)).toBeGreaterThanOrEqual(sight === "everything" ? 18.65 : 12.95);
      });
    }
  });
}

it("says the dark theme twice in the same words", () => {
  expect(tokens(":root:not([data-theme=\"light\"])")).toEqual(themes.dark);
});
