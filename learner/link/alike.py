"""Tells whether a text is what a client has made of another: cut, marked, rendered, wrapped.

Where hashes differ, questions and replies are compared here, by what is left of a text when its
signs are taken away: letters and figures. Bold marks, bullets, quotes and links look different
in every client, words do not.

Everything takes time in proportion to the texts, whatever they hold. Knows nothing of turns.
"""

import re
from collections.abc import Iterable
from typing import Final

from learner.link.normal import normal, spoken

# So many letters of a whole text must be left when a client has trimmed it: less stands anywhere.
# Characters of Chinese and Japanese count twice.
LEFT_CHARS: Final = 16
_EASTERN: Final = "\u2e80"
# What clients put where they have left something out.
_GAP: Final = re.compile(r"…|\.{3}|\[(?:\.{3}|…|truncated|cut|stopped)\]|\(truncated\)", re.I)
# What they put behind a reply that somebody has stopped: "[interrupted by user]", "*stopped*", ⏹.
_NOTE: Final = re.compile(
    r"\s*(?:[\[(（【*_]{1,3}[^\[\]()（）【】\n]{2,40}[\])）】*_]{1,3}|[⏹■]\ufe0f?)\s*\Z"
)
# What stands for a reply that was left out: nothing but a note, or dots.
_MARK: Final = re.compile(r"\s*(?:[\[(（【<*_]{1,3}[^\n]{0,60}[\])）】>*_]{1,3}|[.…]*)\s*\Z")
# Where a note may stand, from the end.
_NOTE_CHARS: Final = 60
# Where a link leads; what is read is in front of it.
_TARGET: Final = re.compile(r"\]\([^()\s]{1,400}\)")
_OPENING: Final = re.compile(r"<([a-z][\w-]{0,40})(?:\s[^<>]{0,200})?>", re.IGNORECASE)
# More tagged blocks than these are a document, and not what a client puts around a question.
_MOST_BLOCKS: Final = 32
# What may stand between a short question and the edge of its line: "ann: hi", "[12:03] hi".
_BEFORE: Final = tuple(":]>)：】")
_BEHIND: Final = tuple("<[(")


def bare(text: str) -> str:
    """Return the letters and figures that a text says aloud.

    >>> bare("**Yes**, see [this](https://x.example).") == bare("Yes, see this.")
    True
    """
    return "".join(filter(str.isalnum, normal(_TARGET.sub("]", spoken(text)))))


def comes_from(shown: str, whole: str, *, cut: bool) -> bool:
    """Tell whether a client has made a text of a reply.

    It says the same, or parts of it in their order, or all of it with something around it.
    cut: the reply was cut, so that any beginning of it may be all that was seen

    >>> reply = "Rinse it with cold water, then dab it with soap."
    >>> [comes_from(x, reply, cut=False) for x in ("Rinse it with cold … with soap.", "Rinse it")]
    [True, False]
    """
    letters = bare(whole)
    if not letters:
        return False
    if _size(letters) >= LEFT_CHARS and letters in bare(shown):
        return True
    return any(_is_of(text, letters, cut=cut) for text in (shown, _without_note(shown)))


def is_mark(text: str) -> bool:
    """Tell whether a text only says that something was left out there.

    >>> [is_mark(x) for x in ("[earlier reply omitted]", "…", "Yes. [1]")]
    [True, True, False]
    """
    return _MARK.match(text) is not None


def holds(one: str, other: str) -> bool:
    """Tell whether one of two questions is the other with something around it.

    A short question must stand on a line of its own, perhaps behind a label: its letters are found
    in any text. Blocks in tags are a client's, and may differ.

    >>> holds("<env>a.py</env> Why?", "<env>b.py</env> Why?"), holds("ann: hi", "hi")
    (True, True)
    >>> holds("What is this?", "hi")
    False
    """
    short, long = sorted((_GAP.sub("", one), _GAP.sub("", other)), key=lambda x: len(normal(x)))
    asked = normal(short)
    if asked and asked in normal(long) and (_size(asked) >= LEFT_CHARS or _on_a_line(asked, long)):
        return True
    rests = bare(_without_blocks(one)), bare(_without_blocks(other))
    return bool(rests[0]) and rests[0] == rests[1]


def _is_of(text: str, letters: str, *, cut: bool) -> bool:
    pieces = [piece for piece in map(bare, _GAP.split(spoken(text))) if piece]
    if not pieces:
        return False
    if "".join(pieces) == letters or (cut and letters.startswith(pieces[0]) and len(pieces) == 1):
        return True
    return sum(map(_size, pieces)) >= LEFT_CHARS and _in_order(pieces, letters)


def _size(text: str) -> int:
    return len(text) + sum(char >= _EASTERN for char in text)


def _in_order(pieces: Iterable[str], letters: str) -> bool:
    place = 0
    for piece in pieces:
        found = letters.find(piece, place)
        if found < 0:
            return False
        place = found + len(piece)
    return True


def _without_note(text: str) -> str:
    end = text.rstrip()
    return end[:-_NOTE_CHARS] + _NOTE.sub("", end[-_NOTE_CHARS:])


def _on_a_line(asked: str, text: str) -> bool:
    for line in map(normal, text.splitlines()):
        before, found, behind = line.partition(asked)
        edges = (not before or before.endswith(_BEFORE), not behind or behind.startswith(_BEHIND))
        if found and all(edges):
            return True
    return False


def _without_blocks(text: str) -> str:
    """Return a text without what stands in tags."""
    kept, place = [], 0
    for _ in range(_MOST_BLOCKS):
        opening = _OPENING.search(text, place)
        if opening is None:
            break
        closing = f"</{opening[1]}>"
        end = text.find(closing, opening.end())
        kept.append(text[place : opening.start()])
        place = opening.end() if end < 0 else end + len(closing)
    return "".join([*kept, text[place:]])
