"""Leaves the oldest exchanges out of a conversation, so that its end fits.

An exchange is a user's message with all that follows it until the user's next one: replies, calls
and their results. It goes as a whole, so that no result is left without its call. What the system
or a developer says stays wherever it stands, and so does the last exchange, which is what is asked.

Knows nothing of tokens.
"""

from collections.abc import Sequence
from typing import Final

from streams.records import Message

KEPT: Final = ("system", "developer")


def exchanges(messages: Sequence[Message]) -> int:
    """How many exchanges can be left out, the oldest first.

    >>> hi, yo = Message(role="user", content="hi"), Message(role="assistant", content="yo")
    >>> exchanges([hi, yo, hi]), exchanges([yo, hi, yo]), exchanges([hi])
    (1, 1, 0)
    """
    return len(_beginnings(messages))


def without(messages: Sequence[Message], number: int) -> list[Message]:
    """The messages without so many of the oldest exchanges.

    number: from 0 to `exchanges(messages)`
    """
    if number == 0:
        return list(messages)
    end = _beginnings(messages)[number - 1]
    return [each for at, each in enumerate(messages) if at >= end or each.role in KEPT]


def _beginnings(messages: Sequence[Message]) -> list[int]:
    """Where each exchange begins but the first, which may begin without a user's message."""
    users = [at for at, each in enumerate(messages) if each.role == "user"]
    said = any(each.role not in KEPT for each in messages[: users[0]]) if users else False
    return users if said else users[1:]
