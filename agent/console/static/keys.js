// Keys, as the list behind ? tells them. None acts while somebody writes, or with a modifier.

import { say } from "./verbs.js";

const GO_MS = 1500; // from the g to the letter behind it

const help = document.getElementById("keys");
let going = 0; // until when a letter leads to a page

/** Take keys. */
export function takeKeys() {
  document.getElementById("help").addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", (event) => {
    const writes = event.target.closest("input, textarea, select, [contenteditable]");
    if (writes || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (act(event.key)) event.preventDefault();
  });
}

function act(key) {
  if (performance.now() < going) {
    going = 0;
    const link = document.querySelector(`.menu a[data-key="${CSS.escape(key)}"]`);
    if (link) location.assign(link.href);
    return Boolean(link);
  }
  switch (key) {
    case "g": going = performance.now() + GO_MS; return true;
    case "b": return takeBack();
    case "?": help.showModal(); return true;
    case "/": return search();
    case "j": return step(1);
    case "k": return step(-1);
  }
  return false;
}

function takeBack() {
  const button = document.getElementById("take-back");
  if (button?.disabled || !button) say([`${button?.title ?? "Only an operator may take a version back"}.`]);
  else button.click();
  return true;
}

function search() {
  const field = document.getElementById("search");
  if (field) field.focus();
  else location.assign("/conversations#search");
  return true;
}

/** Move the focus along the entries of the page's lists. */
function step(by) {
  const links = [...document.querySelectorAll("main .entry")].map((entry) => entry.querySelector("a, summary")).filter(Boolean);
  if (!links.length) return false;
  const at = links.findIndex((link) => link.closest(".entry").contains(document.activeElement));
  links[at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1)].focus();
  return true;
}

if (location.hash === "#search") document.getElementById("search")?.focus();
