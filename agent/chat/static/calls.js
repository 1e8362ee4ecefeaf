// Tool calls of a reply: folded, each with its arguments and, when there is one, its result.
// A call that the server did not answer itself is answered by the reader, in a field.

import { copy, part } from "./dom.js";

/** The node of one call. result: its text, or null; answer(text) where the reader may give one. */
export function callView({ id, name, arguments: given }, result, answer) {
  const node = copy("call-template");
  part(node, ".name").textContent = name || "a tool";
  part(node, ".call-state").textContent = result === null ? "waits for a result" : "answered";
  part(node, ".arguments").textContent = laidOut(given);
  part(node, ".result-part").hidden = result === null;
  part(node, ".result").textContent = result === null ? "" : laidOut(result);
  const form = part(node, "form");
  form.hidden = result !== null || !answer;
  node.open = !form.hidden;
  const field = part(form, "textarea");
  field.id = `result-${id}`;
  part(form, "label").htmlFor = field.id;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    answer(field.value);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  return node;
}

/** The node of a call that the agent made of a tool of its own. */
export function servedView({ id, server, name, arguments: given, outcome, output }) {
  const node = callView({ id, name, arguments: given }, output ?? "", null);
  part(node, ".result-part").hidden = output === null;
  part(node, ".call-state").textContent = outcome === "ok" ? `answered by ${server}` : `${server}: ${outcome}`;
  return node;
}

/** Add a piece of a streamed call to a reply's calls. */
export function growCalls(calls, { index, id, name, arguments: piece }) {
  const call = (calls[index] ??= { id: "", name: "", arguments: "" });
  if (id) call.id = id;
  if (name) call.name = name;
  call.arguments += piece;
}

/** JSON with its lines and depths; what is none, as it is. */
function laidOut(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
