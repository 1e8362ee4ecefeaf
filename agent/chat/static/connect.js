// The page /connect: puts in the address under which this browser reaches the server (a proxy in
// front may have another than the server knows) unless settings name it, and copies.

import { byId, toClipboard } from "./dom.js";

const COPIED_MS = 2000; // as long as a button says that it has copied

const { asked } = document.body.dataset;
if (asked && asked !== location.origin) {
  for (const code of document.querySelectorAll("code")) {
    code.textContent = code.textContent.replaceAll(asked, location.origin);
  }
}
for (const button of document.querySelectorAll(".copy-code")) {
  const code = button.parentElement.querySelector("code");
  const name = button.closest("section").querySelector("h3").textContent;
  button.setAttribute("aria-label", `Copy for ${name}`);
  button.hidden = false;
  button.addEventListener("click", async () => {
    const copied = await toClipboard(code.textContent);
    byId("copied").textContent = copied ? `Copied for ${name}.` : "This browser does not let the page copy.";
    button.textContent = copied ? "Copied" : "Not allowed";
    setTimeout(() => (button.textContent = "Copy"), COPIED_MS);
  });
}
