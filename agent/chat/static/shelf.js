// The conversations that this browser keeps, shared by its tabs.
// A message is a record of its own and never overwritten by another tab, so two tabs that go on with
// one conversation make two branches of it, and neither is lost. What the browser has no room for
// stays in this tab's memory, is told ("full"), and is tried again as soon as something is deleted.

import { openDatabase } from "./database.js";

const CHANNEL = "quickset";

/** Events: "change" {id, remote, removed} when a conversation changed, "full" when what is unkept changed. */
export class Shelf extends EventTarget {
  #database;
  #records = new Map();
  #unkept = new Map(); // id → [store, value]
  #removed = new Set(); // ids of conversations: a reply that still streams brings none of them back
  #channel = new BroadcastChannel(CHANNEL);

  static async open() {
    const shelf = new Shelf();
    shelf.#database = await openDatabase();
    await shelf.#read();
    shelf.#channel.onmessage = ({ data }) => shelf.#heard(data);
    return shelf;
  }

  /** Whether what is written here outlives this tab. */
  get keeps() {
    return this.#database.kept;
  }

  /** How many records the browser did not take. */
  get unkept() {
    return this.#unkept.size;
  }

  /** The conversations, the one that changed last first. */
  conversations() {
    return [...this.#records.values()].sort((one, other) => other.changed - one.changed);
  }

  get(id) {
    return this.#records.get(id);
  }

  /** The messages of a conversation, in the order in which they were made. */
  async messages(id) {
    const kept = new Map((await this.#database.ofConversation(id)).map((one) => [one.id, one]));
    for (const [store, value] of this.#unkept.values()) {
      if (store === "messages" && value.conversation === id) kept.set(value.id, value);
    }
    return [...kept.values()].sort((one, other) => one.at - other.at);
  }

  /** Keep a conversation's own record: title, place, choices. */
  async save(record) {
    if (this.#removed.has(record.id)) return;
    this.#records.set(record.id, record);
    await this.#put("conversations", record);
    this.#tell(record.id);
  }

  async saveMessage(message) {
    if (this.#removed.has(message.conversation)) return;
    await this.#put("messages", message);
  }

  /** Change some fields of a message that is kept; the others stay as whoever wrote them last left them. */
  async amend(message, changes) {
    if (this.#removed.has(message.conversation)) return;
    const unkept = this.#unkept.get(message.id)?.[1];
    const amended = !unkept && (await this.#database.amend("messages", message.id, changes).catch(() => false));
    if (!amended) await this.#put("messages", { ...(unkept ?? message), ...changes });
    this.#tell(message.conversation);
  }

  async remove(id) {
    this.#forget(id);
    await this.#database.remove(id);
    await this.#again();
    this.#tell(id);
  }

  /** The conversations that hold a text, in their title or in a message. */
  async search(text) {
    const wanted = text.trim().toLowerCase();
    if (!wanted) return this.conversations();
    const holds = (said) => (said ?? "").toLowerCase().includes(wanted);
    const found = new Set();
    for (const { conversation, content } of await this.#database.all("messages")) {
      if (holds(content)) found.add(conversation);
    }
    for (const [store, value] of this.#unkept.values()) {
      if (store === "messages" && holds(value.content)) found.add(value.conversation);
    }
    return this.conversations().filter(({ id, title }) => found.has(id) || holds(title));
  }

  async #put(store, value) {
    const before = this.#unkept.size;
    try {
      await this.#database.put(store, structuredClone(value));
      this.#unkept.delete(value.id);
    } catch (error) {
      if (!this.#unkept.has(value.id)) console.warn(`not kept: ${error?.message}`);
      this.#unkept.set(value.id, [store, value]);
    }
    if (this.#unkept.size !== before) this.dispatchEvent(new Event("full"));
  }

  #forget(id) {
    this.#removed.add(id);
    this.#records.delete(id);
    for (const [key, [, value]] of this.#unkept) {
      if (key === id || value.conversation === id) this.#unkept.delete(key);
    }
  }

  /** Try to keep what there was no room for. */
  async #again() {
    for (const [store, value] of [...this.#unkept.values()]) await this.#put(store, value);
    this.dispatchEvent(new Event("full"));
  }

  async #read() {
    this.#records = new Map((await this.#database.all("conversations")).map((one) => [one.id, one]));
    for (const [store, value] of this.#unkept.values()) {
      if (store === "conversations") this.#records.set(value.id, value);
    }
  }

  async #heard({ id, removed }) {
    if (removed) this.#forget(id);
    await this.#read();
    this.dispatchEvent(new CustomEvent("change", { detail: { id, remote: true, removed } }));
  }

  #tell(id) {
    const removed = this.#removed.has(id);
    this.#channel.postMessage({ id, removed });
    this.dispatchEvent(new CustomEvent("change", { detail: { id, remote: false, removed } }));
  }
}
