"""A reply's parts without the texts that say nothing, for APIs in which a part is an item.

Between two calls a model writes a line break, which would be an item of its own. A text begins with
its first character that is not white space, then with all that came before it.

Knows no API's JSON.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from agent.turn.reply import Part, PartBegun, PartEnded, Piece, Reply, ReplyEvent


def told_parts(reply: Reply) -> list[tuple[Part, str]]:
    """The parts of a reply that say something, numbered anew, each with what it says."""
    told = [(part, text) for part, text in reply.parts if part.call or text.strip()]
    return [(replace(part, number=n), text) for n, (part, text) in enumerate(told)]


class Parts:
    """The same of the events of a growing reply."""

    def __init__(self) -> None:
        """Begin with nothing told."""
        self._number = -1  # of the part that was begun last
        self._held: list[Piece] = []  # of a text that says nothing so far
        self._blank = False

    def told(self, events: Sequence[ReplyEvent]) -> Iterator[ReplyEvent]:
        """Yield the events of parts that say something; all others are yielded as they are."""
        for event in events:
            match event:
                case PartBegun(part) if part.call is None:
                    self._blank = True
                case PartBegun(part):
                    yield self._begin(part)
                case Piece(part, text, _) if self._blank and not text.strip():
                    self._held.append(event)
                case Piece(part):
                    if self._blank:
                        yield self._begin(part)
                    for held in (*self._held, event):
                        yield replace(held, part=self._numbered(part))
                    self._held.clear()
                case PartEnded() if self._blank:
                    self._blank = False
                    self._held.clear()
                case PartEnded(part):
                    yield replace(event, part=self._numbered(part))
                case _:
                    yield event

    def _begin(self, part: Part) -> PartBegun:
        self._number, self._blank = self._number + 1, False
        return PartBegun(self._numbered(part))

    def _numbered(self, part: Part) -> Part:
        return replace(part, number=self._number)
