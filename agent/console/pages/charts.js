// Reward and fitness over the generations, and the same as a table.

import uPlot from "/static/vendor/uPlot.esm.js";
import { el, sync } from "./dom.js";
import { ago, moment, sentence, signed, small } from "./words.js";

const HEIGHT_PX = 210;
const SHOWN_ROWS = 25;

const charts = [];
const area = document.getElementById("charts");
let rows = [];

/** Draw the generations of a line, given newest first. */
export function drawGenerations(generations, { stored }) {
  rows = generations.filter(({ state }) => state !== "planned").toReversed();
  const none = rows.length === 0;
  area.hidden = none;
  document.getElementById("charts-empty").hidden = !none || !stored;
  document.getElementById("charts-unknown").hidden = stored;
  if (none) return;
  if (!charts.length) build();
  charts.forEach(({ plot, data }) => plot.setData(data(rows)));
  table(generations);
}

function build() {
  charts.splice(0).forEach(({ plot }) => plot.destroy());
  area.replaceChildren();
  charts.push(rewardChart(), fitnessChart());
  area.append(el("details", { className: "generations" },
    el("summary", {}, "As a table"),
    el("div", { className: "scroll", tabIndex: 0 }, el("table", {},
      el("thead", {}, el("tr", {}, ["Generation", "When", "Outcome", "Turns", "Reward", "Gain", "Spread", "KL", "Child", "Reason"].map((title) => el("th", { scope: "col" }, title)))),
      el("tbody")))));
}

function rewardChart() {
  const accent = colour("--accent");
  const is = (wanted) => (row) => (row.state === wanted ? row.reward : null);
  return chart("Mean judged reward of the batch", {
    scales: { y: { range: [-1.08, 1.08] } },
    series: [
      line("reward", accent, { width: 1.5, points: { show: false } }),
      dots("released", accent, accent),
      dots("held back", colour("--surface"), colour("--warn")),
      dots("void", colour("--surface"), colour("--muted")),
    ],
    data: (all) => [numbers(all), all.map(({ reward }) => reward), ...["released", "held", "void"].map((state) => all.map(is(state)))],
    splits: [-1, -0.5, 0, 0.5, 1],
  });
}

// Fitness itself is not comparable from one batch to the next; what a generation gained on its own is.
function fitnessChart() {
  const accent = colour("--accent");
  return chart("Fitness: gain of the child, spread of the members", {
    series: [
      line("spread", colour("--muted"), { width: 1, dash: [4, 4], points: { show: false } }),
      line("gain", accent, { width: 2, points: { show: rows.length < 60, size: 5, fill: accent } }),
    ],
    data: (all) => [numbers(all), all.map(({ fitness_spread }) => fitness_spread), all.map(({ gain }) => gain)],
  });
}

function chart(title, { series, data, splits, scales = {} }) {
  const figure = el("figure", {}, el("figcaption", {}, title));
  area.append(figure);
  const axis = {
    stroke: colour("--muted"),
    font: "12px system-ui, sans-serif",
    grid: { stroke: colour("--rule"), width: 1 },
    ticks: { show: false },
  };
  const options = {
    width: width(),
    height: HEIGHT_PX,
    scales: { x: { time: false, range: (_, low, high) => [low - 0.5, Math.max(high, low + 9) + 0.5] }, ...scales },
    series: [{ label: "generation" }, ...series],
    axes: [
      { ...axis, size: 30, grid: { show: false }, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500] },
      { ...axis, size: 52, values: (_, marks) => marks.map(small), ...(splits && { splits }) },
    ],
    cursor: { sync: { key: "generations" }, drag: { x: false, y: false } },
  };
  const plot = new uPlot(options, data(rows), figure);
  plot.root.setAttribute("aria-hidden", "true"); // the table below says the same
  return { plot, data };
}

function line(label, stroke, rest) {
  return { label, stroke, spanGaps: true, value: shown, ...rest };
}

function dots(label, fill, stroke) {
  return { label, stroke, width: 0, paths: () => null, value: shown, points: { show: true, size: 8, width: 2, fill, stroke } };
}

function shown(_, value) {
  return value === null || value === undefined ? "–" : small(value);
}

function table(generations) {
  sync(area.querySelector(".generations tbody"), generations.slice(0, SHOWN_ROWS), {
    key: ({ id }) => id,
    create: (row) => el("tr", {}, [
      row.number,
      el("span", { title: moment(row.done_ms ?? row.planned_ms) }, ago(row.done_ms ?? row.planned_ms)),
      sentence(row.state === "held" ? "held back" : row.state),
      row.num_turns,
      row.reward === null ? "–" : signed(row.reward),
      row.gain === null ? "–" : signed(row.gain),
      row.fitness_spread === null ? "–" : small(row.fitness_spread),
      row.kl === null ? "–" : small(row.kl),
      el("span", { className: "mono" }, row.child ?? "–"),
      row.reason,
    ].map((cell) => el("td", {}, cell instanceof Node ? cell : String(cell)))),
  });
}

function numbers(all) {
  return all.map(({ number }) => number);
}

function width() {
  const columns = getComputedStyle(area).gridTemplateColumns.split(" ");
  return Math.floor(parseFloat(columns[0])) || area.clientWidth;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

new ResizeObserver(() => {
  if (!area.hidden) charts.forEach(({ plot }) => plot.setSize({ width: width(), height: HEIGHT_PX }));
}).observe(area);

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  if (!charts.length) return;
  build();
  table(rows.toReversed());
});
