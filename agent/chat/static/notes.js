// What the agent has learned of its reader: short notes that stand in the prompt until the weights
// hold them. Each can be removed. Where the server keeps no notes, there is no panel.

import { notes, removeNote } from "./api.js";
import { byId, copy, part } from "./dom.js";

const EXPECTED_MS = 180_000; // after something was said, a note may come of it for as long as this
const GLANCE_MS = 15_000; // between two looks meanwhile
const STATES = { active: "in your prompts", retired: "learned by the model" };

/** The panel beneath the list of conversations; key() is the API key. */
export class Notes {
  #shown = null; // what the panel shows, as JSON
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
    const found = await notes(this.key()).catch(() => undefined);
    if (found === undefined) return;
    this.node.hidden = found === null;
    byId("notes-option").hidden = found === null;
    const shown = (found ?? []).filter(({ state }) => state in STATES);
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
