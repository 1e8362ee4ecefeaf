// Two replies to one question, side by side and without their versions' names, until somebody says
// which is better; and the dialog that chooses the two versions.

import { byId, copy, element, part } from "./dom.js";

/** Two reply views and the vote beneath them; vote([left, right]) takes their scores. */
export class CompareView {
  constructor(views, vote) {
    this.views = views;
    this.node = copy("compare-template");
    part(this.node, ".left").append(views[0].node);
    part(this.node, ".right").append(views[1].node);
    for (const button of this.node.querySelectorAll(".vote button")) {
      button.addEventListener("click", () => this.#vote(button, vote));
    }
    this.ready();
  }

  /** Let people vote once both replies are there. */
  ready() {
    const whole = this.views.every(({ message }) => message.response && message.content && !message.failed);
    part(this.node, ".vote").hidden = !whole;
  }

  async #vote(button, vote) {
    const buttons = [...this.node.querySelectorAll(".vote button")];
    for (const one of buttons) one.disabled = true;
    try {
      await vote(button.dataset.scores.split(",").map(Number));
    } catch (error) {
      part(this.node, ".vote-problem").textContent = error.message;
      for (const one of buttons) one.disabled = false;
    }
  }
}

/** The dialog that asks which two versions shall answer. */
export class CompareDialog {
  /** models() resolves to what can be asked for; changed() is called when a choice was made. */
  constructor(models, changed) {
    this.models = models;
    this.changed = changed;
    this.chosen = null; // the names of two models, while the next message is for both
    this.versions = new Map(); // the name of a model → the version that answers it now
    this.dialog = byId("compare");
    part(this.dialog, "form").addEventListener("submit", (event) => this.#choose(event));
    part(this.dialog, ".cancel").addEventListener("click", () => this.dialog.close());
  }

  async open() {
    this.#tell("");
    this.dialog.showModal();
    try {
      const found = await this.models();
      const names = found.map(({ id }) => id).filter((id) => id.includes("@"));
      this.versions = new Map(found.map(({ id, version }) => [id, version]));
      const { base: root, version } = found[0];
      const base = root && root !== version ? `quickset@${root}` : null;
      const offered = [...new Set([...names, ...(base ? [base] : [])])];
      byId("model-names").replaceChildren(...offered.map((value) => element("option", { value })));
      const other = ["quickset@candidate", "quickset@previous"].find((name) => names.includes(name));
      byId("model-a").value ||= "quickset@stable";
      byId("model-b").value ||= other ?? base ?? "";
      if (!other && base) this.#tell("Only one version has served since the base; any version can be named.");
      if (!other && !base) this.#tell("Only one version has served so far: teach it something, and there will be two to compare.");
    } catch (error) {
      this.#tell(error.message);
    }
  }

  /** Compare no more. */
  end() {
    this.chosen = null;
    this.changed();
  }

  #choose(event) {
    event.preventDefault();
    const names = ["model-a", "model-b"].map((id) => byId(id).value.trim()).map(whole);
    if (names.some((name) => !name)) return this.#tell("Name two versions.");
    const versions = names.map((name) => this.versions.get(name) ?? name.replace("quickset@", ""));
    if (names[0] === names[1] || versions[0] === versions[1]) return this.#tell("These are one and the same.");
    this.chosen = names;
    this.dialog.close();
    this.changed();
  }

  #tell(text) {
    part(this.dialog, ".dialog-problem").textContent = text;
  }
}

/** A model's name; a version alone is one, too. */
function whole(name) {
  return !name || name.startsWith("quickset") ? name : `quickset@${name}`;
}
