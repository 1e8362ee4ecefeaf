// Changes: each of a line is asked for with a reason, fails when somebody changed the line first, and
// says how long it took until it held. A dead letter is settled without a reason: its record has none.

import { renew } from "./live.js";

const VERBS = {
  rollback: ["Take the version back?", "Take it back", (of) => [`Line ${document.body.dataset.line} will serve `, mono(of.to), " again instead of ", mono(of.from), ", at once. Replies that are being written finish on the version they began with.", ...(of.candidate ? [" The trial of ", mono(of.candidate), " ends with it; to end that alone, abort it on the page Rollout."] : [])]],
  start: ["Start the trial?", "Start it", (of) => [mono(of.candidate), " will answer its first share of the sessions."]],
  pause: ["Pause the trial?", "Pause it", (of) => [mono(of.candidate), " keeps its sessions, and takes no further step until it is resumed."]],
  resume: ["Resume the trial?", "Resume it", (of) => [mono(of.candidate), " goes on from the step it is at."]],
  "skip-step": ["Take the next step now?", "Take it", (of) => [mono(of.candidate), " will answer its next share without waiting for evidence."]],
  "promote-full": ["Promote the candidate?", "Promote it", (of) => [mono(of.candidate), " will serve everybody, at once, whatever the evidence says."]],
  abort: ["Abort the trial?", "Abort it", (of) => [mono(of.candidate), " will answer nobody any more; what serves, serves everybody."]],
  reset: ["Switch the learned weights off?", "Switch them off", () => [`Line ${document.body.dataset.line} will serve the base model again, bit for bit. Nothing is learned any more until somebody lets it.`]],
  learn: ["Learn again?", "Let it learn", () => [`What is said on line ${document.body.dataset.line} teaches again, from here on.`]],
  order: ["Make a generation now?", "Make it", () => [`The learner of line ${document.body.dataset.line} makes one generation of what is judged, in any mode, as soon as nothing is on trial.`]],
  redrive: ["Send the record again?", "Send it", (of) => ["The record of letter ", mono(of.name), " goes to its topic once more. Whoever has used it already passes it over."]],
  drop: ["Give the record up?", "Give it up", (of) => ["The record of letter ", mono(of.name), " will never be used. What it said is lost."]],
};
const STEPS_UP = ["promote-full", "reset"]; // asked with the key again, where keys are asked for
const SERVES = { rollback: "Taken back: ", "promote-full": "Promoted: ", reset: "Switched off: " }; // another version, at once
const DONE = { start: "Started", pause: "Paused", resume: "Resumed", "skip-step": "The step is taken", learn: "It learns again", redrive: "Sent again", drop: "Given up" };
const REASONS = ["Answers got worse", "Unsafe", "Tool calls break", "Drill"];
const WITHOUT_REASON = ["redrive", "drop"];
const ANSWER_MS = 30_000; // for the agent to take or refuse a change
const WAIT_MS = 30_000; // for a version to serve after it was decided
const LOOK_MS = 40;
const REPLY_WAIT_MS = 10_000; // for somebody to be answered by it
const REPLY_LOOK_MS = 100;

const dialog = document.getElementById("verb");
const part = (id) => document.getElementById(`verb-${id}`);
let asked = null; // what the dialog asks about; a change that is under way holds its own

/** Take the clicks on every button that changes something. */
export function takeVerbs() {
  document.addEventListener("click", ({ target }) => {
    const button = target.closest?.("button[data-verb]");
    if (button) ask(button.dataset);
  });
  for (const reason of REASONS) part("reasons").append(choice(reason));
  dialog.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (part("why").hidden || part("reason").checkValidity()) change();
  });
  part("cancel").addEventListener("click", () => dialog.close());
  dialog.addEventListener("cancel", (event) => part("cancel").disabled && event.preventDefault());
  document.getElementById("log-out")?.addEventListener("click", logOut);
}

function ask(of) {
  const [title, go, what] = VERBS[of.verb];
  const bare = WITHOUT_REASON.includes(of.verb);
  asked = { ...of };
  part("title").textContent = title;
  part("go").textContent = go;
  part("what").replaceChildren(...what(of));
  part("error").hidden = true;
  part("why").hidden = bare;
  part("reason").required = !bare;
  part("reason").value = "";
  part("again").hidden = !("keyed" in document.body.dataset && STEPS_UP.includes(of.verb));
  part("key").value = "";
  dialog.showModal();
  (bare ? part("go") : part("reason")).focus();
}

