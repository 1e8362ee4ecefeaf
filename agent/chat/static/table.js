// Tables of Markdown, in the form of GitHub: a row of heads, a row of dashes, rows of cells.
// Cells enter as nodes that the caller makes of their text.

const DASHES = /^\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?$/;
const MAX_COLUMNS = 50; // wider is no table for people

/** Whether a table begins at a line. */
export function isTable(lines, at) {
  const dashes = lines[at + 1];
  if (dashes === undefined || !lines[at].includes("|") || !dashes.includes("-") || !DASHES.test(dashes.trim())) return false;
  const heads = cells(lines[at]).length;
  return heads <= MAX_COLUMNS && heads === cells(dashes).length;
}

/** Append the table that begins at a line; returns the line behind it. */
export function table(lines, start, out, inline) {
  const heads = cells(lines[start]);
  const sides = cells(lines[start + 1]).map(sideOf);
  let end = start + 2;
  while (end < lines.length && lines[end].includes("|") && lines[end].trim()) end += 1;
  const head = document.createElement("thead");
  head.append(row(heads, "th", sides, inline));
  const body = document.createElement("tbody");
  for (const line of lines.slice(start + 2, end)) body.append(row(cells(line), "td", sides, inline));
  const node = document.createElement("table");
  node.append(head, ...(body.rows.length ? [body] : []));
  const scroller = document.createElement("div");
  scroller.className = "table";
  scroller.tabIndex = 0; // so that the keyboard can scroll it
  scroller.setAttribute("role", "group");
  scroller.setAttribute("aria-label", "Table");
  scroller.append(node);
  out.append(scroller);
  return end;
}

function row(texts, name, sides, inline) {
  const node = document.createElement("tr");
  sides.forEach((side, at) => {
    const cell = document.createElement(name);
    if (name === "th") cell.scope = "col";
    if (side) cell.className = side;
    cell.append(inline(texts[at] ?? ""));
    node.append(cell);
  });
  return node;
}

function sideOf(dashes) {
  if (!dashes.endsWith(":")) return "";
  return dashes.startsWith(":") ? "centre" : "right";
}

/** The cells of a line; a pipe behind a backslash is a pipe, and so is one in code. */
function cells(line) {
  const found = [""];
  let code = false;
  for (const piece of line.trim().split(/(\\\||`|\|)/)) {
    if (piece === "|" && !code) found.push("");
    else {
      if (piece === "`") code = !code;
      found[found.length - 1] += piece === "\\|" ? "|" : piece;
    }
  }
  if (found.length > 1 && !found[0].trim()) found.shift();
  if (found.length > 1 && !found.at(-1).trim()) found.pop();
  return found.map((cell) => cell.trim());
}
