// The console's page: keeps the agent's sections, and draws what changed.

import { learnerCard, safetyCard, servingCard } from "./cards.js";
import { drawGenerations } from "./charts.js";
import { showHistory } from "./history.js";
import { follow } from "./live.js";
import { askRollback, askVerb, setKeyed } from "./change.js";
import { trialCard } from "./trial.js";
import { showTurns } from "./turns.js";
import { showVersions } from "./versions.js";
import { ago, nowMs, setClock } from "./words.js";

const TICK_MS = 5000; // how often "2 min ago" is brought up to date

const part = (id) => document.getElementById(id);
const body = (id) => part(id).querySelector(".body");

const state = {
  serving: {}, spool: null, events: [], store: { ok: true, message: "" },
  turns: [], generations: [], versions: [], rollouts: [], trials: [], forgotten: [], masks: [], bases: {}, learner: null, heard: null,
};
let session = null;
let line = null;
let judgedOnly = false;
let drawn = false;

function of(rows) {
  return rows.filter((row) => row.line === line);
}

function chooseLine() {
  const lines = Object.keys(state.serving).sort();
  if (!lines.includes(line)) line = lines[0] ?? null;
  part("line-choice").hidden = lines.length < 2;
  part("line").replaceChildren(...lines.map((name) => new Option(name, name, false, name === line)));
}

/** Say what cannot be reached, and what that means for who reads this. */
function troubles(stored) {
  return [
    !state.store.ok && `${state.store.message} ${stored ? "What was last read of it is shown." : "What serves, and the way back, work without it."}`,
    state.spool?.log_away && "The log is away: replies go on, and what is said waits on this agent's disk.",
  ].filter(Boolean);
}

function draw(changed) {
  const has = (...names) => names.some((name) => changed.includes(name));
  const stored = state.learner !== null;
  const trouble = troubles(stored);
  part("trouble").hidden = trouble.length === 0;
  part("trouble").textContent = trouble.join(" ");
  drawCards();
  if (has("generations", "serving", "store")) drawGenerations(of(state.generations), { stored });
  if (has("turns", "store", "serving")) showTurns({ turns: of(state.turns), judgedOnly, stored });
  if (has("versions", "bases", "serving", "store")) showVersions({ versions: of(state.versions), base: state.bases[line], serving: state.serving[line], stored });
  if (has("rollouts", "forgotten", "events", "store")) showHistory({ rollouts: of(state.rollouts), forgotten: state.forgotten, events: state.events, stored });
}

function drawCards() {
  const shown = { line, serving: state.serving, versions: of(state.versions), rollouts: of(state.rollouts), base: state.bases[line], stored: state.learner !== null };
  servingCard(body("serving"), shown);
  const { trial, seq } = state.serving[line] ?? {};
  trialCard(part("trial"), {
    trial, look: of(state.trials)[0], change: shown.rollouts.find((one) => one.seq === seq), stored: shown.stored,
    use: (verb) => askVerb({ line, verb, candidate: trial.version, seq, csrf: session?.csrf ?? "" }),
  });
  part("take-back").disabled = !state.serving[line]?.previous;
  learnerCard(body("learner"), { line, learner: state.learner, heard: state.heard, generations: of(state.generations), spool: state.spool, now: nowMs() });
  safetyCard(body("safety"), { masks: state.masks, versions: shown.versions, stored: shown.stored });
}

function takeBack() {
  const { version, decided, previous, seq } = state.serving[line];
  askRollback({ line, version: decided ?? version, previous, seq, csrf: session?.csrf ?? "" });
}

function onSections(sections) {
  Object.assign(state, sections);
  chooseLine();
  draw(drawn ? Object.keys(sections) : Object.keys(state));
  drawn = true;
}

function onState(now) {
  part("live").textContent = now === "live" ? "Live" : "Connecting again…";
  part("live").className = `chip ${now === "live" ? "good" : "warn"}`;
}

async function readSession() {
  const response = await fetch("/operator/session");
  if (response.status === 401) return location.replace("/login");
  session = await response.json();
  setClock(session.now_ms);
  part("operator").textContent = session.operator;
  part("log-out").hidden = !session.can_log_out;
  setKeyed(session.can_log_out);
}

async function logOut() {
  await fetch("/operator/session", { method: "DELETE", headers: { "X-CSRF-Token": session.csrf } });
  location.replace("/login");
}

part("line").addEventListener("change", (event) => {
  line = event.target.value;
  draw(Object.keys(state));
});
part("take-back").addEventListener("click", takeBack);
part("log-out").addEventListener("click", logOut);
document.querySelector(".choice").addEventListener("click", ({ target }) => {
  if (!target.dataset.show) return;
  judgedOnly = target.dataset.show === "judged";
  for (const button of document.querySelectorAll(".choice button")) button.setAttribute("aria-pressed", String(button === target));
  draw(["turns"]);
});
setInterval(() => {
  for (const node of document.querySelectorAll(".when[data-ms]")) node.textContent = ago(Number(node.dataset.ms));
  if (drawn) drawCards();
}, TICK_MS);

// The token is new after every restart of the agent, so it is read again with every connection.
follow({ onOpen: () => readSession().catch(() => onState("away")), onSections, onState });
