// The stream of changes from the agent, kept open for as long as the page is.

const AGAIN_MS = 2000;

/**
 * Call `onSections` with every change, and `onState` with "live" or "away" when that changes.
 * A session that has ended leads to the login page.
 */
export function follow({ onOpen, onSections, onState }) {
  const source = new EventSource("/operator/events");
  source.addEventListener("open", () => {
    onState("live");
    onOpen();
  });
  source.addEventListener("sections", (event) => onSections(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    onState("away");
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    setTimeout(() => again({ onOpen, onSections, onState }), AGAIN_MS);
  });
}

async function again(handlers) {
  const response = await fetch("/operator/session").catch(() => null);
  if (response?.status === 401) location.replace("/login");
  else follow(handlers);
}
