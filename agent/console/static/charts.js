// Draws the columns of a table over its rows; the table stays, and tells the same numbers.

import uPlot from "/static/vendor/uPlot.esm.js";

const HEIGHT_PX = 170;
const CHARTS = [
  ["Mean judged reward", ["reward"], { range: [-1.05, 1.05] }],
  ["Fitness: gain of the child, spread of the members", ["gain", "spread"], {}],
  ["KL from the parent, nats a token", ["kl"], {}],
  ["From the base on prompts that nobody teaches, nats a token", ["apart"], {}],
  ["Good members, and what chance would give", ["density", "chance"], {}],
  ["Small tasks, share right: mean, and the lowest", ["tasks", "lowest"], { range: [0, 1] }, true],
  ["Plain text, negative log-likelihood, nats a token", ["text"], {}, true],
  ["Refusals of harmful prompts, log-odds", ["refusal"], {}, true],
];

/** Draw the charts that a page has a place for. */
export function drawCharts() {
  const place = document.getElementById("charts");
  const table = place && document.getElementById(place.dataset.table);
  if (!table) return;
  const rows = [...table.tBodies[0].rows].reverse();
  const x = rows.map((row) => Number(row.querySelector("[data-x]").dataset.x));
  const draw = () => {
    place.replaceChildren();
    const told = CHARTS.filter(([, [name]]) => rows.some((row) => value(row, name) !== null));
    const figures = told.map(([title]) => frame(place, title)); // all first: each tells the others' width
    told.forEach(([, names, scale, sparse], at) => chart(figures[at], { names, scale, sparse, rows, x }));
  };
  draw();
  let width = place.clientWidth;
  new ResizeObserver(() => {
    if (place.clientWidth === width) return;
    width = place.clientWidth;
    draw();
  }).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

function frame(place, title) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  caption.textContent = title;
  figure.append(caption);
  place.append(figure);
  return figure;
}

function chart(figure, { names, scale, sparse = false, rows, x }) {
  const strokes = [colour("--accent"), colour("--muted")];
  const axis = { stroke: colour("--muted"), font: "12px system-ui, sans-serif", grid: { stroke: colour("--rule"), width: 1 }, ticks: { show: false } };
  const series = names.map((name, at) => ({
    label: name,
    stroke: strokes[at],
    width: at ? 1 : 2,
    dash: at ? [4, 4] : undefined,
    points: { show: !at && rows.length < 80, size: 5, fill: strokes[at] },
    spanGaps: sparse, // what only some versions are measured on
  }));
  const options = {
    width: figure.clientWidth - parseFloat(getComputedStyle(figure).paddingLeft) * 2,
    height: HEIGHT_PX,
    scales: { x: { time: false, range: (_, low, high) => [low - 0.5, Math.max(high, low + 9) + 0.5] }, y: scale },
    series: [{ label: "generation" }, ...series],
    axes: [{ ...axis, size: 28, grid: { show: false }, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500] }, { ...axis, size: 48 }],
    legend: { live: true },
  };
  const values = names.map((name) => rows.map((row) => value(row, name)));
  new uPlot(options, [x, ...values], figure);
}

/** Read a cell's number; null: there is none. */
function value(row, name) {
  const text = row.querySelector(`[data-${name}]`)?.dataset[name];
  return text ? Number(text) : null;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
