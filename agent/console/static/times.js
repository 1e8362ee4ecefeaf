// Tells moments as people do: how long ago, or how long still; exactly, when pointed at.

const TICK_MS = 1000;
const STEPS = [[60, "s"], [60, "min"], [24, "h"], [365, "days"]];

const skew = Number(document.body.dataset.now) - Date.now(); // the agent's clock less this one's

/** Tell every moment on the page, and again as time goes on. */
export function tellTimes() {
  renew();
  setInterval(renew, TICK_MS);
  document.body.addEventListener("htmx:afterSettle", renew);
}

function renew() {
  const now = Date.now() + skew;
  for (const node of document.querySelectorAll("time[data-ms]")) {
    const ms = Number(node.dataset.ms);
    node.dateTime ||= new Date(ms).toISOString();
    node.title ||= new Date(ms).toLocaleString();
    write(node, `${node.dataset.before ?? ""}${length(now - ms)} ago`);
  }
  for (const node of document.querySelectorAll(".countdown")) {
    const left = Number(node.dataset.until) - now;
    const { before, over } = node.dataset;
    write(node, left > 0 ? (before ? `${before}${length(left)}` : `${length(left)} more`) : over);
  }
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function length(ms) {
  let value = Math.max(0, ms / 1000);
  let at = 0;
  while (at < STEPS.length - 1 && value >= STEPS[at][0]) value /= STEPS[at++][0];
  return `${Math.floor(value)} ${STEPS[at][1]}`;
}
