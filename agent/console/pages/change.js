// A change of a line: asks for a reason, and fails when somebody changed the line since it was shown.

const part = (id) => document.getElementById(`rollback-${id}`);
const dialog = document.getElementById("rollback");

let asked = null; // {path, seq, csrf}
let keyed = false; // whether what is grave asks for the key again

/** Ask whether a line shall go back from `version` to `previous`. */
export function askRollback({ line, version, previous, seq, csrf }) {
  const what = [
    "The line ", mono(line), " will serve ", mono(previous), " again instead of ", mono(version),
    ", at once. Replies that are being written finish on the version they began with.",
  ];
  ask({ line, verb: "rollback", title: "Take the version back?", go: "Take it back", what, seq, csrf });
}

const VERBS = {
  start: ["Start the trial?", "Start it", " will answer its first share of the sessions."],
  pause: ["Pause the trial?", "Pause it", " keeps its sessions, and takes no further step until it is resumed."],
  resume: ["Resume the trial?", "Resume it", " goes on from the step it is at."],
  "skip-step": ["Take the next step now?", "Take it", " will answer its next share without waiting for evidence."],
  "promote-full": ["Promote the candidate?", "Promote it", " will serve everybody, at once, whatever the evidence says."],
  abort: ["Abort the trial?", "Abort it", " will answer nobody any more; what serves, serves everybody."],
};

/** Give a verb's name on its button. */
export function nameOf(verb) {
  return VERBS[verb][1].replace(/ it$/, "");
}

/** Ask whether a verb shall be used on the candidate that is on trial. */
export function askVerb({ line, verb, candidate, seq, csrf }) {
  const [title, go, what] = VERBS[verb];
  ask({ line, verb: `trial/${verb}`, title, go, what: [mono(candidate), what], seq, csrf });
}

/** Say whether operators have keys here, so that what is grave asks for them again. */
export function setKeyed(value) {
  keyed = value;
}

function ask({ line, verb, title, go, what, seq, csrf }) {
  asked = { path: `/operator/lines/${encodeURIComponent(line)}/${verb}`, seq, csrf };
  part("title").textContent = title;
  part("go").textContent = go;
  part("what").replaceChildren(...what);
  part("error").hidden = true;
  part("reason").value = "";
  part("key").value = "";
  part("key").hidden = part("key-label").hidden = !(keyed && verb === "trial/promote-full");
  dialog.showModal();
  part("reason").focus();
}

async function change() {
  part("go").disabled = true;
  part("error").hidden = true;
  try {
    const response = await fetch(asked.path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": asked.csrf, "X-Step-Up": part("key").value },
      body: JSON.stringify({ reason: part("reason").value.trim(), expected_seq: asked.seq }),
    });
    if (response.ok) dialog.close();
    else refuse((await response.json()).error.message);
  } catch {
    refuse("The agent cannot be reached; nothing was changed that this page knows of");
  } finally {
    part("go").disabled = false;
  }
}

function refuse(message) {
  part("error").textContent = `${message[0].toUpperCase()}${message.slice(1)}.`;
  part("error").hidden = false;
}

function mono(text) {
  const node = document.createElement("b");
  node.className = "mono";
  node.textContent = text;
  return node;
}

dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (part("reason").value.trim()) change();
  else part("reason").reportValidity();
});
part("cancel").addEventListener("click", () => dialog.close());
