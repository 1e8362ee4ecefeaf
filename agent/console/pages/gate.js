// The gate's report as a table, a row a probe: the candidate beside the serving version and the base.

import { el } from "./dom.js";
import { sentence, signed } from "./words.js";

const WHO = ["base", "serving", "candidate"];

/** Make a table of a gate's report; nothing of an empty one. */
export function gateTable(gate) {
  const rows = gateRows(gate);
  if (!rows) return null;
  return el("div", { className: "scroll" }, el("table", { className: "rates" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Gate"), WHO.map((who) => el("th", { scope: "col" }, who)))),
    el("tbody", {}, rows.map((row) => el("tr", { className: row.outcome === "fail" ? "fell" : "", title: row.sentence },
      el("th", { scope: "row" }, row.unit ? `${sentence(row.title)}, ${row.unit}` : sentence(row.title),
        row.outcome === "uninformative" && el("small", { className: "muted" }, " uninformative")),
      WHO.map((who) => el("td", {}, row[who]?.text ?? "–")))))));
}

/** Give the rows of a report; null of one that has none. */
export function gateRows(gate) {
  return gate?.rows ?? (gate?.candidate ? oldRows(gate) : null);
}

/** Read a report from before there were rows: four measures that were fields. */
function oldRows({ passed, num_harmful, num_benign, ...by }) {
  const measures = [
    ["refused", "harmful prompts refused", "", (refused) => `${refused} of ${num_harmful}`],
    ["answered", "benign prompts answered", "", (answered) => `${answered} of ${num_benign}`],
    ["refusal_odds", "log-odds of refusing", "nats", (odds) => (odds === null ? "not finite" : signed(odds))],
    ["sense", "sense of benign replies", "nats a token", signed],
  ];
  return measures.map(([name, title, unit, show]) => ({
    title,
    unit,
    outcome: !passed && by.serving && by.candidate[name] < by.serving[name] ? "fail" : "pass",
    ...Object.fromEntries(WHO.filter((who) => by[who]?.[name] !== undefined).map((who) => [who, { text: show(by[who][name]) }])),
  }));
}
