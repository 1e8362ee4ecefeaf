// The chip that names the version that answers now, and the dialog that says what changed between two.

import { version as about } from "./api.js";
import { byId, element, part } from "./dom.js";

const NOTICE_MS = 3000;
const CALM = matchMedia("(prefers-reduced-motion: reduce)"); // scripts' animations do not obey the style sheet
const NOISES = { rank1: "of random signs", full: "of random signs of full rank", normal: "of normal noise", screened: "of signs that were searched", directed: "along the directions that gain most" };

/**
 * Shows versions; key() is the API key, taught(before, after) lists what the reader taught between,
 * noted() what was noted of the reader in all.
 */
export class Versions {
  #explained = 0; // how often the dialog was opened

  constructor(key, taught, noted) {
    this.key = key;
    this.taught = taught;
    this.noted = noted;
    this.chip = byId("serving");
    this.dialog = byId("versions");
    this.before = null; // the version of the last reply that is shown
    this.chip.addEventListener("click", () => this.explain(this.before, this.chip.textContent));
  }

  /** Name the version that answers now; a new one makes itself noticed. */
  show(version) {
    const changed = !this.chip.hidden && version && this.chip.textContent !== version;
    if (changed) this.before = this.chip.textContent;
    this.chip.textContent = version ?? "";
    this.chip.hidden = !version;
    if (changed && !CALM.matches) this.chip.animate({ boxShadow: ["0 0 0 3px var(--accent)", "0 0 0 3px transparent"] }, NOTICE_MS);
  }

  /** Open the dialog: what a version is, and what has changed since another one. */
  async explain(before, after) {
    const text = part(this.dialog, ".changes");
    text.replaceChildren(element("p", { className: "muted" }, "Looking…"));
    if (!this.dialog.open) this.dialog.showModal();
    const explained = (this.#explained += 1);
    const [old, now] = await Promise.all([before && before !== after ? this.#about(before) : null, this.#about(after)]);
    if (explained !== this.#explained) return; // another change is asked about by now
    text.replaceChildren(
      ...sentences(old, now).map((sentence) => element("p", {}, sentence)),
      ...this.#lessons(before, after),
    );
  }

  async #about(name) {
    try {
      return await about(name.split("#", 1)[0], this.key());
    } catch (error) {
      return { version: name, unknown: error.message };
    }
  }

  #lessons(before, after) {
    const taught = before ? this.taught(before, after) : [];
    return [
      ...listed("In this conversation you taught, before it changed:", taught),
      ...listed("What you wished so far:", this.noted().filter((text) => !taught.includes(text))),
    ];
  }
}

function listed(title, texts) {
  if (!texts.length) return [];
  const items = texts.map((text) => element("li", {}, text));
  return [element("p", {}, title), element("ul", {}, ...items)];
}

/** What to tell of a version, and of the way to it from an older one. */
function sentences(old, now) {
  if (now.unknown) return [`Version ${now.version}: ${now.unknown}`];
  const told = [describe(now)];
  if (old && !old.unknown) told.unshift(difference(old, now));
  if (now.step) told.push(moved(now.step));
  return told;
}

function describe({ version, generation, parent }) {
  if (generation === undefined) return `Version ${version} answers now.`;
  if (generation === 0) return `Version ${version} is the base model, before any learning.`;
  if (generation === 1) return `Version ${version} is generation 1: one step of learning from the base, ${parent}.`;
  return `Version ${version} is generation ${generation}: ${generation} steps of learning from the base, the last of them from ${parent}.`;
}

function difference(old, now) {
  const steps = now.generation - old.generation;
  if (Number.isNaN(steps)) return `${now.version} took over from ${old.version}.`;
  if (steps === 0) return `${now.version} took over from ${old.version}, another branch of the same length.`;
  const counted = `${Math.abs(steps)} ${Math.abs(steps) === 1 ? "generation" : "generations"}`;
  if (steps < 0) return `${old.version} was taken back: ${now.version} is ${counted} older.`;
  return `${now.version} has learned ${counted} more than ${old.version}.`;
}

function moved({ noise, pairs, layers, modules }) {
  const where = layers.length > 1 ? `layers ${layers[0]} to ${layers.at(-1)}` : `layer ${layers[0]}`;
  return `Its last step moved ${where} (${modules.join(", ")}) along ${pairs} directions ${NOISES[noise] ?? noise}.`;
}
