// The chat page: puts its parts together, and shows one conversation of those that the browser keeps.

import { models, standing } from "./api.js";
import { CompareDialog } from "./compare.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { byId, part } from "./dom.js";
import { newId } from "./ids.js";
import { listen } from "./keys.js";
import { Notes } from "./notes.js";
import { Options } from "./options.js";
import { Follow } from "./scroll.js";
import { remember, remembered } from "./session.js";
import { Shelf } from "./shelf.js";
import { Sidebar } from "./sidebar.js";
import { Speech } from "./speech.js";
import { Talk } from "./talk.js";
import { ALIVE_MS, Thread } from "./thread.js";
import { Versions } from "./versions.js";

const OPEN_PLACE = "quickset.open"; // the conversation that this tab shows
const LOOK_MS = 5000; // between two looks at the version that serves
const NEARLY_FULL = 0.7; // of the context; from there on the page says how much is used
const MAX_TAUGHT = 5; // corrections that the dialog of a version lists

/** The page as the verbs of talk.js see it. */
class Page {
  model = null; // what is asked for: {id, context_length}; null: not known yet
  #trouble = ""; // why nothing can be asked now, as the last look found it
  conversation = null;
  #gone = false; // whether another tab deleted what was open here, and nothing was said since
  #missed = false; // whether another tab said something while something was said or written here
  #opening = null; // id of the conversation that was chosen last, which may still be read
  #looking = false; // whether a look is on its way: of a server that hangs, each would hold a connection
  #later = 0; // the timer until what another tab writes is looked at again

