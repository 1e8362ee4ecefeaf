// A conversation as a file: JSON with every branch and verdict, or Markdown of what is shown.

const SPEAKERS = { user: "You", assistant: "Quickset", tool: "Result of a tool" };

/** Everything that is kept of a conversation. */
export function asJson(conversation) {
  const { head, ...record } = conversation.record;
  return `${JSON.stringify({ format: "quickset-conversation", version: 1, ...record, shown: head, messages: conversation.all() }, null, 2)}\n`;
}

/** The shown path, as somebody reads it. */
export function asMarkdown(conversation) {
  const parts = [`# ${oneLine(conversation.record.title) || "Conversation"}`];
  for (const { role, version, content, calls } of conversation.path()) {
    parts.push(`## ${SPEAKERS[role]}${version ? ` (version ${oneLine(version)})` : ""}`);
    if (content) parts.push(content);
    for (const call of calls ?? []) parts.push(`Called \`${oneLine(call.name)}\` with`, fenced(call.arguments));
  }
  return `${parts.join("\n\n")}\n`;
}

/** Hand a text to the browser as a file to be saved. */
export function download(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // some browsers read it later than the click
}

/** A file's name that every system takes. */
export function fileName(title, ending) {
  const plain = title.normalize("NFKD").replace(/[^\w\- ]+/g, "").trim().replace(/\s+/g, "-").slice(0, 50);
  return `${plain || "conversation"}.${ending}`;
}

function oneLine(text) {
  return text.replace(/\s+/g, " ").trim();
}

/** A block of code whose fence is longer than any inside it. */
function fenced(text) {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}json\n${text}\n${fence}`;
}
