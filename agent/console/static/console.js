// Starts what a page needs beside its HTML: it stays fresh, tells times, takes keys and verbs.

import { drawCharts } from "./charts.js";
import { askCompare } from "./compare.js";
import { takeKeys } from "./keys.js";
import { follow } from "./live.js";
import { tellTimes } from "./times.js";
import { takeVerbs } from "./verbs.js";

tellTimes();
takeKeys();
takeVerbs();
askCompare();
drawCharts();
follow();

document.getElementById("menu").open = matchMedia("(min-width: 60rem)").matches;

document.addEventListener("click", async ({ target }) => {
  const path = target.dataset?.digest;
  if (!path) return;
  const output = target.parentElement.querySelector("output");
  const answer = await fetch(path).then((response) => response.json()).catch(() => null);
  output.textContent = answer?.sha256 ?? answer?.error?.message ?? "the agent cannot be reached";
});
