// A conversation as a tree of messages, one path of which is shown: an edited question or a second
// reply is a branch beside the first, and nothing that was said is lost.
//
// A message is {id, conversation, parent, at, role, content}; of a reply also {response, earlier (the
// responses that it went on from), version, finish, failed, score, hint, comment, dropped, calls,
// served, pair, voted, learn (false: nothing is learned from it), writer: {tab, at}}; of a tool's result
// also {call}.
// Knows nothing of the page or of the network.

import { newId } from "./ids.js";

const TITLE_LENGTH = 60;

/** Messages of one conversation, and which of them are shown. */
export class Conversation {
  #messages = new Map();
  saving = Promise.resolve(); // done when the last message that was added is kept, or cannot be

  /** record: {id, title, named, created, changed, head, dropping, learn}; messages: all of it */
  constructor(record, messages, shelf) {
    this.record = record;
    this.shelf = shelf;
    for (const message of messages) this.#messages.set(message.id, message);
    if (!this.#messages.has(record.head)) this.record.head = messages.at(-1)?.id ?? null;
    if (this.record.head) this.record.head = this.#endOf(this.record.head); // another tab went on
  }

  /** A conversation in which nothing has been said; it is kept from its first message on. */
  static begin(shelf, id = newId(), learn = true) {
    const now = Date.now();
    const record = { id, title: "", named: false, created: now, changed: now, head: null, dropping: false, learn };
    return new Conversation(record, [], shelf);
  }

  /** learn: whether one of an older build, which did not say so, is learned from */
  static async open(shelf, id, learn = true) {
    const messages = await shelf.messages(id);
    return new Conversation({ learn, ...shelf.get(id) }, messages, shelf);
  }

  get id() {
    return this.record.id;
  }

  get empty() {
    return this.#messages.size === 0;
  }

  /** Every message, in the order in which they were made. */
  all() {
    return [...this.#messages.values()];
  }

  /** What is shown, from the first message to the last. */
  path(end = this.record.head) {
    const path = [];
    for (let one = this.#messages.get(end); one; one = this.#messages.get(one.parent)) path.unshift(one);
    return path;
  }

  /** Put a message behind another one, by default behind the last, and show it. */
  add(message, parent = this.record.head) {
    const last = this.all().at(-1)?.at ?? 0;
    const at = Math.max(Date.now(), last + 1);
    const whole = { id: newId(), conversation: this.id, parent, at, ...message };
    this.#messages.set(whole.id, whole);
    this.record.head = whole.id;
    this.record.changed = at;
    if (!this.record.title && whole.role === "user") this.record.title = titleOf(whole.content);
    this.saving = this.keep(whole);
    return whole;
  }

  /** Keep what changed of a message, and where the conversation stands. */
  async keep(message) {
    if (message) await this.shelf.saveMessage({ ...message });
    await this.shelf.save({ ...this.record });
  }

  /** Keep what was said of a message; its text may have grown in another tab, and is left alone. */
  async judge(message, said) {
    for (const one of [message, this.#messages.get(message.id)]) Object.assign(one ?? {}, said);
    await this.shelf.amend(message, said);
  }

  /** Choose whether this conversation is learned from, in every tab and for good. */
  async teach(learn) {
    this.record.learn = learn;
    if (!this.empty) await this.keep();
  }

  /** The messages that stand at a message's place, itself included. */
  siblings({ parent, role }) {
    return this.all().filter((one) => one.parent === parent && one.role === role);
  }

  /** Show the branch of a message, as far as it goes. */
  show(message) {
    this.record.head = this.#endOf(message.id);
    this.adopt(); // it may have been renamed since it was left
    this.keep();
  }

  /** Take in what another tab made or changed; the branch that is shown here is gone on with. */
  async refresh() {
    for (const one of await this.shelf.messages(this.id)) this.#messages.set(one.id, one);
    if (this.record.head) this.record.head = this.#endOf(this.record.head);
    this.adopt();
  }

  /** Take in what the list or another tab chose: the title, what becomes of a full context, learning. */
  adopt() {
    const { title, named, dropping, learn } = { ...this.record, ...this.shelf.get(this.id) };
    Object.assign(this.record, { title, named, dropping, learn });
  }

  /** The messages of a request that ends with a message; a question that failed is left out. */
  messages(end = this.record.head) {
    const sent = [];
    for (const one of this.path(end)) {
      const nothing = one.role === "assistant" && !one.content && !one.calls?.length;
      if (!nothing || (one.finish && !one.failed)) sent.push(asSent(one));
      else if (sent.at(-1)?.role === "user") sent.pop();
    }
    return sent;
  }

  /** The results of a reply's tool calls: call id → text. */
  resultsOf(message) {
    const results = new Map();
    for (const one of this.all()) {
      if (one.role === "tool" && message.calls?.some(({ id }) => id === one.call)) results.set(one.call, one.content);
    }
    return results;
  }

  /** The other one of two replies that are compared; undefined when there is none. */
  partnerOf(message) {
    return this.siblings(message).find((one) => one.pair === message.pair && one !== message);
  }

  /** The last reply before a message that says which version made it. */
  replyBefore(message) {
    return this.path(message.parent).findLast((one) => one.version);
  }

  /** The end of a message's branch; of several, the newest. */
  #endOf(id) {
    const next = this.all().findLast(({ parent }) => parent === id);
    return next ? this.#endOf(next.id) : id;
  }
}

function asSent({ role, content, calls, call }) {
  if (role === "tool") return { role, tool_call_id: call, content };
  if (!calls?.length) return { role, content };
  const tool_calls = calls.map(({ id, name, arguments: given }) => ({
    id,
    type: "function",
    function: { name, arguments: given },
  }));
  return { role, content: content || null, tool_calls };
}

function titleOf(text) {
  const line = text.trim().split("\n", 1)[0];
  return line.length > TITLE_LENGTH ? `${line.slice(0, TITLE_LENGTH - 1)}…` : line;
}