/** Ask the agent for it. What is on its way cannot be called back, so nothing offers that meanwhile. */
async function change() {
  const of = asked;
  const sent = body(of);
  const key = part("key").value;
  part("go").disabled = part("cancel").disabled = true;
  part("error").hidden = true;
  const began = performance.now();
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch(of.path, { method: "POST", headers: await headers(key, signal), body: sent, signal });
    const answer = await response.json();
    if (answer.error?.code === "step_up" && asked === of) part("again").hidden = false; // a step that came to be the last
    if (!response.ok) return refuse(answer.error?.message ?? "It was refused", of);
    if (asked === of) dialog.close();
    done(answer, of, began).catch(() => say(["It is decided, but the agent cannot be reached now: Health tells when it holds."]));
  } catch {
    refuse("The agent cannot be reached; nothing was changed that this page knows of", of);
  } finally {
    part("go").disabled = part("cancel").disabled = false;
  }
}

/** The token is new after every restart of the agent, so it is asked for when it is needed. */
async function headers(key, signal) {
  const session = await (await fetch("/operator/session", { signal })).json();
  const found = { "Content-Type": "application/json", "X-CSRF-Token": session.csrf ?? document.body.dataset.csrf };
  if (key) found["X-Step-Up"] = key;
  return found;
}

function body(of) {
  if (WITHOUT_REASON.includes(of.verb)) return "{}";
  const reason = part("reason").value.trim();
  return JSON.stringify("seq" in of ? { reason, expected_seq: Number(of.seq) } : { reason });
}

/** Say what was done, and for a change of who answers, how long it took until it held. */
async function done({ rollout, order }, { verb, candidate }, began) {
  const wanted = verb in SERVES ? rollout?.version : null;
  if (wanted && await seen(({ version }) => version === wanted, WAIT_MS, LOOK_MS)) {
    const name = mono(wanted);
    const serves = [SERVES[verb], name, ` serves, ${since(began)} after you confirmed`];
    say([...serves, "."]);
    replied(wanted, began).then((told) => name.isConnected && told && say([...serves, told]));
  } else if (verb === "abort" && await seen(({ trial }) => trial?.version !== candidate, WAIT_MS, LOOK_MS)) {
    say(["Aborted: ", mono(candidate), ` answers no new session, ${since(began)} after you confirmed.`]);
  } else if (order) say(["Ordered: it begins as soon as something is judged and nothing is on trial."]);
  else if (verb in DONE) say([`${DONE[verb]}.`]);
  else say(["It is decided, but this agent does not follow yet: Health, on the page Now, says why."]);
  renew(WITHOUT_REASON.includes(verb) ? ["serving", "learner"] : ["serving"]);
}

/** Whether what serves comes to be as is asked before the wait is over. */
async function seen(as, waitMs, lookMs) {
  for (const until = performance.now() + waitMs; performance.now() < until;) {
    const { serving } = await (await fetch("/api/now")).json();
    if (as(serving)) return true;
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
  return false;
}

/** Say when a version began its first reply, if somebody asked it soon. */
async function replied(version, began) {
  const replies = (serving) => serving.version === version && serving.replies_ms != null;
  const did = await seen(replies, REPLY_WAIT_MS, REPLY_LOOK_MS).catch(() => false);
  return did && `; its first reply began within ${since(began)}.`;
}

function since(began) {
  const ms = performance.now() - began;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Say something at the foot of the page. */
export function say(children) {
  const place = document.getElementById("done");
  place.replaceChildren(...children);
  place.hidden = false;
}

/** Tell why something was not done: in its dialog, or where that is closed by now, at the foot of the page. */
function refuse(message, of) {
  const told = `${message[0].toUpperCase()}${message.slice(1)}.`;
  if (asked !== of || !dialog.open) return say([told]);
  part("error").textContent = told;
  part("error").hidden = false;
}

async function logOut() {
  await fetch("/operator/session", { method: "DELETE", headers: await headers("") });
  location.replace("/login");
}

function choice(reason) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "chip";
  button.textContent = reason;
  button.addEventListener("click", () => {
    part("reason").value = reason;
    part("go").focus();
  });
  return button;
}

function mono(text) {
  const node = document.createElement("b");
  node.className = "mono";
  node.textContent = text;
  return node;
}
