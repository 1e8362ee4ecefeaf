// Hears what changed, and lets htmx fetch what the page shows of it; what the reader opened stays
// open, and what did not change is left alone.

const chip = document.getElementById("live");
const newer = document.getElementById("newer");
const AGAIN_MS = 5000; // until the next try, where the agent refused to tell
const RENEWAL = { "X-Renewal": "1" }; // nobody has done anything: a page left open keeps no session alive
const shown = new Map(); // id of a part → its HTML as it last came

/**
 * Follow the agent's changes while the page is seen: a browser has six connections for all tabs of a
 * server, so a tab that nobody looks at holds none, and catches up when somebody does.
 */
export function follow() {
  let source = null;
  let lost = false; // something may have changed that was not told
  let again = 0; // the timer until the next try
  const close = () => {
    clearTimeout(again);
    source?.close();
    source = null;
    lost = true;
  };
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource("/live");
    let known = false;
    source.addEventListener("changed", ({ data }) => {
      if (known || lost) tell(JSON.parse(data));
      known = true;
      lost = false;
      say("live", ""); // not before: what changes until now is not told
    });
    source.addEventListener("error", ({ target }) => {
      if (target !== source) return;
      lost = true;
      say("connecting again…", "lost");
      if (target.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      close();
      again = setTimeout(open, AGAIN_MS);
      leaveIfLoggedOut();
    });
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  lost = document.hidden;
  open();
  keep();
}

function tell(names) {
  for (const name of names) window.htmx?.trigger(document.body, `changed-${name}`);
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

/** Keep what the reader opened, and swap nothing that looks as it did. */
function keep() {
  let open = [];
  document.body.addEventListener("htmx:configRequest", ({ detail }) => {
    if (!detail.triggeringEvent?.isTrusted) Object.assign(detail.headers, RENEWAL);
  });
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    const { target, xhr } = event.detail;
    if (xhr.status >= 400) return;
    if (shown.get(target.id) === xhr.responseText) event.detail.shouldSwap = false;
    shown.set(target.id, xhr.responseText);
    open = [...document.querySelectorAll("#page details[open][id]")].map(({ id }) => id);
  });
  document.body.addEventListener("htmx:afterSwap", () => {
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  });
}
