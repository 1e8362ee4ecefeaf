// Messages as they stand on the page. Text of people and models enters as text nodes only.

import { callView, servedView } from "./calls.js";
import { composing, copy, element, part, toClipboard } from "./dom.js";
import { render } from "./markdown.js";
import { Rating } from "./rating.js";

const STATES = {
  length: "cut at the length limit",
  cancelled: "stopped",
  tool_calls: "asked for a tool",
};
const COPIED_MS = 2000; // as long as a button says that it has copied
const SLOW_MS = 4000; // without a word; from then on the page says why that may be
const ELSEWHERE = "Being written in another tab.";
const SLOW = "No word yet: others are answered first, or a long conversation is being read.";

/** Show that another version answers from here on; known: it is no new one; tell() opens what has changed. */
export function versionChange(version, known, tell) {
  const node = copy("change-template");
  part(node, ".word").textContent = known ? "Another version" : "A new version";
  part(node, "b").textContent = version;
  part(node, "button").addEventListener("click", () => tell());
  return node;
}

/** The arrows between branches of the conversation; places: {at, of}, move(by). */
function showBranches(node, { at, of }, move) {
  const arrows = part(node, ".branches");
  arrows.hidden = of < 2;
  part(arrows, "span").textContent = `${at + 1} / ${of}`;
  part(arrows, ".earlier").disabled = at === 0;
  part(arrows, ".later").disabled = at === of - 1;
  part(arrows, ".earlier").onclick = () => move(-1);
  part(arrows, ".later").onclick = () => move(1);
}

/** What the user wrote, which may be edited; on: {edit(text), move(by)}. */
export class UserView {
  constructor(message, on) {
    this.message = message;
    this.on = on;
    this.node = copy("user-template");
    this.form = part(this.node, "form");
    part(this.node, ".text").textContent = message.content;
    part(this.node, ".edit").addEventListener("click", () => this.edit());
    part(this.form, ".skip").addEventListener("click", () => this.#close());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.form.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Open the field in which the message is changed. */
  edit() {
    const field = part(this.form, "textarea");
    field.value = this.message.content;
    this.form.hidden = false;
    part(this.node, ".said").hidden = true;
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }

  branches(places) {
    showBranches(this.node, places, this.on.move);
  }

  #send() {
    const text = part(this.form, "textarea").value.trim();
    if (text) this.on.edit(text);
  }

  #key(event) {
    if (composing(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.form.requestSubmit();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      this.#close();
    }
  }

  #close() {
    this.form.hidden = true;
    part(this.node, ".said").hidden = false;
    part(this.node, ".edit").focus();
  }
}

/** A reply on the page: grows while it streams, then takes its judgement. */
export class ReplyView {
  #pending = 0;
  #slow = 0; // the timer until the page says that it waits

  /** on: {rate(message, said), again(), goOn(), answer(call, text), move(by)} */
  constructor(message, on) {
    this.message = message;
    this.on = on;
    this.node = copy("assistant-template");
    this.rating = new Rating(this.node, message, on.rate);
    part(this.node, ".copy").addEventListener("click", () => this.copyText());
    part(this.node, ".again").addEventListener("click", () => on.again());
    part(this.node, ".go-on").addEventListener("click", () => on.goOn());
  }

