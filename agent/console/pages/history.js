// What happened: every change of the serving version and all that was forgotten, with who and why,
// and the agent's own events.

import { el, syncEmpty, syncShort } from "./dom.js";
import { ago, moment, sentence } from "./words.js";

const list = document.getElementById("history");
const MAX_SHOWN = 60;

// Told by the line's own changes, with who and why, when the store can be read.
const ALSO_CHANGES = ["swap", "rollback", "trial"];
const KINDS = { "swap": "good", "swap-failed": "bad", "engine-failed": "bad", "log-back": "good", "draining": "" };

/** Show changes and events together, newest first. */
export function showHistory({ rollouts, forgotten, events, stored }) {
  const own = stored ? events.filter(({ kind }) => !ALSO_CHANGES.includes(kind)) : events;
  const items = [...rollouts.map(change), ...forgotten.map(forgetting), ...own.map(happening)]
    .sort((a, b) => b.ms - a.ms)
    .slice(0, MAX_SHOWN);
  if (items.length) return syncShort(list, items, { first: 8, noun: "entries", key: ({ id }) => id, create: entry });
  syncEmpty(list, "Nothing has happened yet.", stored ? " Promotions, rollbacks and failed swaps will stand here, with who and why." : " Events of this agent will stand here; promotions and rollbacks need the learner's store.");
}

// A change of a trial: what it is called, and how it stands out. Every other one took a version into service.
const ON_TRIAL = {
  start: ["On trial", ""], step: ["Next step", ""], "skip-step": ["Step skipped", "warn"],
  pause: ["Paused", "warn"], resume: ["Resumed", ""], hold: ["Held", "warn"], abort: ["Aborted", "bad"],
};

function change({ id, created_ms, verb, state, candidate, version, previous, who, reason, seq }) {
  const [title, kind] = verb === "rollback" ? ["Rolled back", "warn"] : state === "completed" ? ["Promoted", "good"] : ON_TRIAL[verb];
  const moved = verb === "rollback" || state === "completed";
  return {
    id, ms: created_ms, kind, title, versions: moved ? [previous, version] : [candidate],
    text: reason, by: `${who}, change ${seq}`,
  };
}

function forgetting({ id, created_ms, principal, num_turns, influenced, who, reason }) {
  const moved = influenced.map(({ version, share }) => `${version} (${Math.round(100 * share)} %)`);
  const what = moved.length ? `moved ${moved.join(", ")}` : "no version was made with them";
  return {
    id, ms: created_ms, kind: "warn", title: "Forgotten", versions: [],
    text: `${num_turns} turns of ${principal}; ${what}. ${reason}`, by: who,
  };
}

function happening({ time_ms, kind, text }) {
  return {
    id: `${time_ms} ${kind} ${text}`, ms: time_ms, kind: KINDS[kind] ?? "warn",
    title: sentence(kind.replaceAll("-", " ")), versions: [], text, by: "this agent",
  };
}

function entry({ ms, kind, title, versions, text, by }) {
  return el("div", { className: "happening" },
    el("span", { className: `chip ${kind}` }, title),
    el("span", { className: "mono versions" }, versions.join(" → ")),
    el("span", { className: "muted when", title: moment(ms), "data-ms": ms }, ago(ms)),
    el("p", {}, text && `${named(text) ? text : sentence(text)} `, el("span", { className: "muted by" }, by)));
}

/** Whether a text begins with a version's name, which is not written with a large letter. */
function named(text) {
  return /^[0-9a-f]{16}\b/.test(text);
}
