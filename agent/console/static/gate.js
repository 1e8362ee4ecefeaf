// The gate's report as a table: a row a check, the serving version beside the candidate.

import { el } from "./dom.js";
import { percent, sentence, small } from "./words.js";

const STABLE = ["serving", "stable", "parent", "before"];
const CANDIDATE = ["candidate", "child", "after"];

/** Make a table of a gate's report; what has no known form is left out. */
export function gateTable(gate) {
  const rows = Object.entries(gate).flatMap(([name, value]) => row(name, value));
  if (!rows.length) return null;
  const compared = rows.some(({ stable }) => stable !== undefined);
  return el("table", { className: "rates" },
    compared && el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Rate"), el("th", { scope: "col" }, "serving"), el("th", { scope: "col" }, "candidate"))),
    el("tbody", {}, rows.map(({ name, stable, candidate }) => el("tr", { className: worse(stable, candidate) ? "worse" : "" },
      el("th", { scope: "row" }, words(name)),
      compared && el("td", {}, stable === undefined ? "" : show(name, stable)),
      el("td", {}, show(name, candidate))))));
}

function row(name, value) {
  if (typeof value === "number") return [{ name, candidate: value }];
  if (!value || typeof value !== "object") return [];
  const stable = STABLE.map((key) => value[key]).find((one) => typeof one === "number");
  const candidate = CANDIDATE.map((key) => value[key]).find((one) => typeof one === "number");
  if (candidate !== undefined) return [{ name, stable, candidate }];
  return [];
}

function worse(stable, candidate) {
  return stable !== undefined && candidate < stable - 1e-9;
}

function show(name, value) {
  return Number.isInteger(value) && value > 1 ? String(value) : value >= 0 && value <= 1 && !/kl/i.test(name) ? percent(value) : small(value);
}

function words(name) {
  return sentence(name.replaceAll("_", " "));
}
