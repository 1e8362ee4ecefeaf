// The chain of versions: what each is made of, what the gate said, and where it stands.

import { facts } from "./cards.js";
import { el, syncEmpty, syncShort } from "./dom.js";
import { gateTable } from "./gate.js";
import { ago, count, moment, sentence } from "./words.js";

const list = document.getElementById("versions");

/** Show the last versions of a line, newest first, and its base. */
export function showVersions({ versions, base, serving, stored }) {
  if (!versions.length) {
    const text = stored
      ? ["There is only the base model so far.", " Each generation that passes the gate adds a version here: a recipe of a few hundred bytes that anybody can replay."]
      : ["Not known:", " the learner's store cannot be read."];
    return syncEmpty(list, ...text);
  }
  const items = versions.map((version) => ({ ...version, place: place(version, serving) }));
  if (base) items.push({ version: base, number: 0, place: place({ version: base }, serving) });
  syncShort(list, items, { first: 8, noun: "versions", key: ({ version }) => version, create: entry });
}

function place({ version, outcome }, serving) {
  if (version === serving?.version) return "serving";
  if (version === serving?.previous) return "previous";
  return outcome === "held" ? "held" : "";
}

const CHIPS = { serving: "good", previous: "", held: "warn" };

function entry(item) {
  const head = [
    el("span", { className: `mark ${item.place}`, "aria-hidden": "true" }),
    el("span", { className: "name" }, el("b", {}, item.number === 0 ? "Base" : item.number ? `Version ${item.number}` : "Candidate"), " ",
      el("span", { className: "mono muted" }, item.version)),
    el("span", { className: "end" },
      item.place && el("span", { className: `chip ${CHIPS[item.place]}` }, item.place === "held" ? "held back" : item.place),
      item.created_ms && el("span", { className: "muted when", title: moment(item.created_ms), "data-ms": item.created_ms }, ago(item.created_ms))),
    item.place === "held" && item.reason && el("span", { className: "line-two" }, sentence(item.reason)),
  ];
  if (item.number === 0) return el("div", { className: "version plain" }, head);
  return el("details", { className: "version" }, el("summary", {}, head), details(item));
}

function details(item) {
  return el("div", { className: "inside" },
    item.reason && item.place !== "held" && el("p", {}, sentence(item.reason)),
    facts([
      ["Parent", mono(item.parent)],
      item.generation && ["Generation", String(item.generation)],
      item.recipe_bytes && ["Recipe", `${count(item.recipe_bytes, "byte")}, ${item.strategy}, ${item.noise}, ${count(item.num_pairs, "pair")}, step ${item.step}, σ 2^${item.sigma_log2} RMS`],
      item.layers && ["Moves", `layers ${ranges(item.layers)}: ${item.modules.join(", ")}`],
      item.digest && ["Digest", mono(item.digest)],
      item.mask && ["Mask", mono(item.mask)],
    ]),
    item.gate && gateTable(item.gate),
    item.place in { serving: 1, previous: 1 } && proof(item.version));
}

/** Offer the digest of the weights that this agent holds, to compare with `quickset replay`. */
function proof(version) {
  const out = el("p", { className: "mono digest", role: "status" });
  const button = el("button", { className: "button", type: "button" }, "Digest of the served weights");
  button.addEventListener("click", async () => {
    button.disabled = true;
    out.textContent = "Hashing every tensor…";
    try {
      const response = await fetch(`/operator/versions/${encodeURIComponent(version)}/digest`);
      const body = await response.json();
      out.textContent = response.ok ? body.sha256 : sentence(body.error.message);
    } catch {
      out.textContent = "The agent cannot be reached.";
    }
    button.disabled = false;
  });
  return el("div", { className: "proof" }, button, out);
}

/** Write layer numbers shortly: [22, 23, 24, 27] as "22–24, 27". */
function ranges(numbers) {
  const runs = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run && run[1] + 1 === number) run[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`)).join(", ");
}

function mono(text) {
  return el("span", { className: "mono" }, text);
}
