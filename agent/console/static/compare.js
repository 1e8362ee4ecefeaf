// Asks two versions the same prompts, and shows what they answer side by side, as text.

const MOST = 8;
const MAX_TOKENS = 96;
const WAIT_MS = 120_000;

/** Take the form of a version's page. */
export function askCompare() {
  const form = document.getElementById("compare");
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    compare(form);
  });
}

async function compare(form) {
  const status = form.querySelector("[role=status]");
  const prompts = form.elements.prompts.value.split("\n").map((line) => line.trim()).filter(Boolean).slice(0, MOST);
  const asked = { a: form.dataset.a, b: form.elements.b.value.trim(), prompts, max_tokens: MAX_TOKENS };
  form.querySelector("button").disabled = true;
  status.textContent = "Both are being asked…";
  try {
    const session = await (await fetch("/operator/session")).json();
    const response = await fetch("/api/versions/compare", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": session.csrf },
      body: JSON.stringify(asked),
      signal: AbortSignal.timeout(WAIT_MS),
    });
    const answer = await response.json();
    if (response.ok) show(answer.answers, asked);
    status.textContent = response.ok ? `${answer.answers.length} asked.` : why(response.status, answer);
  } catch (cause) {
    status.textContent = cause.name === "TimeoutError" ? "It took longer than two minutes: ask fewer prompts." : "The agent cannot be reached.";
  } finally {
    form.querySelector("button").disabled = false;
  }
}

function why(status, answer) {
  const said = answer.error?.message;
  if (status === 404) return said ? `Not known here: ${said}.` : "This agent cannot compare versions.";
  if (status === 409) return `Not now: ${said ?? "another comparison is running"}.`;
  return `Refused: ${said ?? status}.`;
}

function show(answers, { a, b }) {
  const place = document.getElementById("answers");
  place.replaceChildren(...answers.map((one) => {
    const row = element("section", "pair");
    row.append(element("h3", "", one.prompt), answer(a, one.a), answer(b, one.b));
    return row;
  }));
}

function answer(version, { text, tokens, finish }) {
  const box = element("div", "answer");
  const length = Array.isArray(tokens) ? tokens.length : tokens;
  box.append(element("p", "mono muted", version), element("p", "text", text || "(no text)"),
    element("p", "muted small", `${length} tokens, ended by ${finish}`));
  return box;
}

function element(name, className, text = "") {
  const node = document.createElement(name);
  node.className = className;
  node.textContent = text;
  return node;
}
