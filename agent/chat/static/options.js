// The reader's choices: API key, learning, notes, tools, what becomes of a full context. All of them
// are kept in this tab until it is closed, the key only when its reader wants it. Whether a chat is
// learned from belongs to that chat (conversation.js); here is only how the next one begins.

import { byId, part } from "./dom.js";
import { remember, remembered } from "./session.js";

const KEY = "quickset.key";
const KEEP_KEY = "quickset.keep-key";
const LEARN = "quickset.learn";
const NOTES = "quickset.notes";
const DROPPING = "quickset.dropping";
const TOOLS = "quickset.tools";

/** The choices, and the dialog in which they are made. */
export class Options {
  #key = remembered(KEY) ?? "";
  #learned = true; // whether the chat was learned from when the dialog was opened

  /** on: {learns(): whether the open chat is learned from, learn(whether): choose that, changed(): after each closing} */
  constructor(on) {
    this.on = on;
    this.dialog = byId("options");
    this.dialog.addEventListener("close", () => {
      this.#keep();
      on.changed();
    });
    part(this.dialog, "form").addEventListener("submit", (event) => this.#check(event));
  }

  get key() {
    return this.#key;
  }

  /** Whether a new chat is learned from. */
  get learn() {
    return remembered(LEARN) !== "off";
  }

  get notes() {
    return remembered(NOTES) !== "off";
  }

  get dropping() {
    return remembered(DROPPING) === "on";
  }

  /** The functions that replies may call, as the API takes them. */
  get tools() {
    try {
      return toolsOf(remembered(TOOLS) ?? "");
    } catch {
      return [];
    }
  }

  /** Open the dialog; why: what the server said, when it asked for a key. */
  open(why = "") {
    byId("api-key").value = this.#key;
    byId("keep-key").checked = remembered(KEEP_KEY) !== "off";
    this.#learned = this.on.learns();
    byId("learn").checked = this.#learned;
    byId("use-notes").checked = this.notes;
    byId("dropping").checked = this.dropping;
    byId("tools").value = remembered(TOOLS) ?? "";
    byId("key-wanted").textContent = why;
    this.#tell("");
    if (!this.dialog.open) this.dialog.showModal();
    if (why) byId("api-key").focus();
  }

  #check(event) {
    try {
      toolsOf(byId("tools").value);
    } catch (error) {
      event.preventDefault();
      this.#tell(error.message);
      byId("tools").focus();
    }
  }

  #keep() {
    this.#key = byId("api-key").value.trim();
    const kept = byId("keep-key").checked;
    remember(KEEP_KEY, kept ? "" : "off");
    remember(KEY, kept ? this.#key : "");
    this.#keepLearn(byId("learn").checked);
    remember(NOTES, byId("use-notes").checked ? "" : "off");
    remember(DROPPING, byId("dropping").checked ? "on" : "");
    remember(TOOLS, byId("tools").value.trim());
  }

  /** What was left as it stood chooses nothing: another tab may have chosen meanwhile. */
  #keepLearn(learn) {
    if (learn === this.#learned) return;
    remember(LEARN, learn ? "" : "off");
    this.on.learn(learn);
  }

  #tell(text) {
    part(this.dialog, ".dialog-problem").textContent = text;
  }
}

/** Read tools as somebody pastes them: a list of functions, or of tools in the API's shape. */
function toolsOf(text) {
  if (!text.trim()) return [];
  let list;
  try {
    list = JSON.parse(text);
  } catch (error) {
    throw new Error(`The tools are not JSON: ${error.message}`);
  }
  if (!Array.isArray(list)) throw new Error("The tools must be a list: [{…}, {…}]");
  return list.map((one) => {
    const called = one?.function ?? one;
    if (typeof called?.name !== "string") throw new Error("Every tool needs a name.");
    return { type: "function", function: called };
  });
}
