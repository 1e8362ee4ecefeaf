// Messages as they stand on the page. Text of people and models enters as text nodes only.

import { render } from "./markdown.js";

const STATES = {
  length: "cut at the length limit",
  cancelled: "stopped",
  tool_calls: "asked for a tool",
};

/** Show what the user wrote. */
export function userMessage(text) {
  const node = copy("user-template");
  node.querySelector(".text").textContent = text;
  return node;
}

/** Show that another version answers from here on. */
export function versionChange(version) {
  const node = copy("change-template");
  node.querySelector("b").textContent = version;
  return node;
}

/** A reply on the page: grows while it streams, then takes its judgement. */
export class ReplyView {
  #entry;
  #pending = 0;

  /** on: {rate(entry, score, hint) → promise, retry()} */
  constructor(entry, on) {
    this.#entry = entry;
    this.on = on;
    this.node = copy("assistant-template");
    this.#part(".copy").addEventListener("click", () => this.#copy());
    this.#part(".good").addEventListener("click", () => this.#rate(1));
    this.#part(".bad").addEventListener("click", () => this.#rate(-1));
    this.#part(".retry").addEventListener("click", () => on.retry());
    this.#part(".correction").addEventListener("submit", (event) => this.#correct(event));
    this.#part(".skip").addEventListener("click", () => this.#closeCorrection());
  }

  /** Show that tokens are on their way; a screen reader waits until they have come. */
  stream() {
    this.node.classList.add("streaming");
    this.node.setAttribute("aria-busy", "true");
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

  /** Show the whole reply, who wrote it, and the thumbs. */
  finish() {
    cancelAnimationFrame(this.#pending);
    this.#pending = 0;
    this.node.classList.remove("streaming");
    this.node.removeAttribute("aria-busy");
    this.#draw();
    if (!this.#entry.id) return;
    this.#part(".version").textContent = this.#entry.version ?? "unknown";
    this.#part(".state").textContent = STATES[this.#entry.finish] ?? "";
    this.#part(".meta").hidden = false;
    this.#mark();
  }

  /** Show why there is no reply, or no more of it. */
  fail(message, { retry }) {
    this.#part(".problem span").textContent = message;
    this.#part(".retry").hidden = !retry;
    this.#part(".problem").hidden = false;
  }

  #draw() {
    this.#part(".text").replaceChildren(render(this.#entry.content));
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.#entry.content);
      this.#say("Copied.");
    } catch {
      this.#say("This browser does not let the page copy.", true);
    }
  }

  async #rate(score, hint) {
    const taken = score === this.#entry.score && hint === undefined ? 0 : score; // a second press takes it back
    try {
      await this.on.rate(this.#entry, taken, hint);
    } catch (error) {
      this.#say(error.message, true);
      return;
    }
    this.#mark();
    this.#closeCorrection();
    if (hint) this.#say("Thank you. The learner takes this up.");
    else this.#say({ 1: "Noted as good.", 0: "Taken back.", "-1": "" }[taken]);
    if (taken === -1 && !hint) this.#openCorrection();
  }

  #correct(event) {
    event.preventDefault();
    const hint = this.#part(".correction textarea").value.trim();
    if (hint) this.#rate(-1, hint);
    else this.#closeCorrection();
  }

  #openCorrection() {
    this.#part(".correction").hidden = false;
    this.#part(".correction textarea").focus();
    this.#part(".correction").scrollIntoView({ block: "nearest" });
  }

  #closeCorrection() {
    if (this.#part(".correction").hidden) return;
    this.#part(".correction").hidden = true;
    this.#part(".bad").focus();
    if (this.#entry.score === -1) this.#say("Noted as bad.");
  }

  #mark() {
    this.#part(".good").setAttribute("aria-pressed", String(this.#entry.score === 1));
    this.#part(".bad").setAttribute("aria-pressed", String(this.#entry.score === -1));
  }

  #say(text, bad = false) {
    this.#part(".thanks").textContent = text;
    this.#part(".thanks").classList.toggle("bad", bad);
  }

  #part(selector) {
    return this.node.querySelector(selector);
  }
}

function copy(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}
