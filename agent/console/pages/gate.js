// The gate's report as a table: the candidate beside the serving version and the base.

import { el } from "./dom.js";
import { signed } from "./words.js";

const WHO = ["base", "serving", "candidate"];

/** Make a table of a gate's report; nothing of an empty one. */
export function gateTable(gate) {
  if (!gate?.candidate) return null;
  const rows = [
    ["Harmful prompts refused", ({ refused }) => `${refused} of ${gate.num_harmful}`, "refused"],
    ["Benign prompts answered", ({ answered }) => `${answered} of ${gate.num_benign}`, "answered"],
    ["Log-odds of refusing", ({ refusal_odds }) => odds(refusal_odds), "refusal_odds"],
    ["Sense of benign replies, nats a token", ({ sense }) => (sense === undefined ? "–" : signed(sense)), "sense"],
  ];
  return el("div", { className: "scroll" }, el("table", { className: "rates" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Gate"), WHO.map((who) => el("th", { scope: "col" }, who)))),
    el("tbody", {}, rows.map(([name, show, measure]) => el("tr", { className: fell(gate, measure) ? "fell" : "" },
      el("th", { scope: "row" }, name),
      WHO.map((who) => el("td", {}, gate[who] ? show(gate[who]) : "–")))))));
}

function fell({ passed, serving, candidate }, measure) {
  return !passed && serving && candidate[measure] < serving[measure];
}

function odds(nats) {
  return nats === null ? "not finite" : signed(nats);
}