  constructor(shelf) {
    this.shelf = shelf;
    this.options = new Options({
      learns: () => this.conversation?.record.learn ?? this.options.learn, // none is open yet
      learn: (whether) => this.conversation?.teach(whether),
      changed: () => this.#optionsChanged(),
    });
    this.talk = new Talk(this);
    this.thread = new Thread(this.#verbs());
    this.follow = new Follow(byId("scroller"), byId("to-end"));
    this.speech = new Speech(byId("speech"));
    this.composer = new Composer({
      send: (text) => this.#send(text),
      editLast: () => this.thread.last("user")?.edit(),
    });
    this.compare = new CompareDialog(() => models(this.options.key), () => this.#note());
    this.notes = new Notes(() => this.options.key);
    this.versions = new Versions(
      () => this.options.key,
      (before, after) => this.#taught(before, after),
      () => this.notes.texts,
    );
    this.sidebar = new Sidebar(shelf, { open: (id) => this.open(id), removed: (id) => this.#removed(id) });
    shelf.addEventListener("change", ({ detail }) => this.#changed(detail));
  }

  /** Show a conversation, by default a new one; learn: whether a new one is learned from. */
  async open(id = newId(), learn = this.options.learn) {
    this.#opening = id;
    if (id === this.conversation?.id) {
      this.sidebar.leave();
      this.composer.field.focus();
      return; // it is there, and may be replying
    }
    this.talk.stop();
    const conversation = this.shelf.get(id)
      ? await Conversation.open(this.shelf, id, learn)
      : Conversation.begin(this.shelf, id, learn);
    if (this.#opening !== id) return; // another one was chosen while this one was read
    this.talk.stop(); // what was said meanwhile
    this.conversation = conversation;
    this.#missed = false;
    this.#gone = false;
    remember(OPEN_PLACE, id);
    this.redraw();
    this.composer.turnTo(id);
    this.sidebar.shown(id);
    this.sidebar.leave();
    this.composer.field.focus();
  }

  /** Begin a new conversation with a text of this one in the composer; it teaches there if it does here. */
  async beginWith(text) {
    await this.open(newId(), this.conversation.record.learn);
    this.composer.write(text);
  }

  redraw({ remote = false } = {}) {
    this.thread.draw(this.conversation);
    this.versions.before = this.conversation.path().findLast((one) => one.version)?.version ?? null;
    if (remote) this.follow.grown(); // what another tab says moves no reader
    else this.follow.toEnd();
    clearTimeout(this.#later);
    if (this.thread.elsewhere || this.#missed) this.#lookLater();
    this.#note();
    this.#name();
  }

  /** Show the branch of a message. */
  show(message) {
    if (this.talk.running) return;
    this.conversation.show(message);
    this.redraw();
    part(this.thread.view(message).node, ".branches .earlier:enabled, .branches .later:enabled")?.focus();
  }

  /** Go on with the better one of two replies, also where another conversation is open by now. */
  async prefer(message, conversation) {
    const open = this.conversation;
    if (conversation.id !== open.id) return conversation.show(message);
    if (conversation !== open) await open.refresh(); // it was left and opened again meanwhile
    if (open === this.conversation) this.show(message);
  }

  began() {
    this.#gone = false;
    this.composer.busy(true);
    this.#name();
    this.follow.toEnd();
  }

  ended(conversation) {
    if (this.talk.running) return; // of another conversation, which has begun meanwhile
    if (this.#missed) this.#catchUp();
    this.composer.busy(false);
    if (conversation === this.conversation) this.follow.grown();
    this.#note();
    this.notes.expect();
  }

  /** A reply has said which version makes it. */
  answered(message) {
    if (message.conversation !== this.conversation.id) return;
    this.thread.mark(message);
    if (!message.pair) this.versions.show(message.version);
    this.follow.grown();
  }

  askForKey() {
    this.options.open("This server asks for an API key.");
  }

  /** Look whether another version serves by now, and whether anything does. */
  async look() {
    if (document.hidden || this.talk.running || this.#looking) return;
    this.#looking = true;
    await this.#look().finally(() => (this.#looking = false));
  }

  async #look() {
    const found = await standing();
    if (!found) this.model = null; // what comes back may be another one
    else await this.asked().catch(() => null); // says how much the context holds
    if (this.talk.running) return;
    const refused = found?.reasons.length ? `The server takes no messages now (${found.reasons.join("; ")}).` : "";
    this.#trouble = found ? refused : "The server cannot be reached: the page keeps looking for it.";
    this.#note();
    if (!found) return;
    this.versions.show(found.version);
    this.notes.glance();
  }

  /** What to ask for; throws ApiError. */
  async asked() {
    this.model ??= (await models(this.options.key))[0];
    return this.model;
  }

  /** What the shortcuts do. */
  acts() {
    const reply = () => this.thread.last("assistant");
    return {
      newChat: () => this.open(),
      list: () => this.sidebar.toggle(),
      again: () => reply() && this.talk.again(reply().message),
      copyLast: () => reply()?.copyText(),
      good: () => part(reply()?.node ?? document, ".good")?.click(),
      bad: () => part(reply()?.node ?? document, ".bad")?.click(),
      compare: () => this.compare.open(),
      options: () => this.options.open(),
      write: () => this.composer.field.focus(),
      help: () => byId("help").showModal(),
      stop: () => (this.talk.running ? this.talk.stop() : this.sidebar.leave()),
    };
  }

  #verbs() {
    const { talk } = this;
    return {
      edit: (message, text) => talk.edit(message, text),
      again: (message) => talk.again(message),
      goOn: (message) => talk.goOn(message),
      answer: (message, call, text) => talk.answer(message, call, text),
      rate: (message, said) => talk.rate(message, said),
      vote: (replies, scores) => talk.vote(replies, scores),
      remedies: (message) => talk.remedies(message),
      show: (message) => this.show(message),
      explain: (before, after) => this.versions.explain(before, after),
    };
  }

  /** Say a text; returns a promise of whether it is kept, or null when it cannot be said now. */
  #send(text) {
    if (this.talk.running) return null;
    const { conversation } = this;
    this.talk.say(text, this.compare.chosen);
    return conversation.saving.then(() => !this.shelf.unkept);
  }

  #optionsChanged() {
    this.#note();
    this.notes.look();
    this.composer.field.focus();
  }

  #removed(id) {
    if (id === this.conversation.id) this.open();
  }

  async #changed({ id, remote, removed }) {
    if (id !== this.conversation?.id) return;
    if (remote && removed) return this.#leaveDeleted();
    if (!this.shelf.get(id)) return;
    this.conversation.adopt();
    this.#note();
    this.#name();
    if (remote) await this.#catchUp();
  }

  /** Another tab deleted what is open: what is said here from now on would be kept nowhere. */
  async #leaveDeleted() {
    const text = this.composer.field.value;
    this.composer.write(""); // nor stays a draft of it
    await this.beginWith(text);
    this.#gone = true;
    this.#note();
  }

  /** Show what another tab said, unless something is being said or written here. */
  async #catchUp() {
    const { conversation } = this;
    this.#missed = this.#busy;
    if (!this.#missed) await conversation.refresh();
    if (conversation !== this.conversation) return;
    this.#missed = this.#busy; // begun meanwhile
    if (this.#missed) this.#lookLater();
    else this.redraw({ remote: true });
  }

  /** Whether to draw the conversation anew would cut or lose something. */
  get #busy() {
    return this.talk.running || document.querySelector("#messages form:not([hidden])") !== null;
  }

  /** Look again for what was missed, and whether a reply that another tab was writing was left. */
  #lookLater() {
    clearTimeout(this.#later);
    this.#later = setTimeout(() => this.#catchUp(), ALIVE_MS);
  }

  /** What the reader taught in this conversation until another version answered. */
  #taught(before, after) {
    const all = this.conversation.all();
    const end = all.find(({ version }) => version === after)?.at ?? Date.now();
    return all.filter(({ hint, rated, learn }) => hint && learn !== false && rated <= end).map(({ hint }) => hint).slice(-MAX_TAUGHT);
  }

  /** Name the tab by the conversation: of several, one finds it. */
  #name() {
    const { title } = this.conversation.record;
    document.title = title ? `${title} · Quickset` : "Quickset";
  }

  /** The line beneath the composer, and the bar above it while two versions are compared. */
  #note() {
    const tokens = this.conversation?.path().findLast((one) => one.tokens)?.tokens ?? 0;
    const limit = this.model?.context_length;
    const used = limit ? tokens / limit : 0;
    const told = [];
    if (this.#trouble) told.push(this.#trouble);
    if (this.#gone) told.push("Another tab deleted this chat: what you write now begins a new one.");
    if (this.conversation?.record.learn === false) told.push("Nothing of this chat is learned from: see the options.");
    if (used > NEARLY_FULL) told.push(`${Math.min(100, Math.round(used * 100))} % of what the model can keep in view is used.`);
    const text = told.join(" ") || "Enter sends, Shift+Enter starts a new line, ? lists the keys.";
    if (byId("note").textContent !== text) byId("note").textContent = text; // else it would be heard again
    byId("note").classList.toggle("hint", !told.length);
    const { chosen } = this.compare;
    byId("comparing").hidden = !chosen;
    byId("comparing-what").textContent = chosen ? `${chosen[0]} and ${chosen[1]} both answer` : "";
  }
}

const page = new Page(await Shelf.open());
byId("stop").addEventListener("click", () => page.talk.stop());
byId("new-chat").addEventListener("click", () => page.open());
byId("open-options").addEventListener("click", () => page.options.open());
byId("open-compare").addEventListener("click", () => page.compare.open());
byId("end-compare").addEventListener("click", () => {
  page.compare.end();
  page.composer.field.focus(); // the button is gone
});
byId("open-help").addEventListener("click", () => byId("help").showModal());
byId("starters").addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (!button) return;
  page.composer.write(button.textContent);
  page.composer.submit();
});
listen(page.acts());
byId("send").disabled = false;
await page.open(remembered(OPEN_PLACE) ?? undefined);
page.look();
page.notes.look();
setInterval(() => page.look(), LOOK_MS);
