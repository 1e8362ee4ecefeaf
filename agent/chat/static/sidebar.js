// The list of conversations: found by their words, opened, renamed, saved as a file, deleted.

import { Conversation } from "./conversation.js";
import { byId, copy, element, part } from "./dom.js";
import { drafts, keepDraft } from "./drafts.js";
import { asJson, asMarkdown, download, fileName } from "./export.js";

const WAIT_MS = 150; // after the last key, before a search begins
const WIDE = matchMedia("(min-width: 60rem)");

/** The list beside the conversation; on: {open(id), removed(id)}. */
export class Sidebar {
  #open = null; // id of the conversation that is shown
  #drawn = ""; // what the list shows

  constructor(shelf, on) {
    this.shelf = shelf;
    this.on = on;
    this.node = byId("sidebar");
    this.list = byId("conversations");
    let timer = 0;
    byId("search").addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.draw(), WAIT_MS);
    });
    byId("toggle-list").addEventListener("click", () => this.toggle());
    byId("close-list").addEventListener("click", () => this.toggle(false));
    byId("delete-all").addEventListener("click", () => this.#removeAll());
    shelf.addEventListener("change", () => this.draw());
    shelf.addEventListener("full", () => this.#tellUnkept());
    this.#tellUnkept();
    this.toggle(WIDE.matches, { focus: false });
    // a window that was made narrow shall not be covered by a list that stood beside before
    WIDE.addEventListener("change", ({ matches }) => matches || this.toggle(false, { focus: false }));
  }

  /** Mark which conversation is shown. */
  shown(id) {
    this.#open = id;
    this.draw();
  }

  /** Open or close the list. */
  toggle(open = this.node.hidden, { focus = true } = {}) {
    this.node.hidden = !open;
    byId("toggle-list").setAttribute("aria-expanded", String(open));
    if (focus) (open ? byId("search") : byId("prompt")).focus();
  }

  /** On a narrow screen the list lies above the conversation, and goes when it has served. */
  leave() {
    if (!WIDE.matches && !this.node.hidden) this.toggle(false);
  }

  async draw() {
    const wanted = byId("search").value;
    const found = await this.shelf.search(wanted);
    if (wanted !== byId("search").value) return; // another search has begun
    const kept = new Set(found.map(({ id }) => id));
    const unsent = wanted ? [] : drafts().filter(([id]) => !this.shelf.get(id) && id !== this.#open && !kept.has(id));
    // a list that is the same stays, and with it the focus and an open menu
    const drawn = JSON.stringify([this.#open, wanted, unsent, found.map(({ id, title }) => [id, title])]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.list.replaceChildren(
      ...unsent.map(([id, text]) => this.#unsent(id, text)),
      ...found.map((record) => this.#row(record)),
    );
    byId("no-conversation").hidden = found.length + unsent.length > 0;
    byId("no-conversation").textContent = wanted ? "Nothing found." : "No conversations yet.";
    byId("delete-all").hidden = !this.shelf.conversations().length;
  }

  #row(record) {
    const node = copy("conversation-template");
    const button = part(node, ".open");
    button.textContent = record.title || "New chat";
    button.title = new Date(record.changed).toLocaleString();
    if (record.id === this.#open) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => this.on.open(record.id));
    part(node, "summary").setAttribute("aria-label", `More about ${record.title || "this chat"}`);
    const menu = part(node, "details");
    const acts = {
      ".rename": () => this.#rename(record),
      ".as-markdown": () => this.#save(record, asMarkdown, "md", "text/markdown"),
      ".as-json": () => this.#save(record, asJson, "json", "application/json"),
      ".delete": () => this.#remove([record], `“${record.title}”`),
    };
    for (const [selector, act] of Object.entries(acts)) {
      part(node, selector).addEventListener("click", () => {
        menu.open = false;
        act();
      });
    }
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      event.stopPropagation();
      menu.open = false;
      part(menu, "summary").focus();
    });
    menu.addEventListener("focusout", ({ relatedTarget }) => {
      if (relatedTarget && !menu.contains(relatedTarget)) menu.open = false;
    });
    return node;
  }

  #unsent(id, text) {
    const open = element("button", { className: "open", type: "button" }, `Not sent: ${text.trim().slice(0, 60)}`);
    open.addEventListener("click", () => this.on.open(id));
    const drop = element("button", { className: "tool", type: "button", title: "Delete" }, "×");
    drop.setAttribute("aria-label", "Delete what was not sent");
    drop.addEventListener("click", () => {
      keepDraft(id, "");
      this.draw();
    });
    return element("li", { className: "conversation" }, open, drop);
  }

  #rename(record) {
    const dialog = byId("rename");
    byId("new-title").value = record.title;
    dialog.onclose = () => {
      const title = byId("new-title").value.trim();
      const kept = this.shelf.get(record.id); // none, where another tab has deleted it meanwhile
      if (dialog.returnValue === "done" && title && kept) this.shelf.save({ ...kept, title, named: true });
    };
    dialog.returnValue = "";
    dialog.showModal();
    byId("new-title").select();
  }

  async #save(record, written, ending, type) {
    const conversation = await Conversation.open(this.shelf, record.id);
    download(fileName(record.title, ending), written(conversation), type);
  }

  #removeAll() {
    this.#remove(this.shelf.conversations(), "every conversation of this browser");
  }

  #remove(records, named) {
    const dialog = byId("delete");
    part(dialog, ".what").textContent = named;
    dialog.onclose = async () => {
      if (dialog.returnValue !== "delete") return;
      for (const { id } of records) {
        keepDraft(id, "");
        this.on.removed(id);
        await this.shelf.remove(id);
      }
    };
    dialog.returnValue = "";
    dialog.showModal();
  }

  #tellUnkept() {
    const { keeps, unkept } = this.shelf;
    byId("unkept").hidden = keeps && !unkept;
    byId("unkept-why").textContent = keeps
      ? "This browser has no more room: what is said now is kept only until you close this tab. Save conversations as files, or delete some."
      : "This browser keeps nothing for this page: conversations end with the tab. Save what you need as a file.";
  }
}
