// Shortcuts: the one list of them, which the help shows and the page obeys.

import { byId, composing, element } from "./dom.js";

const SHORTCUTS = [
  ["Enter", "send the message; Shift+Enter starts a new line"],
  ["↑", "in an empty message: edit your last one"],
  ["Esc", "stop the reply; close what is open"],
  ["Alt+N", "new chat", "KeyN", "newChat"],
  ["Alt+K", "conversations: show, search, hide", "KeyK", "list"],
  ["Alt+R", "another reply to the last question", "KeyR", "again"],
  ["Alt+C", "copy the last reply", "KeyC", "copyLast"],
  ["Alt+G", "the last reply is good", "KeyG", "good"],
  ["Alt+B", "the last reply is bad: say what it should have done", "KeyB", "bad"],
  ["Alt+V", "compare two versions", "KeyV", "compare"],
  ["Alt+O", "options", "KeyO", "options"],
  ["Ctrl+Enter", "send a correction or a tool's result"],
  ["/", "write a message", "Slash", "write"],
  ["?", "this list; from within a message Ctrl+/"],
];

// There Alt with a letter types one ("ñ", "©"), so within a text it takes Ctrl, too.
const APPLE = /Mac|iPhone|iPad/.test(navigator.platform);
if (APPLE) SHORTCUTS.push(["Ctrl+Alt", "for Alt within a message"]);

/** Obey the keyboard; acts: what each name above does, and `stop`, `help`. */
export function listen(acts) {
  byId("shortcut-list").replaceChildren(
    ...SHORTCUTS.flatMap(([keys, what]) => [
      element("dt", {}, element("kbd", {}, keys)),
      element("dd", {}, what),
    ]),
  );
  document.addEventListener("keydown", (event) => {
    const act = wanted(event);
    if (!act) return;
    if (act !== "stop") event.preventDefault();
    acts[act]();
  });
}

function wanted(event) {
  const { key, code, altKey, ctrlKey, metaKey, target } = event;
  if (composing(event)) return null;
  const writes = target.closest("textarea, input, select");
  const command = (ctrlKey && !(APPLE && altKey)) || metaKey;
  if (document.querySelector("dialog[open]")) return null; // a dialog has the keyboard to itself
  if (key === "Escape") return "stop";
  if (command && code === "Slash") return "help";
  if (altKey && APPLE && writes && !ctrlKey) return null;
  if (altKey && !command) return SHORTCUTS.find(([keys, , own]) => own === code && keys.startsWith("Alt"))?.[3];
  if (command || altKey || writes) return null;
  return { "?": "help", "/": "write" }[key] ?? null;
}
