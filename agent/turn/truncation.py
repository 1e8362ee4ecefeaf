"""Leaves the oldest exchanges out of a conversation, so that its end fits.

An exchange is a user's message with all that follows it until the user's next one: replies, calls
and their results. It goes as a whole, so that no result is left without its call. Of the last one,
which is what is asked, the user's message stays, and of an agent's work on it the newest round; its
older rounds, each a reply and the results of its calls, go when all other exchanges have gone. What
the system or a developer says stays wherever it stands.

Knows nothing of tokens.
"""

from collections.abc import Sequence
from typing import Final

from streams.records import Message

KEPT: Final = ("system", "developer")


def steps(messages: Sequence[Message]) -> int:
    """How often something can be left out: each exchange but the last, then its older rounds.

    >>> hi, yo = Message(role="user", content="hi"), Message(role="assistant", content="yo")
    >>> steps([hi, yo, hi]), steps([yo, hi, yo]), steps([hi]), steps([hi, yo, yo])
    (1, 1, 0, 1)
    """
    return len(_exchanges(messages)) + len(_rounds(messages))


def without(messages: Sequence[Message], number: int) -> list[Message]:
    """The messages after so many steps.

    number: from 0 to `steps(messages)`
    """
    exchanges, begin, end = _exchanges(messages), 0, 0
    gone = exchanges[number - 1] if 0 < number <= len(exchanges) else 0
    if number > len(exchanges):
        gone, begin = (exchanges or [0])[-1], _asked(messages) + 1
        end = _rounds(messages)[number - len(exchanges) - 1]
    return [
        each
        for at, each in enumerate(messages)
        if each.role in KEPT or (at >= gone and not begin <= at < end)
    ]


def _asked(messages: Sequence[Message]) -> int:
    """Where the last message of the user stands; -1 where there is none."""
    return max((at for at, each in enumerate(messages) if each.role == "user"), default=-1)


def _exchanges(messages: Sequence[Message]) -> list[int]:
    """Where each exchange begins but the first, which may begin without a user's message."""
    users = [at for at, each in enumerate(messages) if each.role == "user"]
    said = any(each.role not in KEPT for each in messages[: users[0]]) if users else False
    return users if said else users[1:]


def _rounds(messages: Sequence[Message]) -> list[int]:
    """Where each round on the last message of the user begins but the first."""
    asked = _asked(messages)
    if asked < 0:
        return []
    return [at for at, each in enumerate(messages) if at > asked and each.role == "assistant"][1:]
