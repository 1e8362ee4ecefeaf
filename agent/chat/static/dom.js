// Small things that every module of the page does with the document. Text enters as text nodes only.

/** The first element inside a node that a selector names. */
export function part(node, selector) {
  return node.querySelector(selector);
}

/** The element of the page with an id. */
export function byId(id) {
  return document.getElementById(id);
}

/** A copy of a template's first element. */
export function copy(id) {
  return byId(id).content.firstElementChild.cloneNode(true);
}

/** An element with a class, properties and children. */
export function element(name, { className = "", ...properties } = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** Whether a key belongs to a word that is being composed; Safari says so by the code alone. */
export function composing(event) {
  return event.isComposing || event.keyCode === 229;
}

/** Put a text into the clipboard; whether the browser let us. */
export async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedByHand(text);
  }
}

/** The way for pages that do not come over https or from this machine. */
function copiedByHand(text) {
  const holder = element("textarea", { className: "visually-hidden", value: text, readOnly: true });
  const focused = document.activeElement;
  (document.querySelector("dialog[open]") ?? document.body).append(holder);
  holder.select();
  const done = document.execCommand("copy");
  holder.remove();
  focused?.focus?.();
  return done;
}
