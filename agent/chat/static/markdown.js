// A subset of Markdown, turned into DOM nodes: headings, lists, quotes, rules, code, tables, bold,
// italic and links. Every piece of the model's text enters the page as a text node, never as HTML, so
// whatever it writes is shown and none of it is run: that is why no renderer to HTML with a sanitiser
// behind it stands here; the page's policy forbids HTML from text altogether (Trusted Types).
// Time is linear in the text.

import { isTable, table } from "./table.js";

const MAX_DEPTH = 5; // deeper lists and quotes are shown flat

const INLINE = new RegExp(
  [
    "(?<ticks>`{1,3})(?<code>[^`\\n]+)\\k<ticks>",
    "\\*\\*(?<bold>[^\\s*][^*\\n]{0,2000})\\*\\*",
    "(?<![\\w*])\\*(?<star>[^\\s*][^*\\n]{0,2000})\\*(?![\\w*])",
    "(?<![\\w_])_(?<under>[^\\s_][^_\\n]{0,2000})_(?![\\w_])",
    "\\[(?<label>[^\\[\\]\\n]{1,500})\\]\\((?<target>https?://[^\\s()<>]{1,2000})\\)",
    "(?<url>https?://[^\\s<>\"'`)\\]]{1,2000}[^\\s<>\"'`)\\].,;:!?])",
  ].join("|"),
  "g",
);

// s: in what stands behind white space are line ends of other kinds than \n, too, and (?=\S|$) leaves one
// way to part the two; else a line of them would take its length squared.
const BULLET = /^(\s*)[-*+]\s+(?=\S|$)(.*)$/s;
const NUMBER = /^(\s*)(\d{1,9})[.)]\s+(?=\S|$)(.*)$/s;
const HEADING = /^(#{1,6})\s+(?=\S|$)(.*)$/s;
const RULE = /^\s*([-*_])\s*(?:\1\s*){2,}$/;
const FENCE = /^\s*(`{3,}(?=[^`]*$)|~{3,})\s*([\w+#.-]{0,20})/; // backticks later in the line: code in a sentence
const QUOTE = /^\s*>\s?(.*)$/s;

/** Turn Markdown into nodes. */
export function render(text) {
  return blocks(text.replaceAll("\r\n", "\n").split("\n"), 0);
}

function blocks(lines, depth) {
  const out = document.createDocumentFragment();
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    if (!line.trim()) at += 1;
    else if (FENCE.test(line)) at = fence(lines, at, out);
    else if (HEADING.test(line)) at = heading(line, at, out);
    else if (RULE.test(line)) at = append(out, element("hr"), at + 1);
    else if (isTable(lines, at)) at = table(lines, at, out, inline);
    else if (depth < MAX_DEPTH && QUOTE.test(line)) at = quote(lines, at, out, depth);
    else if (depth < MAX_DEPTH && isItem(line)) at = list(lines, at, out, depth);
    else at = paragraph(lines, at, out, depth);
  }
  return out;
}

function fence(lines, start, out) {
  const [, mark, language] = FENCE.exec(lines[start]);
  let end = start + 1;
  while (end < lines.length && !closes(lines[end].trim(), mark)) end += 1;
  const code = element("code", document.createTextNode(lines.slice(start + 1, end).join("\n")));
  const pre = element("pre", code);
  pre.tabIndex = 0; // so that the keyboard can scroll it
  if (language) pre.dataset.language = language;
  return append(out, pre, end + 1);
}

/** Whether a line ends a fence: at least as many of its signs, and nothing else. */
function closes(line, mark) {
  return line.startsWith(mark) && line === mark[0].repeat(line.length);
}

function heading(line, at, out) {
  const [, marks, text] = HEADING.exec(line);
  return append(out, element(`h${Math.min(marks.length + 2, 5)}`, inline(closed(text))), at + 1);
}

/** The text of a heading without the marks that may stand behind it. */
function closed(text) {
  let end = text.trimEnd().length;
  while (text[end - 1] === "#") end -= 1;
  return text.slice(0, end).trimEnd();
}

function quote(lines, start, out, depth) {
  let end = start;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  const inner = lines.slice(start, end).map((line) => QUOTE.exec(line)[1]);
  return append(out, element("blockquote", blocks(inner, depth + 1)), end);
}

function list(lines, start, out, depth) {
  const ordered = NUMBER.test(lines[start]);
  const indent = lines[start].search(/\S/);
  const node = element(ordered ? "ol" : "ul");
  const first = ordered ? Number(NUMBER.exec(lines[start])[2]) : 1;
  if (first !== 1) node.start = first;
  let at = start;
  while (at < lines.length && isItem(lines[at], ordered) && lines[at].search(/\S/) <= indent + 1) {
    const inner = [ordered ? NUMBER.exec(lines[at])[3] : BULLET.exec(lines[at])[2]];
    at += 1;
    while (at < lines.length && belongs(lines, at, indent)) {
      inner.push(lines[at].slice(Math.min(lines[at].search(/\S|$/), indent + 2)));
      at += 1;
    }
    node.append(item(inner, depth));
    while (at + 1 < lines.length && !lines[at].trim() && isItem(lines[at + 1], ordered)) at += 1;
  }
  return append(out, node, at);
}

function item(lines, depth) {
  const content = blocks(lines, depth + 1);
  const first = content.firstChild;
  if (first?.nodeName === "P") first.replaceWith(...first.childNodes);
  return element("li", content);
}

function belongs(lines, at, indent) {
  if (lines[at].trim()) return lines[at].search(/\S/) > indent + 1;
  return at + 1 < lines.length && lines[at + 1].search(/\S/) > indent + 1;
}

function paragraph(lines, start, out, depth) {
  let end = start + 1;
  while (end < lines.length && !startsBlock(lines[end], depth) && !isTable(lines, end)) end += 1;
  const node = element("p");
  lines.slice(start, end).forEach((line, index) => {
    if (index) node.append(element("br"));
    node.append(inline(line.trim()));
  });
  return append(out, node, end);
}

function startsBlock(line, depth) {
  if (!line.trim() || FENCE.test(line) || HEADING.test(line) || RULE.test(line)) return true;
  return depth < MAX_DEPTH && (QUOTE.test(line) || isItem(line));
}

function isItem(line, ordered) {
  if (ordered === undefined) return BULLET.test(line) || NUMBER.test(line);
  return (ordered ? NUMBER : BULLET).test(line);
}

function inline(text) {
  const out = document.createDocumentFragment();
  let last = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > last) out.append(text.slice(last, match.index));
    out.append(span(match.groups));
    last = match.index + match[0].length;
  }
  out.append(text.slice(last));
  return out;
}

function span({ code, bold, star, under, label, target, url }) {
  if (code !== undefined) return element("code", document.createTextNode(code));
  if (bold !== undefined) return element("strong", inline(bold));
  if (star !== undefined || under !== undefined) return element("em", inline(star ?? under));
  const link = element("a", document.createTextNode(label ?? url));
  link.href = target ?? url; // http or https: the pattern allows nothing else
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow";
  return link;
}

function element(name, ...children) {
  const node = document.createElement(name);
  node.append(...children);
  return node;
}

function append(out, node, next) {
  out.append(node);
  return next;
}
