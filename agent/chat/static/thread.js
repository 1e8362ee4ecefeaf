// The shown path of a conversation on the page: a view for each message, and the places where another
// version began to answer.

import { CompareView } from "./compare.js";
import { byId } from "./dom.js";
import { ReplyView, UserView, versionChange } from "./messages.js";
import { TAB } from "./session.js";

const LEFT = "The page was left before the reply was finished.";
export const ALIVE_MS = 10_000; // a reply of which another tab has kept nothing for so long was left

/** Draws a conversation; `on` is what its parts may ask for (the verbs of talk.js, and show, explain). */
export class Thread {
  #views = new Map();
  elsewhere = false; // whether another tab is writing a reply that is shown

  constructor(on) {
    this.on = on;
    this.node = byId("messages");
  }

  /** Show another conversation, or the same one on another branch. */
  draw(conversation) {
    this.conversation = conversation;
    this.#views.clear();
    this.elsewhere = false;
    this.node.replaceChildren();
    const path = conversation.path();
    const pair = pairOf(conversation, path.at(-1));
    for (const message of pair ? path.slice(0, -1) : path) this.append(message);
    if (pair) this.appendPair(...pair);
    byId("welcome").hidden = !conversation.empty;
  }

  /** The view of a message that is shown; undefined when it is not. */
  view(message) {
    return this.#views.get(message.id);
  }

  /** The view of the last message of a role. */
  last(role) {
    return [...this.#views.values()].findLast((view) => view.message?.role === role);
  }

  /** Show a message behind the last one; returns its view. */
  append(message, { streaming = false } = {}) {
    byId("welcome").hidden = true;
    if (message.role === "tool") return this.#redrawCalls(message);
    const view = message.role === "user" ? this.#question(message) : this.#reply(message, streaming);
    this.#views.set(message.id, view);
    this.node.append(view.node);
    if (message.role === "assistant") this.mark(message);
    return view;
  }

  /** Show two replies to one question side by side. */
  appendPair(left, right, { streaming = false } = {}) {
    const views = [left, right].map((message) => this.#reply(message, streaming));
    const pair = new CompareView(views, (scores) => this.on.vote([left, right], scores));
    [left, right].forEach((message, at) => this.#views.set(message.id, views[at]));
    this.node.append(pair.node);
    return { pair, views };
  }

  /** Mark the place where another version begins to answer. */
  mark(message) {
    const view = this.view(message);
    const before = this.conversation.replyBefore(message)?.version;
    if (message.pair && !message.voted) return; // nobody should vote for a name
    if (!view || !message.version || !before || before === message.version) return;
    if (view.node.previousElementSibling?.classList.contains("change")) return;
    const path = this.conversation.path(message.parent);
    const known = message.pair || path.some(({ version }) => version === message.version);
    view.node.before(versionChange(message.version, known, () => this.on.explain(before, message.version)));
  }

  #question(message) {
    const view = new UserView(message, {
      edit: (text) => this.on.edit(message, text),
      move: (by) => this.#move(message, by),
    });
    view.branches(this.places(message));
    return view;
  }

  #reply(message, streaming) {
    const view = new ReplyView(message, {
      rate: this.on.rate,
      again: () => this.on.again(message),
      goOn: () => this.on.goOn(message),
      answer: (call, text) => this.on.answer(message, call, text),
      move: (by) => this.#move(message, by),
    });
    if (streaming) return view;
    view.finish(this.conversation.resultsOf(message));
    const open = !message.finish && !message.failed;
    const { tab = TAB, at = 0 } = message.writer ?? {};
    const elsewhere = open && tab !== TAB && Date.now() - at < ALIVE_MS;
    this.elsewhere ||= elsewhere;
    view.elsewhere(elsewhere);
    const failed = message.failed ?? (open && !elsewhere ? LEFT : null);
    if (failed) view.fail(failed, this.on.remedies(message));
    view.branches(this.places(message));
    return view;
  }

  #redrawCalls({ parent }) {
    for (const one of this.conversation.path(parent)) {
      if (one.calls?.length) this.view(one)?.finish(this.conversation.resultsOf(one));
    }
    return undefined;
  }

  /** Where a message stands among the branches at its place. */
  places(message) {
    const siblings = this.conversation.siblings(message);
    return { at: siblings.indexOf(message), of: siblings.length };
  }

  #move(message, by) {
    const siblings = this.conversation.siblings(message);
    const next = siblings[siblings.indexOf(message) + by];
    if (next) this.on.show(next);
  }
}

/** A reply and the one that it is compared with, as long as nobody has voted; else null. */
function pairOf(conversation, message) {
  const partner = message?.pair && !message.voted && conversation.partnerOf(message);
  if (!partner) return null;
  return [message, partner].sort((one, other) => one.at - other.at);
}
