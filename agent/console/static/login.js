// Exchanges an operator key for a session cookie.

const refused = document.getElementById("refused");

document.getElementById("log-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  refused.hidden = true;
  try {
    const response = await fetch("/operator/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ key: document.getElementById("key").value.trim() }),
    });
    if (response.ok) location.replace("/");
    else say((await response.json()).error.message);
  } catch {
    say("The agent cannot be reached. Is it running?");
  }
});

function say(message) {
  refused.textContent = message[0].toUpperCase() + message.slice(1) + ".";
  refused.hidden = false;
  document.getElementById("key").select();
}
