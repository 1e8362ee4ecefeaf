// Builds and renews pieces of the page. Strings become text nodes: nothing here makes HTML of them.

/** Make an element: properties by name, children as nodes, strings, or nothing. */
export function el(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "on") for (const [type, handler] of Object.entries(value)) node.addEventListener(type, handler);
    else if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

/**
 * Make a list show `items`, keeping the node of every item that did not change, so that what the
 * reader opened, selected or focused stays as it is.
 */
export function sync(list, items, { key, create }) {
  const before = list.nodes ?? new Map();
  const after = new Map();
  for (const item of items) {
    const text = JSON.stringify(item);
    const old = before.get(key(item));
    if (old?.text === text) {
      after.set(key(item), old);
      continue;
    }
    const node = create(item);
    if (old) keepOpen(old.node, node);
    after.set(key(item), { node, text });
  }
  list.nodes = after;
  place(list, [...after.values()].map(({ node }) => node));
}

/** Like `sync`, but show the `first` items only until the reader asks for the rest. */
export function syncShort(list, items, { first, noun, ...rest }) {
  list.more ??= moreButton(list);
  list.again = () => syncShort(list, items, { first, noun, ...rest });
  const hidden = list.whole ? 0 : items.length - first;
  list.more.hidden = hidden <= 0;
  list.more.textContent = `Show ${hidden} more ${noun}`;
  sync(list, hidden > 0 ? items.slice(0, first) : items, rest);
}

/** Show a sentence instead of a list. */
export function syncEmpty(list, ...sentence) {
  if (list.more) list.more.hidden = true;
  sync(list, [sentence.map(String)], { key: () => "empty", create: ([strong, rest]) => el("p", { className: "empty" }, el("b", {}, strong), rest) });
}

function moreButton(list) {
  const show = () => {
    list.whole = true;
    list.again();
  };
  const button = el("button", { className: "more", type: "button", on: { click: show } });
  list.after(button);
  return button;
}

function keepOpen(old, node) {
  if (node.localName === "details") node.open = old.open;
}

/** Put nodes in order and move none that stands where it should: a moved node loses its focus. */
function place(list, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...list.childNodes]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (list.childNodes[index] !== node) list.insertBefore(node, list.childNodes[index] ?? null);
  });
}
