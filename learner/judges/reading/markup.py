"""Reads the words of a message that a mail program or a chat of an office sends as HTML.

What it quotes of earlier messages is left out, as are scripts and styles: it is not what the person
says now.

Knows nothing of who wrote it: a page that was pasted looks alike.
"""

import re
from html.parser import HTMLParser
from typing import Final

# No more of a message is read.
READ_CHARS: Final = 16_384
_BODY: Final = "html|body|div|p|span"
_WHOLE: Final = re.compile(
    rf"\s*(?:<!doctype[^<>]{{0,200}}>\s*)?<(?:{_BODY})(?:\s[^<>]{{0,1000}})?>", re.IGNORECASE
)
_CLOSED: Final = re.compile(rf"</(?:{_BODY})>\s*\Z", re.IGNORECASE)
_LINES: Final = frozenset({"br", "div", "li", "p", "tr", "h1", "h2", "h3", "blockquote"})
_UNREAD: Final = frozenset({"blockquote", "head", "script", "style", "title"})
# The place of a quote, as mail programs name it.
_QUOTE: Final = re.compile(r"quote|yahoo_quoted|appendonsend|divRplyFwdMsg", re.IGNORECASE)
# Tags that nothing closes.
_VOID: Final = frozenset({"br", "hr", "img", "input", "link", "meta", "wbr", "col"})


def words_in_markup(text: str) -> str | None:
    """Return what a person reads of a body in HTML, its quotes left out; None: it is none.

    >>> words_in_markup("<div><p>It&#39;s <b>wrong</b>.<br>Shorter!</p></div>")
    "It's wrong.\\nShorter!"
    >>> words_in_markup("<p>No.</p><blockquote><p>Is it?</p></blockquote></div>")
    'No.'
    >>> words_in_markup("<b>No</b>") is None
    True
    """
    if "<" not in text or len(text) > READ_CHARS:
        return None
    if not _WHOLE.match(text) or not _CLOSED.search(text):
        return None
    reader = _Reader()
    reader.feed(text)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.words).split("\n"))
    return re.sub(r"\n{2,}", "\n\n", "\n".join(lines)).strip()


class _Reader(HTMLParser):
    """Keeps the words that stand in no quote."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._unread: list[str] = []  # the open tags from the first that isn't read on

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = " ".join(value or "" for name, value in attrs if name in ("class", "id"))
        if self._unread or tag in _UNREAD or _QUOTE.search(named):
            if tag not in _VOID:
                self._unread.append(tag)
        elif tag in _LINES:
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unread:
            while self._unread.pop() != tag:
                pass
        elif tag in _LINES and not self._unread:
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.words.append(data)
