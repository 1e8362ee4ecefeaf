// Where a message is written: grows with its text, keeps it as a draft at every key, sends it.

import { byId, composing } from "./dom.js";
import { draftOf, keepDraft } from "./drafts.js";

const TOUCH = matchMedia("(pointer: coarse)"); // where focus would open a keyboard on the screen

/** The field and its buttons; on: {send(text), editLast()}. */
export class Composer {
  #conversation = null;

  constructor(on) {
    this.on = on;
    this.field = byId("prompt");
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.field.addEventListener("keydown", (event) => {
      if (composing(event)) return;
      if (event.key === "ArrowUp" && !this.field.value) return this.on.editLast();
      if (event.key !== "Enter" || event.shiftKey) return;
      event.preventDefault();
      this.submit();
    });
    this.field.addEventListener("input", () => this.#changed());
  }

  get empty() {
    return !this.field.value.trim();
  }

  /** Write for another conversation: its draft comes back. */
  turnTo(id) {
    const early = this.#conversation === null && this.field.value; // typed before the page was ready
    this.#conversation = id;
    this.field.value = early || draftOf(id);
    this.#fit();
  }

  /** Put a text into the field. */
  write(text) {
    this.field.value = text;
    this.#changed();
    this.field.focus();
  }

  /** Say what stands in the field; it stays there as long as it cannot be said. */
  submit() {
    const text = this.field.value.trim();
    if (!text) return;
    const id = this.#conversation;
    const kept = this.on.send(text);
    if (!kept) return;
    this.field.value = "";
    this.#fit();
    kept.then((safe) => {
      // typed on meanwhile, or kept nowhere else: then the draft stays
      if (safe && (this.#conversation !== id || this.empty)) keepDraft(id, "");
    });
  }

  /** Show that a reply is on its way, or that none is. */
  busy(running) {
    byId("send").hidden = running;
    byId("stop").hidden = !running;
    // what had the focus may be gone: the next key shall not begin at the top of the page
    const { activeElement } = document;
    const lost = activeElement === document.body || activeElement?.checkVisibility?.() === false;
    if (lost && !TOUCH.matches) this.field.focus();
  }

  #changed() {
    this.#fit();
    keepDraft(this.#conversation, this.field.value);
  }

  #fit() {
    const { field } = this;
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight}px`;
    field.style.overflowY = field.scrollHeight > field.clientHeight + 1 ? "auto" : "hidden";
  }
}
