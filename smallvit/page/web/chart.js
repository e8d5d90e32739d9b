// Line charts as SVG: axes, labelled lines that differ in more than colour, points that tell their values.

import { h } from "./dom.js";

const WIDTH = 560;
const HEIGHT = 260;
const LEFT = 48,
  RIGHT = 12,
  TOP = 36,
  BOTTOM = 38;
const DASHES = ["", "7 4", "2 3", "9 3 2 3"];

/**
 * lines: [{name, color, points: [[x, y] …], dashed: 0 … 3, dots: only dots without a line}]
 * options: {x, y: titles, label: the alternative text, log: whether x is logarithmic, ticks: of x,
 *           reference: {y, name}, marks: [{x, name}], from: the lowest y}
 */
export function lineChart(lines, options) {
  const all = lines.flatMap((line) => line.points);
  const xs = all.map(([x]) => x).concat((options.marks ?? []).map(({ x }) => x));
  const ys = all.map(([, y]) => y).concat(options.reference ? [options.reference.y] : []);
  const scale = options.log ? Math.log : (value) => value;
  const [x0, x1] = [scale(Math.min(...xs)), scale(Math.max(...xs))];
  const ticks = niceTicks(options.from ?? Math.min(...ys), Math.max(...ys));
  const [y0, y1] = [ticks[0], ticks.at(-1)];
  const px = (x) => LEFT + (WIDTH - LEFT - RIGHT) * (x1 === x0 ? 0.5 : (scale(x) - x0) / (x1 - x0));
  const py = (y) => HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * ((y - y0) / (y1 - y0 || 1));
  const step = Number((ticks[1] - ticks[0]).toFixed(10));
  const digits = [0, 1, 2, 3].find((number) => Number(step.toFixed(number)) === step) ?? 4;
  const parts = [];
  for (const y of ticks) {
    parts.push(h("svg:line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: py(y), y2: py(y) }));
    parts.push(h("svg:text", { x: LEFT - 8, y: py(y) + 4, "text-anchor": "end" }, y.toFixed(digits)));
  }
  const xticks =
    options.ticks ?? niceTicks(Math.min(...xs), Math.max(...xs)).filter((x) => scale(x) >= x0 && scale(x) <= x1);
  for (const x of xticks)
    parts.push(h("svg:text", { x: px(x), y: HEIGHT - BOTTOM + 18, "text-anchor": "middle" }, String(x)));
  parts.push(
    h("svg:text", { class: "title", x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, options.x),
  );
  parts.push(h("svg:text", { class: "title", x: 4, y: 2, "dominant-baseline": "hanging" }, options.y));
  if (options.reference) {
    const y = py(options.reference.y);
    parts.push(h("svg:line", { class: "reference", x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y }));
    parts.push(
      h("svg:text", { class: "title", x: WIDTH - RIGHT, y: y - 5, "text-anchor": "end" }, options.reference.name),
    );
  }
  for (const line of lines) {
    const path = line.points
      .map(([x, y], index) => `${index ? "L" : "M"}${px(x).toFixed(1)} ${py(y).toFixed(1)}`)
      .join("");
    if (!line.dots)
      parts.push(
        h("svg:path", { class: "line", d: path, stroke: line.color, "stroke-dasharray": DASHES[line.dashed ?? 0] }),
      );
    const radius = line.points.length > 40 ? 0 : line.dots ? 4 : 3;
    if (radius)
      for (const [x, y, name] of line.points) {
        parts.push(
          h(
            "svg:circle",
            { cx: px(x), cy: py(y), r: radius, fill: line.color },
            h(
              "svg:title",
              {},
              `${name ?? line.name}: ${options.x} ${x}, ${options.y} ${y.toFixed(Math.max(digits, 1))}`,
            ),
          ),
        );
      }
  }
  for (const mark of options.marks ?? []) {
    parts.push(h("svg:line", { class: "mark", x1: px(mark.x), x2: px(mark.x), y1: TOP, y2: HEIGHT - BOTTOM }));
    const place = px(mark.x) > WIDTH - 60 ? { x: px(mark.x) - 5, "text-anchor": "end" } : { x: px(mark.x) + 5 };
    parts.push(h("svg:text", { class: "title", ...place, y: TOP + 10 }, mark.name));
  }
  const svg = h(
    "svg:svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": options.label, class: "chart" },
    parts,
  );
  const legend = lines
    .filter((line) => line.name)
    .map((line) =>
      h(
        "li",
        {},
        h(
          "svg:svg",
          { viewBox: "0 0 26 10", width: 26, height: 10, "aria-hidden": "true" },
          h("svg:line", {
            x1: 1,
            x2: 25,
            y1: 5,
            y2: 5,
            stroke: line.color,
            "stroke-width": 3,
            "stroke-dasharray": DASHES[line.dashed ?? 0],
          }),
        ),
        line.name,
      ),
    );
  return legend.length > 1 ? h("figure", {}, svg, h("ul", { class: "legend" }, legend)) : h("figure", {}, svg);
}

function niceTicks(low, high) {
  const span = high - low || 1;
  const step = [1, 2, 2.5, 5, 10]
    .map((factor) => factor * 10 ** Math.floor(Math.log10(span / 4)))
    .find((step) => span / step <= 6);
  const ticks = [];
  for (let tick = Math.floor(low / step) * step; tick < high + step * 0.999; tick += step)
    ticks.push(Number(tick.toFixed(10)));
  return ticks;
}
