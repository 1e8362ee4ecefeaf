// The rollback: asks for a reason, and fails when somebody changed the line since it was shown.

const part = (id) => document.getElementById(`rollback-${id}`);
const dialog = document.getElementById("rollback");

let asked = null; // {line, seq, csrf}

/** Ask whether a line shall go back from `version` to `previous`. */
export function askRollback({ line, version, previous, seq, csrf }) {
  asked = { line, seq, csrf };
  part("what").replaceChildren(
    "The line ", mono(line), " will serve ", mono(previous), " again instead of ", mono(version),
    ", at once. Replies that are being written finish on the version they began with.",
  );
  part("error").hidden = true;
  part("reason").value = "";
  dialog.showModal();
  part("reason").focus();
}

async function takeBack() {
  part("go").disabled = true;
  part("error").hidden = true;
  try {
    const response = await fetch(`/operator/lines/${encodeURIComponent(asked.line)}/rollback`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": asked.csrf },
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
  if (part("reason").value.trim()) takeBack();
  else part("reason").reportValidity();
});
part("cancel").addEventListener("click", () => dialog.close());
