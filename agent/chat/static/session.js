// What a tab remembers until it is closed: over reloads too, where the browser lets a page do that.

import { newId } from "./ids.js";

const held = new Map();

/** What was remembered in a place; null where nothing was. */
export function remembered(place) {
  try {
    return sessionStorage.getItem(place) ?? held.get(place) ?? null;
  } catch {
    return held.get(place) ?? null;
  }
}

/** Remember a text in a place; nothing, where it is empty. */
export function remember(place, text) {
  if (text) held.set(place, text);
  else held.delete(place);
  try {
    if (text) sessionStorage.setItem(place, text);
    else sessionStorage.removeItem(place);
  } catch {
    // forbidden, or full: until the next reload
  }
}

const PLACE = "quickset.tab";
const LOCK_MS = 500; // a reload's old page lets go of the name by then

/** The name of this tab, the same after a reload; a tab that was duplicated has one of its own. */
export const TAB = await nameOfTab();

async function nameOfTab() {
  const before = remembered(PLACE); // a duplicate remembers all that its original does
  if (before && (await hold(before))) return before;
  const name = newId();
  hold(name);
  remember(PLACE, name);
  return name;
}

/** Hold a name until the tab closes; resolves to whether no other tab does, as far as can be told. */
function hold(name) {
  if (!navigator.locks) return Promise.resolve(true); // the browser has them where a page is secure
  return new Promise((resolve) => {
    const held = () => {
      resolve(true);
      return new Promise(() => {});
    };
    const signal = AbortSignal.timeout(LOCK_MS);
    navigator.locks.request(`${PLACE}.${name}`, { signal }, held).catch(() => resolve(false));
  });
}
