"""Reads a next state as what a person said after a reply, in its context, for every judge alike.

A judge that reads words must know first whose words they are: text of programs and tools, quoted
and pasted text, and the answer to a question that the agent asked say nothing about the reply,
whatever they say. What is left comes with what question and reply were about.

Knows nothing of verdicts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from learner.judges.reading import origin
from learner.judges.reading.asking import Asks, asks, ending, invites
from learner.judges.reading.quoting import without_reply
from learner.judges.reading.text import Clause, clauses, is_cjk, tokens, without_quotes
from learner.judges.reading.wrapping import unwrapped
from learner.link.conversation import Link
from streams.records import Message, Turn

# Of question and reply this much is enough to know what they are about.
CONTEXT_CHARS: Final = 4000


@dataclass(frozen=True, slots=True)
class Reading:
    """What came after a reply, and what it may be about."""

    said: str  # the user's messages, as typed
    origin: origin.Origin
    clauses: tuple[Clause, ...]
    asks: Asks
    asked: str  # the user's message before the reply
    reply: str
    _asked_about: frozenset[str]
    _replied_about: frozenset[str]

    @property
    def question(self) -> str:
        """What the reply asks at its end, with what stands behind it."""
        return ending(self.reply)

    def shared(self, token: str) -> bool:
        """Tell whether a word stands in the question or in the reply."""
        return token in self._asked_about or token in self._replied_about

    def asked_about(self, token: str) -> bool:
        """Tell whether a word stands in the question."""
        return token in self._asked_about

    def replied_about(self, token: str) -> bool:
        """Tell whether a word stands in the reply."""
        return token in self._replied_about


def read(turn: Turn, link: Link) -> Reading | None:
    """Read what a user said after the reply; None when no user has spoken yet."""
    said = words_of(link.messages)
    if not said:
        return None
    last = next((m for m in reversed(turn.messages) if m.role == "user"), None)
    asked, said = unwrapped(words_of([last] if last else []), said)
    reply = turn.reply.content or ""
    return read_text(asked, reply, without_reply(said, reply))


@lru_cache(maxsize=256)
def read_text(asked: str, reply: str, said: str) -> Reading:
    """Read what was said after a reply to a question."""
    return Reading(
        said=said,
        origin=_origin(asked, reply, said),
        clauses=clauses(said),
        asks=asks(reply, said),
        asked=asked,
        reply=reply,
        _asked_about=_about(asked),
        _replied_about=_about(reply),
    )


def _origin(asked: str, reply: str, said: str) -> origin.Origin:
    """Whose text it is; what the reply asked for is handed over, whatever it looks like."""
    found = origin.origin(said)
    if found == "pasted" and "\n" not in said:
        found = origin.origin(without_quotes(said, reply))  # 'drop the "Dear Sir"'
    return "pasted" if found == "person" and invites(asked, reply) else found


def words_of(messages: Sequence[Message]) -> str:
    """Join the words of the users among some messages."""
    return "\n".join(m.content for m in messages if m.role == "user" and m.content).strip()


def _about(text: str) -> frozenset[str]:
    """The words of a text; of Chinese and Japanese, its pairs of characters."""
    found = tokens(text if len(text) <= CONTEXT_CHARS else text[:CONTEXT_CHARS])
    pairs = (a + b for a, b in pairwise(found) if is_cjk(a) and is_cjk(b))
    return frozenset([*found, *pairs])
