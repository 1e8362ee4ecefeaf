"""Tells what is left of a text in every client: the letters and figures that a person reads.

Clients render Markdown, or keep it; they lose addresses, sources, the language of code, the
numbers of lists, and write signs by their names. Two texts that differ in nothing else have the
same letters. They are for comparing, and never for hashes that are kept: what is left out here may
change from build to build. What clients put beside them in tags can be taken out first.

Linear in the text's length, whatever it holds.
"""

import re
import unicodedata
from typing import Final

from learner.link.normal import normal, spoken, unescaped

# Escaped by a page, a database and a client, each once more.
_ESCAPED: Final = 3
# What is written, and not read aloud. In this order: where a link leads, with its title; where
# references lead; addresses; marks of sources; the language of code; tags of HTML; names of signs.
_UNREAD: Final = tuple(
    re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for pattern in (
        r"(?<=\])\([^()\s]{1,400}(?:\s\"[^\"\n]{0,200}\")?\)",
        r"^[ \t]{0,3}\[[^\]\n]{1,40}\]:[ \t]\S{1,400}.{0,200}$",
        r"https?://[^\s|<>()\"']{1,400}",
        r"\[\^\w{1,20}\^?\]|(?<=[\s.,;:!?)\]])\[\d{1,3}\]|【[^】\n]{1,40}】",
        r"^[ \t]{0,8}(?:`{3,8}|~{3,8})[ \t]?[\w+#.-]{1,30}[ \t]*$",
        r"</?(?:a|b|blockquote|br|code|del|div|em|h[1-6]|hr|i|img|li|ol|p|pre|s|span|strong|su[bp]"
        r"|table|tbody|td|th|thead|tr|u|ul|assistant|(?:final_)?answer|output|reply|response)(?:\s[^<>=]{0,200}=[^<>]{0,400})?\s?/?>",
        r"<\|(?:begin|end)_of_solution\|>",
        r":(?:[a-z][a-z0-9_+-]{0,40}|[+-]1):",
    )
)
# Tags that begin a line.
_LINES: Final = re.compile(r"</?(?:br|div|h[1-6]|li|p|pre|tr)\s?/?>", re.IGNORECASE)
# A list is counted anew, or not at all; one number alone may be a date.
_NUMBER: Final = re.compile(r"^[ \t]{0,8}\d{1,3}[.)][ \t]", re.MULTILINE)
# More tagged blocks than these are a document, and not what a client puts around a question.
_MOST_BLOCKS: Final = 32
# What clients call the words of the person in tags.
_ASKED: Final = re.compile(
    r"</?(?:(?:the|users?|human|person|customer|current|new|newest|latest|last|original)[_-]?){0,2}"
    r"(?:ask|feedback|frage|goal|input|instruction|message|pregunta|problem|prompt|query|question"
    r"|request|task)(?:\s[^<>]{0,200})?>",
    re.IGNORECASE,
)


def read(text: str) -> str:
    """Return what a person reads of a text, in its lines.

    >>> read("1. See [this](https://x.example).\\n2. <b>Go</b>").split()
    ['See', '[this]', '.', 'Go']
    """
    text = _LINES.sub("\n", spoken(unescaped(text, times=_ESCAPED)))
    for unread in _UNREAD:
        text = unread.sub(" ", text)
    return _NUMBER.sub("", text) if len(_NUMBER.findall(text)) > 1 else text


def letters(text: str) -> str:
    """Return the letters and figures of what is read.

    >>> letters("Use ½ cup — twice!")
    'Use12cuptwice'
    """
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", normal(text))))


def bare(text: str) -> str:
    """Return the letters and figures that are read of a text.

    >>> bare("**Yes**, see [this](https://x.example).") == bare("<p>Yes, see this.</p>")
    True
    """
    return letters(read(text))


def untagged(text: str) -> str:
    r"""Return a text without the tags around what is asked; what stands between them stays.

    >>> untagged("<env>Linux</env><user_query>Why?</user_query>")
    '<env>Linux</env>\nWhy?\n'
    """
    return _ASKED.sub("\n", text)


def without_blocks(text: str, opening: re.Pattern[str]) -> str:
    r"""Return a text without what stands in some tags; of one left open the tag alone goes.

    opening: finds an opening tag; its first group is the name

    >>> without_blocks("<env>Linux</env>Too <b>long.", re.compile("<(env|b)>"))
    '\nToo \nlong.'
    """
    kept, place = [], 0
    for _ in range(_MOST_BLOCKS):
        found = opening.search(text, place)
        if found is None:
            break
        closing = f"</{found[1]}>"
        end = text.find(closing, found.end())
        kept.append(text[place : found.start()])
        place = found.end() if end < 0 else end + len(closing)
    return "\n".join([*kept, text[place:]])
