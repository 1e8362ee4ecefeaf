// The conversation as the API sees it, kept in this tab so that a reload loses nothing.
// An entry is {role, content} and, of a reply, {id, version, finish, score}.

const PLACE = "quickset.conversation";

/** Messages in order, saved after every change. */
export class Conversation {
  constructor(storage = sessionStorage) {
    this.storage = storage;
    this.entries = load(storage);
  }

  add(entry) {
    this.entries.push(entry);
    this.save();
    return entry;
  }

  /** Forget an entry: a question that got no reply must not stand in the next request. */
  drop(entry) {
    this.entries = this.entries.filter((one) => one !== entry);
    this.save();
  }

  clear() {
    this.entries = [];
    this.save();
  }

  /** The messages of the next request. */
  messages() {
    return this.entries.map(({ role, content }) => ({ role, content }));
  }

  /** The version of the last reply before `entry`, if there was one. */
  versionBefore(entry) {
    const end = this.entries.includes(entry) ? this.entries.indexOf(entry) : this.entries.length;
    return this.entries.slice(0, end).findLast((one) => one.version)?.version;
  }

  save() {
    try {
      this.storage.setItem(PLACE, JSON.stringify(this.entries));
    } catch {
      // a full or forbidden storage costs only what a reload would have kept
    }
  }
}

function load(storage) {
  try {
    const entries = JSON.parse(storage.getItem(PLACE) ?? "[]");
    return entries.filter(({ role, content }) => typeof role === "string" && typeof content === "string");
  } catch {
    return [];
  }
}
