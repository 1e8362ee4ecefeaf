// The three cards at the top: what serves, what the learner does, what keeps it safe.

import { el } from "./dom.js";
import { ago, clock, count, moment, percent, sentence } from "./words.js";
import { gateRows, gateTable } from "./gate.js";

/** Show what serves a line, since when and why. */
export function servingCard(body, { line, serving, versions, rollouts, base, stored }) {
  const now = serving[line];
  if (!now) return renew(body, [el("p", { className: "muted" }, "Nothing serves yet.")]);
  const known = versions.find(({ version }) => version === now.version);
  const name = known?.number ? `version ${known.number}` : stored && now.version === (base ?? now.version) && "the base model";
  const change = rollouts.find(({ state, verb, version }) => version === now.version && (state === "completed" || verb === "rollback"));
  const since = change?.created_ms ?? now.since_ms;
  renew(body, [
    el("p", { className: "figure mono" }, now.version),
    el("p", {},
      name && el("span", { className: "chip good" }, name), " ",
      since ? time("since ", since) : ""),
    change && el("p", { className: "why" }, `${change.verb === "rollback" ? "Taken back" : "Promoted"} by ${change.who}: ${change.reason}`),
    coming(now),
    now.previous
      ? el("p", { className: "muted" }, "Before it: ", el("span", { className: "mono" }, now.previous))
      : el("p", { className: "muted" }, "There is no earlier version to go back to."),
  ]);
}

/** Say what should serve and does not: it is being built, or failed a check. */
function coming({ version, decided, pending, failed }) {
  if (!decided || decided === version) return null;
  if (failed) return el("p", { className: "error" }, `Decided, but it cannot serve: ${failed}. This version serves on.`);
  return el("p", { className: "muted" }, pending ? "Waits for the recipe of " : "Builds aside ", el("span", { className: "mono" }, decided));
}

/** Show what the learner is doing and what waits for it. */
export function learnerCard(body, { learner, generations, spool, line, now }) {
  const here = spooled(spool);
  if (!learner) return renew(body, [unknown(), here.length > 0 && facts(here)]);
  const work = learner.in_work.find((one) => one.line === line);
  const last = generations.find(({ state }) => state !== "planned");
  const lease = learner.leases.find(({ name }) => name.includes(line)) ?? learner.leases[0];
  const runs = lease && lease.expires_ms > now;
  const behind = Object.values(learner.lag).flatMap((topics) => Object.values(topics));
  renew(body, [
    headline(work, runs),
    facts([
      ["Fresh judged turns", `${learner.num_fresh}`],
      ["Last generation", last ? `${last.number}, ${OUTCOMES[last.state] ?? last.state} ${ago(last.done_ms ?? last.planned_ms)}` : "none yet"],
      behind.length > 0 && ["Not read yet", count(behind.reduce((sum, one) => sum + one, 0), "record")],
      ["Turns", turnCounts(learner.num_turns)],
      learner.dead_letters > 0 && ["Dead letters", `${learner.dead_letters.toLocaleString()} open`],
      ...here,
    ]),
  ]);
}

/** Say what this agent has on its disk and not in the log, and what it lost; nothing when all is well. */
function spooled(spool) {
  if (!spool) return [];
  return [
    (spool.records > 0 || spool.log_away) && ["On disk, not in the log yet", count(spool.records, "record")],
    spool.dropped > 0 && ["Lost, the spool was full", count(spool.dropped, "record")],
  ].filter(Boolean);
}

const OUTCOMES = { released: "released", held: "held back", void: "void", planned: "in work" };

function unknown() {
  return el("p", { className: "muted" }, "Not known: the learner's store cannot be read.");
}

function headline(work, runs) {
  if (!runs) {
    return el("p", { className: "figure quiet" }, "Not running ",
      el("small", { className: "muted" }, "start it with ", el("code", {}, "quickset learner")));
  }
  if (!work) return el("p", { className: "figure" }, "Waiting ", el("small", { className: "muted" }, "for judged turns"));
  return el("p", { className: "figure busy" }, `Generation ${work.number} `, el("small", { className: "muted" }, `in work, begun ${ago(work.planned_ms)}`));
}

function turnCounts(counts) {
  const total = Object.values(counts).reduce((sum, one) => sum + one, 0);
  return total ? `${total.toLocaleString()}, ${(counts.judged ?? 0).toLocaleString()} judged` : "none yet";
}

/** Show how much is frozen, and what the gate said last. */
export function safetyCard(body, { masks, versions, stored }) {
  if (!stored) return renew(body, [unknown()]);
  const map = masks.find(({ kind }) => kind === "unit-map") ?? masks[0];
  const gated = versions.find(({ gate }) => gateRows(gate));
  renew(body, [
    el("p", { className: "figure" }, ...frozen(map)),
    map && facts([
      ["Frozen units", `${count(map.num_neurons ?? 0, "neuron")}, ${count(map.num_groups ?? 0, "attention group")}`],
      ["Mask", el("span", { className: "mono", title: map.mask ?? map.digest }, (map.mask ?? map.digest).slice(0, 16))],
    ]),
    gated
      ? el("div", { className: "gate" }, el("p", { className: "muted" },
          "The gate on ", el("span", { className: "mono" }, gated.version), `: ${OUTCOMES[gated.outcome] ?? sentence(gated.outcome ?? "")}`), gateTable(gated.gate))
      : el("p", { className: "muted" }, "Every candidate is asked harmful and harmless questions before it may serve; what it answered will stand here."),
  ]);
}

function frozen(map) {
  const say = (figure, words) => [figure, " ", el("small", { className: "muted" }, words)];
  if (!map) return say("No map yet", "the learner draws it before its first generation");
  if (typeof map.frozen_share === "number") return say(percent(map.frozen_share), "of the units never move");
  return say(count((map.num_neurons ?? 0) + (map.num_groups ?? 0), "unit"), "never move");
}

/** Make a list of terms and values. */
export function facts(rows) {
  return el("dl", { className: "facts" }, rows.filter(Boolean).map(([term, value]) => [el("dt", {}, term), el("dd", {}, value)]));
}

/** Make a time that says how long ago it was, and exactly when on hover. */
export function time(before, ms) {
  return el("span", { className: "muted", title: moment(ms) }, `${before}${clock(ms)}, ${ago(ms)}`);
}

/** Renew a card's body, unless it says the same already. */
function renew(body, children) {
  const fresh = el("div", {}, children);
  const same = fresh.childNodes.length === body.childNodes.length
    && [...fresh.childNodes].every((node, index) => node.isEqualNode(body.childNodes[index]));
  if (!same) body.replaceChildren(...fresh.childNodes);
}
