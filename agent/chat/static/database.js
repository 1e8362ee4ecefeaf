// IndexedDB in promises: the stores `conversations` and `messages`, both keyed by `id`.
// Where the browser forbids it (private windows, file settings) a map in memory stands in.
// Knows nothing of what the values mean.

const NAME = "quickset";
const VERSION = 1;

/** Open this origin's database; `kept` tells whether it outlives the page. */
export async function openDatabase() {
  try {
    return new Database(await opened());
  } catch {
    return new Memory();
  }
}

class Database {
  kept = true;

  constructor(database) {
    this.database = database;
    database.onversionchange = () => database.close(); // a newer page in another tab goes first
  }

  all(store) {
    return done(this.#store(store).getAll());
  }

  ofConversation(id) {
    return done(this.#store("messages").index("conversation").getAll(id));
  }

  /** Keep a value. Rejects with QuotaExceededError when the browser's space for us is used up. */
  put(store, value) {
    const transaction = this.database.transaction(store, "readwrite");
    transaction.objectStore(store).put(value);
    return committed(transaction);
  }

  /** Change fields of a value in one step, between which no other tab writes; false where there is no such value. */
  async amend(store, id, changes) {
    const transaction = this.database.transaction(store, "readwrite");
    const values = transaction.objectStore(store);
    const value = await done(values.get(id));
    if (value) values.put({ ...value, ...changes });
    await committed(transaction);
    return Boolean(value);
  }

  /** Remove a conversation with its messages. */
  async remove(id) {
    const transaction = this.database.transaction(["conversations", "messages"], "readwrite");
    transaction.objectStore("conversations").delete(id);
    const messages = transaction.objectStore("messages");
    const keys = await done(messages.index("conversation").getAllKeys(id));
    for (const key of keys) messages.delete(key);
    await committed(transaction);
  }

  #store(name) {
    return this.database.transaction(name).objectStore(name);
  }
}

/** The same in memory. */
class Memory {
  kept = false;
  #stores = { conversations: new Map(), messages: new Map() };

  async all(store) {
    return [...this.#stores[store].values()];
  }

  async ofConversation(id) {
    return (await this.all("messages")).filter((one) => one.conversation === id);
  }

  async put(store, value) {
    this.#stores[store].set(value.id, value);
  }

  async amend(store, id, changes) {
    const value = this.#stores[store].get(id);
    if (value) await this.put(store, { ...value, ...changes });
    return Boolean(value);
  }

  async remove(id) {
    this.#stores.conversations.delete(id);
    for (const one of await this.ofConversation(id)) this.#stores.messages.delete(one.id);
  }
}

function opened() {
  const request = indexedDB.open(NAME, VERSION);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("conversations", { keyPath: "id" });
    request.result.createObjectStore("messages", { keyPath: "id" }).createIndex("conversation", "conversation");
  };
  return done(request);
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function committed(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}
