// The one way in which text becomes a part of a page: a page of our own, fetched again by htmx. Our
// pages escape every text on the server; a script that is in one all the same is refused here.

const OURS = /<script\b[^>]*\bsrc="\/(?:console|static)\/[^"]*"[^>]*><\/script>/g;

window.trustedTypes?.createPolicy("default", {
  createHTML(html) {
    const without = html.replace(OURS, "");
    if (/<(?:script|iframe|object|embed|base)\b/i.test(without)) throw new TypeError("a page of ours has no such element");
    return without;
  },
});
