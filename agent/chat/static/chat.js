// The chat page: one conversation with the agent, streamed, and what its reader thinks of it.

import { ApiError, feedback, model, reply } from "./api.js";
import { Conversation } from "./conversation.js";
import { ReplyView, userMessage, versionChange } from "./messages.js";
import { Follow } from "./scroll.js";

const KEY_PLACE = "quickset.key";
const LEARN_PLACE = "quickset.learn";
const LOOK_MS = 5000; // between two looks at the version that serves
const NOTICE_MS = 3000;

const part = (id) => document.getElementById(id);
const prompt = part("prompt");
const options = part("options");
const conversation = new Conversation();
const follow = new Follow(part("scroller"), part("to-end"));
let running = null; // the AbortController of the reply that streams now

function add(node) {
  part("messages").append(node);
  return node;
}

function viewOf(entry, retry) {
  return new ReplyView(entry, { rate, retry });
}

async function rate(entry, score, hint) {
  await feedback(entry.id, { score, hint, key: stored(KEY_PLACE) });
  entry.score = score;
  conversation.save();
}

/** Send what stands in the composer. */
function send() {
  const text = prompt.value.trim();
  if (!text || running) return;
  prompt.value = "";
  fit();
  ask(text);
}

/** Put a question to the agent and stream its reply; a question without a reply is forgotten. */
async function ask(text) {
  const question = conversation.add({ role: "user", content: text });
  const questionNode = add(userMessage(text));
  const entry = { role: "assistant", content: "" };
  const view = viewOf(entry, () => {
    if (running) return;
    questionNode.remove();
    view.node.remove();
    ask(text);
  });
  const abort = begin(view);
  try {
    for await (const event of arriving(abort.signal)) take(event, entry, view);
  } catch (error) {
    if (error.name === "AbortError") entry.finish = "cancelled";
    else explain(error, entry, view);
  }
  end(abort);
  if (!view.node.isConnected) return; // a new chat was begun
  view.finish();
  if (entry.content || entry.finish === "stop") conversation.add(entry);
  else conversation.drop(question);
  if (!entry.content && entry.finish === "cancelled") view.fail("Stopped before the first word.", { retry: true });
  follow.grown();
}

async function* arriving(signal) {
  const key = stored(KEY_PLACE);
  const messages = conversation.messages();
  const { id } = await model(key);
  signal.throwIfAborted();
  yield* reply(id, messages, { key, learn: stored(LEARN_PLACE) !== "off", signal });
}

function take(event, entry, view) {
  if (event.id) {
    entry.id = event.id;
    entry.version = event.version;
    announce(entry, view);
  }
  if (event.text) {
    entry.content += event.text;
    view.grow(() => follow.grown());
  }
  if (event.finish) entry.finish = event.finish;
}

/** Mark the place where a new version begins to answer. */
function announce(entry, view) {
  const before = conversation.versionBefore(entry);
  if (before && entry.version && before !== entry.version) view.node.before(versionChange(entry.version));
  showServing(entry.version);
  follow.grown();
}

/** Show the version that answers now; a new one makes itself noticed. */
function showServing(version) {
  const chip = part("serving");
  const changed = !chip.hidden && version && chip.textContent !== version;
  chip.textContent = version ?? "";
  chip.hidden = !version;
  if (changed) chip.animate({ boxShadow: ["0 0 0 3px var(--accent)", "0 0 0 3px transparent"] }, NOTICE_MS);
}

/** Look whether another version serves by now; the chip is only an aside, so a failure is silent. */
async function lookAgain() {
  if (document.hidden || running) return;
  const serving = await model(stored(KEY_PLACE)).catch(() => null);
  if (serving && !running) showServing(serving.version);
}

function explain(error, entry, view) {
  if (!(error instanceof ApiError)) console.error(error);
  view.fail(error.message, { retry: !entry.content });
  if (error.status === 401) openOptions();
}

function begin(view) {
  const abort = (running = new AbortController());
  part("welcome").hidden = true;
  part("send").hidden = true;
  part("stop").hidden = false;
  add(view.node);
  view.stream();
  follow.toEnd();
  return abort;
}

function end(abort) {
  if (running !== abort) return;
  running = null;
  part("stop").hidden = true;
  part("send").hidden = false;
}

function newChat() {
  running?.abort();
  if (running) end(running);
  conversation.clear();
  part("messages").replaceChildren();
  part("welcome").hidden = false;
  prompt.focus();
}

/** Show the conversation that a reload brought back. */
function restore() {
  for (const entry of conversation.entries) {
    if (entry.role === "user") {
      add(userMessage(entry.content));
      continue;
    }
    const view = viewOf(entry, () => {});
    add(view.node);
    announce(entry, view);
    view.finish();
  }
  part("welcome").hidden = conversation.entries.length > 0;
  follow.toEnd();
}

/** Give the composer the height of its text. */
function fit() {
  prompt.style.height = "auto";
  prompt.style.height = `${prompt.scrollHeight}px`;
  prompt.style.overflowY = prompt.scrollHeight > prompt.clientHeight + 1 ? "auto" : "hidden";
}

function openOptions() {
  part("api-key").value = stored(KEY_PLACE) ?? "";
  part("learn").checked = stored(LEARN_PLACE) !== "off";
  options.showModal();
}

function keepOptions() {
  keep(KEY_PLACE, part("api-key").value.trim());
  keep(LEARN_PLACE, part("learn").checked ? "" : "off");
  showNote();
  prompt.focus();
}

function showNote() {
  const off = stored(LEARN_PLACE) === "off";
  part("note").textContent = off
    ? "Nothing of this chat is learned from. Change it in the options."
    : "Enter sends, Shift+Enter starts a new line.";
}

function stored(place) {
  return sessionStorage.getItem(place);
}

function keep(place, value) {
  if (value) sessionStorage.setItem(place, value);
  else sessionStorage.removeItem(place);
}

part("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
prompt.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
prompt.addEventListener("input", fit);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !options.open) running?.abort();
  if (event.altKey && event.code === "KeyN") newChat();
});
part("stop").addEventListener("click", () => running?.abort());
part("new-chat").addEventListener("click", newChat);
part("open-options").addEventListener("click", openOptions);
options.addEventListener("close", keepOptions);
part("starters").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  prompt.value = button.textContent;
  send();
});

restore();
showNote();
lookAgain();
setInterval(lookAgain, LOOK_MS);
