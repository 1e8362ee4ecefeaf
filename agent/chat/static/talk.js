// What somebody does with the agent: ask, edit, ask again, go on, compare, answer a tool, stop. Each
// is a message in the conversation, a request, and what streams back.
//
// Nothing typed is lost: a question is kept before it is sent, and what came of a reply is kept
// while it comes, so that a reload or a broken line costs only what had not arrived.

import { ApiError, feedback, reply } from "./api.js";
import { growCalls } from "./calls.js";
import { newId } from "./ids.js";
import { TAB } from "./session.js";
import { ALIVE_MS } from "./thread.js";

const KEEP_MS = 700; // between two savings of a reply that streams
const DISK_MS = 1000; // a disk that takes longer holds up no question; its text is in the composer until then
const TOO_LONG = "context_length_exceeded";
const NO_WORD = "Stopped before the first word.";

/** Which tab writes a reply, and when it last said so: others tell by it that nobody has left. */
function writer() {
  return { tab: TAB, at: Date.now() };
}

/** Pass over a part of a reply that is deleted, or was another key's: the rest of it may be rated. */
function unlessGone(cause) {
  if (!(cause instanceof ApiError) || cause.status !== 404) throw cause;
}

/** The verbs of one page; `page` is what they show themselves on (chat.js). */
export class Talk {
  #running = null; // the AbortController of what streams now

  constructor(page) {
    this.page = page;
  }

  get running() {
    return this.#running !== null;
  }

  stop() {
    this.#running?.abort();
  }

  /** Ask a new question, of one model or of two that are compared. */
  async say(text, compared) {
    const question = this.page.conversation.add({ role: "user", content: text });
    this.page.thread.append(question);
    await (compared ? this.#compare(question, compared) : this.#ask(question.id));
  }

  /** Ask a question in other words, as a branch beside the first. */
  async edit(question, text) {
    if (this.running) return;
    const edited = this.page.conversation.add({ role: "user", content: text }, question.parent);
    this.page.redraw();
    await this.#ask(edited.id);
  }

  /** Ask for another reply to the same question. */
  async again(message) {
    if (this.running) return;
    this.page.conversation.record.head = message.parent;
    this.page.redraw();
    await this.#ask(message.parent);
  }

  /** Let a reply that was cut go on where it ended. */
  async goOn(message) {
    if (this.running) return;
    const view = this.page.thread.view(message);
    const { conversation } = this.page;
    const messages = conversation.messages(message.id);
    Object.assign(message, { failed: null, finish: null, writer: writer() });
    await this.#run([[message, view, { messages, continue_final_message: true }]]);
  }

  /** Give the result of a tool that a reply has called; with the last one, the agent goes on. */
  async answer(message, call, text) {
    const { conversation, thread } = this.page;
    if (this.running) return;
    thread.append(conversation.add({ role: "tool", call: call.id, content: text }));
    const next = thread.view(message).node.querySelector(".call form:not([hidden]) textarea");
    (next ?? this.page.composer.field).focus();
    const results = conversation.resultsOf(message);
    if (message.calls.every(({ id }) => results.has(id))) await this.#ask(conversation.record.head);
  }

  /** Say which of two replies is better: both get their verdict, and the better one goes on. */
  async vote(replies, scores) {
    const { conversation } = this.page; // another one may be open when the server has answered
    for (const [at, message] of replies.entries()) await this.#judge(conversation, message, { score: scores[at] });
    for (const message of replies) await conversation.judge(message, { voted: true });
    await this.page.prefer(scores[1] > scores[0] ? replies[1] : replies[0], conversation);
  }

  async rate(message, said) {
    await this.#judge(this.page.conversation, message, said);
  }

  async #judge(conversation, message, said) {
    const { key } = this.page.options;
    await feedback(message.response, said, key);
    // what is said of a reply holds for all of it; a wish is taught once
    for (const part of message.earlier ?? []) await feedback(part, { score: said.score }, key).catch(unlessGone);
    await conversation.judge(message, { hint: undefined, comment: undefined, ...said, rated: Date.now() });
    this.page.notes.expect();
  }

  /** What may be done about a reply that failed: [label, what it does]. */
  remedies(message) {
    const again = ["Try again", () => this.again(message)];
    if (message.code !== TOO_LONG) return [again];
    const { conversation } = this.page;
    const question = conversation.path(message.parent).findLast(({ role }) => role === "user");
    const anew = ["Begin a new chat with this message", () => this.page.beginWith(question.content)];
    const shorten = ["Shorten the message", () => this.page.thread.view(question).edit()];
    if (this.#alone(message, conversation)) return [shorten];
    const drop = ["Leave out the oldest messages", () => this.#dropping(message)];
    return this.#drops(conversation) ? [shorten, anew] : [drop, anew, shorten];
  }

  /** Whether a question was read by itself: nothing older that could be left out was there, or all of it was. */
  #alone(reply, conversation) {
    const sent = conversation.messages(reply.parent);
    return sent.length === 1 || (this.#drops(conversation) && sent.at(-1).role === "user");
  }

  /** Whether the oldest messages are left out where a conversation does not fit. */
  #drops(conversation) {
    return conversation.record.dropping || this.page.options.dropping;
  }

  async #dropping(message) {
    const { conversation } = this.page;
    conversation.record.dropping = true;
    const kept = conversation.keep(); // not waited for: what is said meanwhile would hang on the reply that failed
    await this.again(message);
    await kept;
  }

