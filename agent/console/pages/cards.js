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
export function learnerCard(body, { learner, heard, generations, spool, line, now }) {
  const here = spooled(spool);
  if (!learner) return renew(body, [unknown(), here.length > 0 && facts(here)]);
  const work = learner.in_work.find((one) => one.line === line);
  const last = generations.find(({ state }) => state !== "planned");
  const lease = learner.leases.find(({ name }) => name.endsWith(`/${line}`));
  const runs = lease && lease.expires_ms > now;
  const groups = Object.entries(learner.lag).filter(([group]) => group.endsWith(`/${line}`));
  const behind = groups.flatMap(([, topics]) => Object.values(topics));
  const planner = heard?.planners.find((one) => one.line === line);
  renew(body, [
    headline(work, runs, planner),
    facts([
      planner ? ["Verdicts", verdicts(planner)] : ["Fresh judged turns", `${learner.num_fresh}`],
      ["Last generation", last ? `${last.number}, ${OUTCOMES[last.state] ?? last.state} ${ago(last.done_ms ?? last.planned_ms)}` : "none yet"],
      behind.length > 0 && ["Not read yet", count(behind.reduce((sum, one) => sum + one, 0), "record")],
      ["Turns", turnCounts(learner.num_turns)],
      ...unheard(heard),
      learner.dead_letters > 0 && ["Dead letters", `${learner.dead_letters.toLocaleString()} open`],
      ...here,
    ]),
    ...examples(heard),
  ]);
}

function verdicts({ num_fresh, num_used, num_weak, num_people }) {
  return `${num_fresh} fresh, ${num_used} used before, ${num_weak} weak, of ${count(num_people, "principal")}`;
}

/** Count what teaches nothing, by the reason, and the replies that no turn was found for. */
function unheard(heard) {
  if (!heard) return [];
  const reasons = Object.entries(heard.reasons).sort(([, one], [, other]) => other - one);
  const { ambiguous, unknown } = heard.unlinked;
  return [
    reasons.length > 0 && ["Teach nothing (more)", reasons.map(([why, num]) => `${num.toLocaleString()} ${why}`).join(", ")],
    ambiguous + unknown > 0 && ["Replies not recognised", `${(ambiguous + unknown).toLocaleString()}, ${ambiguous.toLocaleString()} of them ambiguous`],
  ].filter(Boolean);
}

/** Show the newest reply that was not recognised, and name the clients that opt out. */
function examples(heard) {
  if (!heard) return [];
  const { example, opted_out } = heard;
  return [
    example && el("p", { className: "muted" }, `Not recognised (${example.why}), sent by ${example.client || "a client without a name"}: `, el("q", {}, example.reply || "a tool call")),
    ...opted_out.map(({ client, num_turns, num_opted_out }) => el("p", { className: "muted" },
      `${client || "A client without a name"} opts out of learning (store: false or X-Learn: off) with ${num_opted_out === num_turns ? "all" : num_opted_out.toLocaleString()} of its ${count(num_turns, "turn")}: these teach nothing.`)),
  ].filter(Boolean);
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

function headline(work, runs, planner) {
  if (!runs) {
    return el("p", { className: "figure quiet" }, "Not running ",
      el("small", { className: "muted" }, "start it with ", el("code", {}, "quickset learner")));
  }
  if (!work) return el("p", { className: "figure" }, "Waiting ", el("small", { className: "muted" }, `for ${planner?.waits_for ?? "judged turns"}`));
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
