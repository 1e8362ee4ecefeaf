"""A reply's parts without the texts that say nothing, for APIs in which a part is an item.

Between two calls a model writes a line break, which would be an item of its own. White space waits
for the next text that says something, and is its beginning, so that a client that sends the items
back sends the reply's text; what waits at the end is left out, as the hash chain does with it.

Knows no API's JSON.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from agent.turn.reply import Part, PartBegun, PartEnded, Piece, ReplyEvent, joined


def told_parts(parts: Iterable[tuple[Part, str]]) -> list[tuple[Part, str]]:
    r"""The parts of a whole reply that say something, numbered anew.

    >>> [(part.number, text) for part, text in told_parts([(Part(0), "\n"), (Part(1), "a")])]
    [(0, '\na')]
    """
    pieces = told_pieces(Piece(part, text, ()) for part, text in parts)
    return [(piece.part, piece.text) for piece in pieces]


def told_pieces(pieces: Iterable[Piece]) -> list[Piece]:
    """The same of parts that are each one piece, with the tokens of what it says.

    pieces: agent.turn.own.told.ToldReply.pieces
    """
    told: list[Piece] = []
    blank: list[Piece] = []
    for piece in pieces:
        part, before = replace(piece.part, number=len(told)), list[Piece]()
        if part.is_text and not piece.text.strip():
            blank.append(piece)
            continue
        if part.is_text:
            before, blank = blank, []
        told.append(joined(part, [*before, piece]))
    return told


class Parts:
    """The same of the events of a growing reply."""

    def __init__(self) -> None:
        """Begin with nothing told."""
        self._number = -1  # of the part that was begun last
        self._waiting: list[Piece] = []  # white space
        self._blank = False  # whether the text that grows says nothing so far
        self._before = ""  # what waited when it began

    def told(self, events: Sequence[ReplyEvent]) -> Iterator[ReplyEvent]:
        """Yield the events of parts that say something; all others are yielded as they are."""
        for event in events:
            match event:
                case PartBegun(part) if part.is_text:
                    self._blank = True
                    self._before = "".join(piece.text for piece in self._waiting)
                case PartBegun(part):
                    yield self._begin(part)
                case Piece(part, text, _) if part.is_text and self._blank:
                    self._waiting.append(event)
                    if text.strip():
                        yield self._begin(part)
                        yield from (replace(e, part=self._numbered(part)) for e in self._waiting)
                        self._waiting.clear()
                case Piece(part):
                    yield replace(event, part=self._numbered(part))
                case PartEnded(part, text) if part.is_text:
                    if not self._blank:
                        yield PartEnded(self._numbered(part), self._before + text)
                    self._blank = False
                case PartEnded(part):
                    yield replace(event, part=self._numbered(part))
                case _:
                    yield event

    def _begin(self, part: Part) -> PartBegun:
        self._number, self._blank = self._number + 1, False
        return PartBegun(self._numbered(part))

    def _numbered(self, part: Part) -> Part:
        return replace(part, number=self._number)
