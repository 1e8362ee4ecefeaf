// What the agent has learned of its reader: short notes that stand in the prompt until the weights
// hold them. Each can be removed. Where the server keeps no notes, there is no panel.

import { notes, removeNote } from "./api.js";
import { byId, copy, part } from "./dom.js";

const EXPECTED_MS = 180_000; // after something was said, a note may come of it for as long as this
const GLANCE_MS = 15_000; // between two looks meanwhile
const REFUSED = [401, 403]; // whose notes are shown is not for this key to see
const STATES = { active: "in your prompts", retired: "learned by the model" };

/** The panel beneath the list of conversations; key() is the API key. */
export class Notes {
  #shown = null; // what the panel shows, as JSON
  #of = null; // the key whose notes it shows
  #expecting = 0; // until when a note may come
  #looked = 0;

  constructor(key) {
    this.key = key;
    this.node = byId("notes");
    this.list = byId("note-list");
  }

  /** What was noted, as the panel shows it. */
  get texts() {
    return JSON.parse(this.#shown ?? "[]").map(({ text }) => text);
  }

  /** Something was said from which a note may come: look now, and again for a while. */
  expect() {
    this.#expecting = Date.now() + EXPECTED_MS;
    return this.look();
  }

  /** Look again, where a note may have come since the last time. */
  glance() {
    const now = Date.now();
    if (now < this.#expecting && now - this.#looked >= GLANCE_MS) this.look();
  }

  /** Look what there is; a server that cannot be reached now is no reason to say anything. */
  async look() {
    this.#looked = Date.now();
    const key = this.key();
    if (key !== this.#of) this.#clear(); // they are another person's
    this.#of = key;
    let found;
    try {
      found = await notes(key);
    } catch ({ status }) {
      if (REFUSED.includes(status) && key === this.key()) this.#clear();
      return;
    }
    if (key === this.key()) this.#show(found); // else it was changed meanwhile
  }

  #clear() {
    this.node.hidden = true;
    this.#draw([]);
  }

  /** found: the notes; null: the server keeps none */
  #show(found) {
    this.node.hidden = found === null;
    byId("notes-option").hidden = found === null;
    this.#draw(found ?? []);
  }

  #draw(found) {
    const shown = found.filter(({ state }) => state in STATES);
    if (JSON.stringify(shown) === this.#shown) return; // whoever reads or removes one is not disturbed
    this.#shown = JSON.stringify(shown);
    this.list.replaceChildren(...shown.map((note) => this.#row(note)));
    byId("no-notes").hidden = shown.length > 0;
  }

  #row(note) {
    const node = copy("note-template");
    part(node, ".note-text").textContent = note.text;
    const version = note.state === "retired" && note.version ? ` (${note.version})` : "";
    part(node, ".note-state").textContent = STATES[note.state] + version;
    const button = part(node, "button");
    button.setAttribute("aria-label", `Forget: ${note.text}`);
    button.addEventListener("click", () => this.#remove(note, node));
    return node;
  }

  async #remove(note, node) {
    try {
      await removeNote(note.id, this.key());
    } catch (error) {
      part(node, ".note-state").textContent = error.message;
      return;
    }
    await this.look();
    byId("notes-title").focus();
  }
}
