// The card of a trial: the candidate beside what serves, why it is not promoted yet, and what may be done.

import { facts } from "./cards.js";
import { nameOf } from "./change.js";
import { el } from "./dom.js";
import { ago, count, percent, sentence, signed } from "./words.js";

const CHIPS = { running: "good", pending: "", paused: "warn", held: "warn" };

/** Show the trial of a line; `use` is called with the verb of a button. */
export function trialCard(card, { trial, look, change, stored, use }) {
  card.hidden = !trial;
  if (!trial) return;
  const seen = look?.candidate === trial.version ? look : null;
  const fresh = el("div", { className: "body" },
    el("p", { className: "figure mono" }, trial.version),
    el("p", {},
      el("span", { className: `chip ${CHIPS[trial.state]}` }, trial.state), " ",
      trial.share ? `step ${trial.step + 1}: ${percent(trial.share)} of the sessions` : "answers nobody yet"),
    el("p", { className: "why" }, why(trial, seen, change, stored)),
    trial.lacking && el("p", { className: "error" }, `It answers nobody on this agent: ${trial.lacking}. What serves answers its sessions.`),
    seen && figures(seen.body),
    seen && el("p", { className: "muted" }, `Seen ${ago(seen.updated_ms)}.`));
  const buttons = trial.verbs.map((verb) => el("button", {
    className: `button ${verb === "abort" ? "danger" : ""}`, type: "button", on: { click: () => use(verb) },
  }, `${nameOf(verb)}…`));
  const actions = el("div", { className: "actions" }, buttons);
  const same = card.querySelector(".body").isEqualNode(fresh) && card.dataset.verbs === trial.verbs.join();
  if (same) return;
  card.dataset.verbs = trial.verbs.join();
  card.querySelector(".body").replaceWith(fresh);
  card.querySelector(".actions").replaceWith(actions);
}

function why(trial, seen, change, stored) {
  if (trial.state === "held" || trial.state === "paused") {
    return change ? sentence(`${trial.state} by ${change.who}: ${change.reason}`) : sentence(trial.state);
  }
  if (seen) return `Not promoted yet: ${seen.body.why}`;
  return stored ? "The learner has not looked at it yet." : "Why it is not promoted is not known: the learner's store cannot be read.";
}

/** The figures of a look: what was judged, and each guardrail with its limit. */
function figures({ judged, guardrails, touched, sessions, candidate_sessions: own }) {
  return facts([
    ["Judged", `${between(judged)}, from −1 to 1`],
    ["Heard", `${count(judged.candidate, "principal")} on it, ${judged.stable.toLocaleString()} on what serves`],
    ...guardrails.map((rail) => [
      sentence(rail.name),
      el("span", { className: rail.broken ? "error" : "" },
        rail.candidate ? `${between(rail)}; at most ${signed(rail.limit)}` : "no data yet"),
    ]),
    ["Sessions", `${touched.toLocaleString()} answered; ${own.toLocaleString()} of ${sessions.toLocaleString()} at this step`],
  ]);
}

function between({ low, estimate, high }) {
  return `${signed(estimate)} (${signed(low)} to ${signed(high)})`;
}
