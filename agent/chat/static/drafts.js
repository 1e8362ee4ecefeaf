// What somebody has typed and not sent, by conversation; kept at every key, so that neither a reload
// nor a closed tab loses it.

const PREFIX = "quickset.draft.";

/** Whether the browser took the text; false where it has no room or forbids it. */
export function keepDraft(conversation, text) {
  const place = PREFIX + conversation;
  let taken = false;
  for (const storage of stores()) {
    try {
      if (text.trim() && !taken) {
        storage.setItem(place, text);
        taken = true;
      } else storage.removeItem(place);
    } catch {
      continue; // full, or forbidden: the next one
    }
  }
  return taken || !text.trim();
}

export function draftOf(conversation) {
  for (const storage of stores()) {
    const text = storage.getItem(PREFIX + conversation);
    if (text) return text;
  }
  return "";
}

/** Every draft: [conversation, text]. */
export function drafts() {
  const found = new Map();
  for (const storage of stores()) {
    for (let at = 0; at < storage.length; at += 1) {
      const place = storage.key(at);
      if (place.startsWith(PREFIX)) found.set(place.slice(PREFIX.length), storage.getItem(place));
    }
  }
  return [...found];
}

function stores() {
  const found = [];
  for (const name of ["localStorage", "sessionStorage"]) {
    try {
      found.push(window[name]);
    } catch {
      continue; // the browser forbids it to this page
    }
  }
  return found;
}
