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

/** The name of this tab, the same after a reload. */
export const TAB = remembered(PLACE) ?? newId();
remember(PLACE, TAB);