  async #ask(parent) {
    const { conversation, thread } = this.page;
    const messages = conversation.messages(parent);
    const message = conversation.add({ role: "assistant", content: "", finish: null, writer: writer() }, parent);
    const view = thread.append(message, { streaming: true });
    await this.#run([[message, view, { messages }]]);
  }

  async #compare(question, names) {
    const { conversation, thread } = this.page;
    const messages = conversation.messages(question.id);
    const pair = newId();
    const seed = crypto.getRandomValues(new Uint32Array(1))[0]; // one: versions differ, chance does not
    const chosen = Math.random() < 0.5 ? names : names.toReversed(); // nobody votes for a side
    const replies = chosen.map(() =>
      conversation.add({ role: "assistant", content: "", finish: null, pair, writer: writer() }, question.id),
    );
    const shown = thread.appendPair(...replies, { streaming: true });
    const runs = replies.map((message, at) => [
      message,
      shown.views[at],
      { messages, model: chosen[at], seed },
    ]);
    await this.#run(runs);
    shown.pair.ready();
    this.page.follow.grown();
  }

  /** Stream replies at once. runs: [message, view, the request's body]. */
  async #run(runs) {
    const { conversation } = this.page;
    const abort = (this.#running = new AbortController());
    this.page.began();
    try {
      await Promise.all(runs.map((run) => this.#stream(conversation, abort.signal, ...run)));
    } finally {
      if (this.#running === abort) this.#running = null;
      this.page.ended(conversation);
    }
  }

  async #stream(conversation, signal, message, view, body) {
    view.stream();
    const aloud = conversation === this.page.conversation && !message.pair;
    const speech = aloud ? this.page.speech : null;
    const offset = message.content.length;
    speech?.begin();
    let kept = performance.now();
    const alive = setInterval(() => {
      message.writer = writer();
      conversation.keep(message);
    }, ALIVE_MS / 3); // without a word, too
    try {
      for await (const event of this.#arriving(conversation, signal, message, body)) {
        this.#take(event, message, view);
        speech?.grown(message.content.slice(offset));
        if (performance.now() - kept > KEEP_MS) {
          kept = performance.now();
          conversation.keep(message);
        }
      }
    } catch (error) {
      this.#failed(error, message, conversation);
    }
    clearInterval(alive);
    speech?.end(message.content.slice(offset), message.failed ?? "");
    conversation.keep(message); // the page does not wait for a slow disk
    view.finish(conversation.resultsOf(message));
    if (message.failed) view.fail(message.failed, this.remedies(message));
    view.branches(this.page.thread.places(message));
    if (message.status === 401) this.page.askForKey();
  }

  async *#arriving(conversation, signal, message, body) {
    const { options } = this.page;
    const slow = new Promise((resolve) => setTimeout(resolve, DISK_MS));
    const [model] = await Promise.all([this.page.asked(), Promise.race([conversation.saving, slow])]);
    signal.throwIfAborted();
    const whole = {
      model: model.id,
      ...body,
      truncation: this.#drops(conversation) ? "auto" : "disabled",
      ...(options.tools.length ? { tools: options.tools } : {}),
      ...(options.notes ? {} : { notes: false }),
    };
    const { learn } = conversation.record;
    message.learn = learn;
    yield* reply(whole, { key: options.key, learn, session: conversation.id, signal });
  }

  #take(event, message, view) {
    if (event.id) {
      if (message.response) (message.earlier ??= []).push(message.response); // it goes on
      Object.assign(message, { response: event.id, version: event.version, dropped: event.dropped });
      this.page.answered(message);
    }
    if (event.text) message.content += event.text;
    if (event.call) growCalls((message.calls ??= []), event.call);
    if (event.served) (message.served ??= []).push(event.served);
    if (event.usage) message.tokens = event.usage.total_tokens;
    if (event.finish) message.finish = event.finish;
    view.grow(() => this.page.follow.grown());
  }

  #failed(error, message, conversation) {
    if (error.name === "AbortError") {
      message.finish = "cancelled";
      if (!message.content) message.failed = NO_WORD;
      return;
    }
    if (!(error instanceof ApiError)) console.error(error);
    const failed = error.code === TOO_LONG ? this.#tooLong(message, conversation) : error.message;
    Object.assign(message, { failed, code: error.code, status: error.status });
  }

  /** The server's own sentence is for programs. */
  #tooLong(message, conversation) {
    const alone = !message.content && this.#alone(message, conversation);
    const what = alone ? "This message alone" : "This chat, with the reply,";
    const tokens = this.page.model?.context_length?.toLocaleString("en");
    return `${what} is longer than what the model can keep in view${tokens ? ` (${tokens} tokens)` : ""}.`;
  }
}
