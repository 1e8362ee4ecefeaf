// Numbers and times as people read them.

let skewMs = 0; // this browser's clock, minus the agent's

/** Take the agent's time, so that "2 min ago" is right on a machine with another clock. */
export function setClock(agentNowMs) {
  skewMs = Date.now() - agentNowMs;
}

export function nowMs() {
  return Date.now() - skewMs;
}

/** Say how long ago a moment is: "now", "40 s ago", "5 min ago", "3 h ago", "2 days ago". */
export function ago(ms) {
  const seconds = Math.max(0, (nowMs() - ms) / 1000);
  if (seconds < 5) return "now";
  return `${duration(seconds)} ago`;
}

/** Give a duration in the largest unit that fits. */
export function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** Give the time of day. */
export function clock(ms) {
  return CLOCK.format(ms);
}

/** Give the whole date and time. */
export function moment(ms) {
  return DAY.format(ms);
}

/** Give a number with its sign and two places: "+0.25", "−0.50". */
export function signed(number) {
  return `${number < 0 ? "−" : "+"}${Math.abs(number).toFixed(2)}`;
}

/** Give a small number in few digits: "0.123", "0.00042". */
export function small(number) {
  return Number(number.toPrecision(3)).toString().replace("-", "−");
}

export function percent(share) {
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

/** Count things: "1 turn", "3 turns". */
export function count(number, noun) {
  return `${number.toLocaleString()} ${noun}${number === 1 ? "" : "s"}`;
}

/** Make a sentence's first letter large. */
export function sentence(text) {
  return text && text[0].toUpperCase() + text.slice(1);
}
