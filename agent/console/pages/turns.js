// The last turns: what was asked, what was answered, what followed, and how it was judged.

import { facts } from "./cards.js";
import { el, syncEmpty, syncShort } from "./dom.js";
import { ago, count, moment, sentence } from "./words.js";

const list = document.getElementById("turns");

const STATES = {
  open: "waits for what follows",
  linked: "waits for its judgement",
  judged: "judged",
  closed: "closed without a verdict",
  untrained: "not learned from",
};
const FOLLOWED = { reply: "Then", retry: "Asked again", branch: "Said instead" };
const SCORES = { "1": ["good", "+1"], "0": ["", "0"], "-1": ["bad", "−1"] };

/** Show turns, newest first. */
export function showTurns({ turns, judgedOnly, stored }) {
  const items = judgedOnly ? turns.filter(({ judgements }) => judgements.length) : turns;
  if (items.length) return syncShort(list, items, { first: 12, noun: "turns", key: ({ id }) => id, create: entry });
  syncEmpty(list, ...emptiness(stored, turns.length));
}

function emptiness(stored, others) {
  if (!stored) return ["Not known:", " the learner's store cannot be read."];
  if (others) return ["None of the last turns is judged yet.", " A turn is judged when the next message, or a thumb, says what it was worth."];
  return ["No turns yet.", " Chat with the agent; every reply appears here, and what you say next becomes its judgement."];
}

function entry(turn) {
  const hint = turn.judgements.findLast((one) => one.hint)?.hint;
  return el("details", { className: "turn" },
    el("summary", {},
      verdict(turn),
      el("span", { className: "prompt" }, turn.prompt.text || "(no text)"),
      el("span", { className: "muted when", title: moment(turn.created_ms), "data-ms": turn.created_ms }, ago(turn.created_ms)),
      el("span", { className: "reply" }, turn.reply.text || "(no text)"),
      hint && el("span", { className: "hint" }, el("b", {}, "Hint "), hint)),
    inside(turn));
}

function verdict({ judgements, state }) {
  const last = judgements.findLast(({ source }) => source === "explicit") ?? judgements.at(-1);
  if (!last) return el("span", { className: "score none", title: sentence(STATES[state] ?? state) }, "·");
  const [kind, text] = SCORES[last.score];
  return el("span", { className: `score ${kind}`, title: `Judged ${text}` }, text);
}

function inside(turn) {
  return el("div", { className: "inside" },
    said("Asked", turn.prompt),
    said("Replied", turn.reply),
    turn.next_kind && (turn.next.length
      ? turn.next.map((message) => said(`${FOLLOWED[turn.next_kind] ?? sentence(turn.next_kind)}${message.role === "user" ? "" : ` (${message.role})`}`, message))
      : el("p", { className: "muted" }, "The same request came again.")),
    turn.judgements.map(judgement),
    turn.lesson && lesson(turn.lesson),
    facts([
      ["State", `${STATES[turn.state] ?? turn.state}${turn.uses ? `, has scored ${count(turn.uses, "generation")}` : ""}`],
      ["Version", el("span", { className: "mono" }, turn.version)],
      ["Length", `${count(turn.num_tokens, "token")}${turn.finish_reason === "stop" ? "" : `, ended by ${turn.finish_reason}`}, after ${count(turn.num_messages, "message")}`],
      ["Principal", el("span", { className: "mono" }, turn.principal)],
      ["Turn", el("span", { className: "mono" }, turn.id)],
      turn.purpose !== "main" && ["Purpose", turn.purpose === "chore" ? "a client's own chore, never trained on" : turn.purpose],
      !turn.learn && ["Learning", "switched off by the client"],
    ]));
}

function judgement({ source, score, confidence, hint, votes, evidence }) {
  const [kind, text] = SCORES[score];
  return el("div", { className: "judgement" },
    el("p", {},
      el("span", { className: `chip ${kind}` }, `${text} ${source}`), " ",
      el("span", { className: "muted" }, `confidence ${confidence.toFixed(2)}${votes.length ? `, votes ${votes.join(" ")}` : ""}`)),
    evidence && el("p", {}, evidence),
    hint && el("p", { className: "hint" }, el("b", {}, "Hint "), hint));
}

function lesson({ text, made, reason, proof }) {
  if (reason) return el("p", { className: "muted" }, el("b", {}, "No lesson "), `${sentence(reason)}. It teaches by its reward only.`);
  if (!text) return null;
  const found = proof && Object.entries(proof).map(([name, nats]) => `${name.replaceAll("_", " ")} ${nats.toFixed(2)}`).join(", ");
  return el("div", { className: "said" },
    el("h3", {}, "Lesson"),
    el("p", { className: "text" }, text),
    el("p", { className: "muted" }, [made && `Made as: ${made}.`, found && `Nats a token: ${found}.`].filter(Boolean).join(" ")));
}

function said(who, { text, num_chars }) {
  return el("div", { className: "said" },
    el("h3", {}, who),
    el("p", { className: "text" }, text || "(no text)"),
    num_chars > text.length && el("p", { className: "muted" }, `${(num_chars - text.length).toLocaleString()} more characters are in the log.`));
}