  /** Show that tokens are on their way. */
  stream() {
    this.node.classList.add("streaming");
    this.node.setAttribute("aria-busy", "true");
    part(this.node, ".problem").hidden = true;
    part(this.node, ".meta").hidden = true;
    const { length } = this.message.content;
    this.#slow = setTimeout(() => {
      if (this.message.content.length === length) part(this.node, ".waiting").textContent = SLOW;
    }, SLOW_MS);
  }

  /** Show the text so far, at most once a frame. */
  grow(after) {
    if (this.#pending) return;
    this.#pending = requestAnimationFrame(() => {
      this.#pending = 0;
      this.#draw();
      after();
    });
  }

  /** Show the whole reply, who wrote it, and the thumbs. results: call id → text. */
  finish(results = new Map()) {
    cancelAnimationFrame(this.#pending);
    this.#pending = 0;
    this.#waited();
    this.node.classList.remove("streaming");
    this.node.removeAttribute("aria-busy");
    this.#draw();
    this.#drawCalls(results);
    const { response, version, finish, failed, content, dropped } = this.message;
    if (!response) return;
    part(this.node, ".version").textContent = version ?? "unknown";
    part(this.node, ".state").textContent = failed ? "broken off" : STATES[finish] ?? "";
    part(this.node, ".dropped").hidden = !dropped;
    part(this.node, ".dropped").textContent = dropped === 1 ? "1 old message left out" : `${dropped} old messages left out`;
    part(this.node, ".go-on").hidden = !content || !(failed || ["length", "cancelled"].includes(finish));
    part(this.node, ".meta").hidden = false;
    this.rating.mark();
  }

  branches(places) {
    showBranches(this.node, places, this.on.move);
    if (places.of > 1) part(this.node, ".meta").hidden = false;
  }

  /** Show why there is no reply, or no more of it. remedies: [label, what it does]. */
  fail(message, remedies) {
    const node = part(this.node, ".problem");
    part(node, "span").textContent = message;
    const buttons = remedies.map(([label, act]) => {
      const button = element("button", { type: "button", className: "link" }, label);
      button.addEventListener("click", act);
      return button;
    });
    part(node, ".remedies").replaceChildren(...buttons);
    node.hidden = false;
  }

  async copyText() {
    if (await toClipboard(this.message.content)) this.rating.say("Copied.");
    else this.rating.say("This browser does not let the page copy.", true);
  }

  /** Show the text; what has not changed stays, and with it what the reader has selected there. */
  #draw() {
    if (this.message.content) this.#waited();
    const shown = part(this.node, ".text");
    const whole = render(this.message.content);
    for (const pre of whole.querySelectorAll("pre")) pre.replaceWith(withCopy(pre));
    const fresh = [...whole.childNodes];
    let same = 0;
    while (same < fresh.length && shown.childNodes[same]?.isEqualNode(fresh[same])) same += 1;
    while (shown.childNodes.length > same) shown.lastChild.remove();
    shown.append(...fresh.slice(same));
  }

  /** Say that another tab is writing this reply, or no more. */
  elsewhere(writing) {
    if (writing) part(this.node, ".waiting").textContent = ELSEWHERE;
    for (const thumb of [".good", ".bad"]) {
      part(this.node, thumb).hidden = writing;
      part(this.node, thumb).disabled = writing; // for its key, too
    }
  }

  #waited() {
    clearTimeout(this.#slow);
    part(this.node, ".waiting").textContent = "";
  }

  #drawCalls(results) {
    const calls = this.message.calls ?? [];
    const nodes = calls.map((call) => {
      const result = results.get(call.id) ?? null;
      return callView(call, result, this.on.answer && ((text) => this.on.answer(call, text)));
    });
    const written = new Map([...this.node.querySelectorAll(".call textarea")].map(({ id, value }) => [id, value]));
    for (const node of nodes) {
      const field = part(node, "textarea");
      field.value = written.get(field.id) ?? "";
    }
    part(this.node, ".calls").replaceChildren(...(this.message.served ?? []).map(servedView), ...nodes);
  }
}

/** A block of code beneath a bar with its language and a button that copies it. */
function withCopy(pre) {
  const button = element("button", { type: "button", className: "button copy-code" }, "Copy");
  button.setAttribute("aria-label", "Copy the code");
  const text = pre.textContent;
  button.addEventListener("click", async () => {
    button.textContent = (await toClipboard(text)) ? "Copied" : "Not allowed";
    setTimeout(() => (button.textContent = "Copy"), COPIED_MS);
  });
  const bar = element("div", { className: "code-bar" }, element("span", {}, pre.dataset.language ?? ""), button);
  return element("div", { className: "code" }, bar, pre.cloneNode(true));
}
