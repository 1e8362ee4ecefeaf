// Markdown, turned into DOM nodes: CommonMark with GitHub's tables, tasks, struck words and bare addresses.
// markdown-it reads it; its tokens become elements here, and every piece of the model's text a text node,
// never HTML: whatever the model writes is shown and none of it is run. Its own renderer, which makes HTML,
// is not used; the page's policy forbids HTML from text altogether (Trusted Types).
// Time is linear in the text; what stands deeper than a hundred lists and quotes in each other is left out.

import MarkdownIt from "/static/vendor/markdown-it.esm.min.mjs";
import { element } from "./dom.js";

const ADDRESS = /^https?:\/\//i; // of other schemes some run scripts; without one it would be a page of ours
const TASK = /^\[([ xX])\]\s+/;
const LANGUAGE = /^[\w+#.-]{1,20}(?!\S)/;
const SIDES = { "text-align:right": "right", "text-align:center": "centre" };
const PRODUCT = /^\w\w$/; // what stands on the two sides of a star: 2*x
const POWER = /^(?:\d\w|\w\d)$/; // of two stars: x**2, and not **H**yper**T**ext
const CJK = /[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Hangul}\p{scx=Bopomofo}]/u;
const WHITE = /\s/;

const reader = new MarkdownIt({ breaks: true, linkify: true });
reader.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
reader.validateLink = (address) => ADDRESS.test(address);
reader.normalizeLinkText = (address) => address; // as it is written, so that nothing looks like another place
// A line of marks would make a heading of the line before as soon as a list's first "-" streams in below it;
// and what looks like the definition of a link ("[Note]: careful") would not be shown at all.
reader.disable(["lheading", "reference"]);

/** Finds which marks may begin and end what is emphasised; in three things otherwise than CommonMark does. */
reader.inline.State = class extends reader.inline.State {
  /** canSplitWord: whether the marks are no _, which stands within words */
  scanDelims(start, canSplitWord) {
    const found = super.scanDelims(start, canSplitWord);
    // models write bold with stars, and __init__.py means what it says
    if (!canSplitWord) return found.length > 1 ? { ...found, can_open: false, can_close: false } : found;
    const [before = " ", after = " "] = [this.src[start - 1], this.src[start + found.length]];
    if ((found.length > 1 ? POWER : PRODUCT).test(before + after)) return { ...found, can_open: false };
    // some scripts part no words by spaces, which CommonMark asks for where marks stand beside punctuation
    if (!CJK.test(before + after)) return found;
    return { ...found, can_open: !WHITE.test(after), can_close: !WHITE.test(before) };
  }
};

/** Turn Markdown into nodes. */
export function render(text) {
  return nodesOf(reader.parse(text, {}));
}

/** Nest what tokens stand for. */
function nodesOf(tokens) {
  const open = [document.createDocumentFragment()]; // from the outermost to the innermost
  for (const [at, token] of tokens.entries()) {
    if (token.hidden) continue; // the paragraphs of a list whose items stand close
    if (token.nesting < 0) {
      open.pop();
      continue;
    }
    const within = open.at(-1);
    const [node, inner = node] = made(token, tokens[at - 2], within);
    within.append(node);
    if (token.nesting > 0) open.push(inner);
  }
  return open[0];
}

/**
 * What a token becomes, and where that is not the same, what holds what is nested in it.
 * twoBefore: the token before the one before it, which is the item where it is the first text of one
 */
function made(token, twoBefore, within) {
  switch (token.type) {
    case "text":
      return [document.createTextNode(token.content)];
    case "inline":
      if (twoBefore?.type === "list_item_open") markTask(token.children[0], within.closest("li"));
      return [nodesOf(token.children)];
    case "softbreak":
    case "hardbreak":
      return [element("br")];
    case "code_inline":
      return [element("code", {}, token.content)];
    case "code_block":
    case "fence":
      return [code(token)];
    case "link_open":
      return [link(token, "href")];
    case "image": // never loaded: its server would know who reads
      return [within.nodeName === "A" ? document.createTextNode(token.content) : picture(token)];
    case "heading_open":
      return [element(`h${Math.min(token.markup.length + 2, 5)}`)];
    case "table_open":
      return table();
    case "th_open":
    case "td_open":
      return [cell(token)];
    default:
      return [block(token)];
  }
}

/** Draw the box of a task, where an item's text begins with one. */
function markTask(text, item) {
  const task = text?.type === "text" && TASK.exec(text.content);
  if (!task) return;
  text.content = (task[1] === " " ? "☐ " : "☑ ") + text.content.slice(task[0].length);
  item.className = "task";
}

/** An element without more to it than its name: markdown-it's rules name it, no text does. */
function block(token) {
  const node = element(token.tag);
  const start = token.attrGet("start");
  if (start !== null) node.start = start;
  if (["ul", "ol", "blockquote"].includes(token.tag)) node.dir = "auto"; // its marks stand where its lines begin
  return node;
}

function code(token) {
  const text = element("code", {}, token.content.replace(/\n$/, ""));
  const pre = element("pre", { tabIndex: 0 }, text); // so that the keyboard can scroll it
  const [language] = LANGUAGE.exec(token.info) ?? [];
  if (language) pre.dataset.language = language;
  return pre;
}

/** A link to the address that a token has in an attribute, which is of http or https: no other is a link. */
function link(token, attribute) {
  const href = token.attrGet(attribute);
  const node = element("a", { href, target: "_blank", rel: "noopener noreferrer nofollow" });
  const title = token.attrGet("title");
  if (title) node.title = title;
  return node;
}

function picture(token) {
  const node = link(token, "src");
  node.append(token.content || node.href);
  return node;
}

function table() {
  const inner = element("table");
  const scroller = element("div", { className: "table", dir: "auto", tabIndex: 0 }, inner); // likewise
  scroller.setAttribute("role", "group");
  scroller.setAttribute("aria-label", "Table");
  return [scroller, inner];
}

function cell(token) {
  const node = element(token.tag, { className: SIDES[token.attrGet("style")] }); // no style: the policy forbids it
  if (token.tag === "th") node.scope = "col";
  return node;
}
