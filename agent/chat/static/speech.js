// What a screen reader hears of a reply while it streams: whole sentences, politely, each once.
// The log itself is silent, as it would be read again from its beginning at every token.

const SENTENCE = /[.!?:;…](?=\s)|\n/g;
const LONGEST = 300; // characters without a mark of punctuation, after which a space will do

/** Says a growing text into a live region, sentence by sentence. */
export class Speech {
  #said = 0;

  constructor(region) {
    this.region = region;
  }

  /** A reply begins. */
  begin() {
    this.#said = 0;
    this.region.replaceChildren();
  }

  /** The text so far. */
  grown(text) {
    const rest = text.slice(this.#said);
    let end = 0;
    for (const match of rest.matchAll(SENTENCE)) end = match.index + match[0].length;
    if (!end && rest.length > LONGEST) end = rest.lastIndexOf(" ");
    if (end > 0) this.#say(rest.slice(0, end));
  }

  /** The reply has ended, with this text. */
  end(text, state = "") {
    this.#say(`${text.slice(this.#said)} ${state}`);
  }

  /** Say something of the page's own. */
  tell(text) {
    this.region.append(line(text));
  }

  #say(text) {
    this.#said += text.length;
    if (text.trim()) this.region.append(line(text.trim()));
  }
}

function line(text) {
  const node = document.createElement("p");
  node.textContent = text;
  return node;
}
