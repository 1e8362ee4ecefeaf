// Thumbs of a reply, and what its reader adds: what it should have done (a hint, which is taught),
// and a remark for people. Ctrl+Enter sends it, Esc closes it.

import { composing, part } from "./dom.js";

const SAID = { 1: "Noted as good.", 0: "Taken back.", "-1": "Noted as bad." };

/** The thumbs and the form inside a reply's node. */
export class Rating {
  /** rate(message, {score, hint, comment}) resolves when the server has taken it. */
  constructor(node, message, rate) {
    this.node = node;
    this.message = message;
    this.rate = rate;
    this.form = part(node, ".correction");
    part(node, ".good").addEventListener("click", () => this.#thumb(1));
    part(node, ".bad").addEventListener("click", () => this.#thumb(-1));
    part(node, ".skip").addEventListener("click", () => this.#close());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#teach();
    });
    this.form.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Show what was said of the reply. */
  mark() {
    part(this.node, ".good").setAttribute("aria-pressed", String(this.message.score === 1));
    part(this.node, ".bad").setAttribute("aria-pressed", String(this.message.score === -1));
  }

  async #thumb(pressed) {
    const score = pressed === this.message.score ? 0 : pressed; // a second press takes it back
    if (!(await this.#send({ score }))) return;
    if (score) this.#open();
    else this.#hide();
    this.say(score === -1 ? "" : SAID[score]);
  }

  async #teach() {
    const said = { score: this.message.score || -1 };
    for (const name of ["hint", "comment"]) {
      const text = part(this.form, `.${name}`).value.trim();
      if (text) said[name] = text;
    }
    if (!said.hint && !said.comment) return this.#close();
    if (!(await this.#send(said))) return;
    this.#hide();
    part(this.node, this.message.score === 1 ? ".good" : ".bad").focus();
    const kept = said.hint ? "It is kept, and not learned." : "Your remark is kept.";
    this.say(`Thank you. ${said.hint && this.#learned ? "The learner takes this up." : kept}`);
  }

  /** Whether what is said of the reply teaches: not of one that was given with learning switched off. */
  get #learned() {
    return this.message.learn !== false;
  }

  async #send(said) {
    try {
      await this.rate(this.message, said);
    } catch (error) {
      this.say(error.message, true);
      return false;
    }
    this.mark();
    return true;
  }

  #open() {
    const bad = this.message.score === -1;
    part(this.form, ".hint-row").hidden = !bad;
    part(this.form, ".use").textContent = this.#learned ? "The model learns it." : "Nothing is learned from this reply.";
    const teach = this.#learned ? "Teach" : "Send";
    part(this.form, ".primary").textContent = bad ? teach : "Send the remark"; // a remark alone teaches nothing
    part(this.form, ".hint").value = this.message.hint ?? "";
    part(this.form, ".comment").value = this.message.comment ?? "";
    this.form.hidden = false;
    if (bad) part(this.form, ".hint").focus();
    this.form.scrollIntoView({ block: "nearest" });
  }

  #close() {
    if (this.form.hidden) return;
    this.#hide();
    part(this.node, this.message.score === 1 ? ".good" : ".bad").focus();
    this.say(SAID[this.message.score] ?? "");
  }

  #hide() {
    this.form.hidden = true;
  }

  #key(event) {
    if (composing(event)) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.form.requestSubmit();
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation(); // here it closes the form, and does not stop a reply
      this.#close();
    }
  }

  say(text, bad = false) {
    part(this.node, ".thanks").textContent = text;
    part(this.node, ".thanks").classList.toggle("bad", bad);
  }
}
