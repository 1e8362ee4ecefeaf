// Hears what changed, and lets htmx fetch what the page shows of it; what the reader opened stays
// open, and what did not change is left alone.

const chip = document.getElementById("live");
const newer = document.getElementById("newer");
const AGAIN_MS = 5000; // until the next try, where the agent refused to tell or to show
const RENEWAL_MS = 30_000; // for the agent to show a part anew; then it is asked again
const RENEWAL = { "X-Renewal": "1" }; // nobody has done anything: a page left open keeps no session alive
const RENEWED = "[data-renewed-by]"; // the part that is made anew: a page has one
const PARTS = ["standing", "page"]; // what comes with it

const seen = JSON.parse(document.body.dataset.marks); // name of a section → its mark, as last shown or told
let looks = ""; // the page as it last came
let asked = false; // the part is on its way: what is triggered meanwhile would go with the old one
let again = false; // something changed meanwhile

/**
 * Follow the agent's changes while the page is seen: a browser has six connections for all tabs of a
 * server, so a tab that nobody looks at holds none, and catches up when somebody does.
 */
export function follow() {
  let source = null;
  let next = 0; // the timer until the next try
  const close = () => {
    clearTimeout(next);
    source?.close();
    source = null;
  };
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource("/live");
    source.addEventListener("changed", ({ data }) => {
      const told = JSON.parse(data);
      tell(Object.keys(told).filter((name) => seen[name] !== told[name]));
      Object.assign(seen, told);
      say("live", "");
    });
    source.addEventListener("error", ({ target }) => {
      if (target !== source) return;
      say("connecting again…", "lost");
      if (target.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      close();
      next = setTimeout(open, AGAIN_MS);
      leaveIfLoggedOut();
    });
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  keep();
  open();
}

/** Fetch what the page shows of some sections. */
export function renew(names) {
  const part = document.querySelector(RENEWED);
  if (!part || !names.some((name) => part.dataset.renewedBy.split(" ").includes(name))) return;
  if (asked) again = true;
  else fetchPart();
}

function fetchPart() {
  asked = true;
  window.htmx.trigger(document.querySelector(RENEWED), "renew");
}

/** The part has come, or does not come. */
function came({ failed = false } = {}) {
  asked = again || failed; // nothing else asks for it until then
  if (failed) setTimeout(fetchPart, AGAIN_MS);
  else if (again) fetchPart();
  again = false;
}

function tell(names) {
  renew(names);
  if (newer && names.some((name) => newer.dataset.of.split(" ").includes(name))) newer.hidden = false;
}

function say(text, state) {
  if (chip.textContent === text) return;
  chip.textContent = text;
  chip.dataset.state = state;
}

async function leaveIfLoggedOut() {
  const response = await fetch("/operator/session", { headers: RENEWAL }).catch(() => null);
  if (response?.status === 401) location.replace("/login");
}

/** Keep what the reader opened and where the reader is, and swap nothing that looks as it did. */
function keep() {
  let settles = false; // the part has come and is being put in
  let open = [];
  let place = null;
  document.body.addEventListener("htmx:configRequest", ({ detail }) => {
    if (!detail.triggeringEvent?.isTrusted) Object.assign(detail.headers, RENEWAL);
    if (detail.elt.matches(RENEWED)) detail.timeout = RENEWAL_MS;
  });
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    const { requestConfig, xhr } = event.detail;
    if (!requestConfig.elt.matches(RENEWED) || xhr.status >= 400) return;
    const fresh = looksOf(xhr.responseText);
    settles = fresh !== looks && fresh !== "";
    event.detail.shouldSwap = settles;
    if (fresh) looks = fresh;
    else leaveIfLoggedOut(); // it is another page
    open = [...document.querySelectorAll("#page details[open][id]")].map(({ id }) => id);
    place = placeOf(document.activeElement);
  });
  document.body.addEventListener("htmx:afterSwap", () => {
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (document.activeElement === document.body) place?.()?.focus({ preventScroll: true });
  });
  document.body.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (!detail.requestConfig.elt.matches(RENEWED) || settles) return;
    came({ failed: !detail.xhr.status || detail.xhr.status >= 500 });
  });
  document.body.addEventListener("htmx:afterSettle", () => {
    if (!settles) return;
    settles = false;
    came();
  });
}

/** How a page looks: what stands within its body, whose own attributes tell the time. Empty: it has no parts. */
function looksOf(html) {
  if (!PARTS.every((id) => html.includes(`id="${id}"`))) return "";
  return html.slice(html.indexOf("<header"));
}

/** How to find an element again in parts that were swapped: by what it leads to. htmx keeps what has an id. */
function placeOf(node) {
  const link = node?.getAttribute("href");
  const details = node?.matches("summary") ? node.parentElement.id : "";
  if (details) return () => document.querySelector(`#${CSS.escape(details)} > summary`);
  if (!link || !node.closest(PARTS.map((id) => `#${id}`).join())) return null;
  const same = () => [...document.querySelectorAll(`#standing a, #page a`)].filter((one) => one.getAttribute("href") === link);
  const at = same().indexOf(node);
  return () => same()[at] ?? same()[0];
}
