"""Links each reply to what followed it, by the hash chain of the messages alone.

A request that passes through a turn's key continues that turn, and carries its next state: all
messages up to the next reply (every parallel tool result, not only the last). The same request
again is a retry; a request that goes back and says something else than the turn's own request did
is a branch. What a link says does not depend on the order in which turns arrive: a reply outweighs
a branch, a branch a retry, and among equals the earliest request counts.

Knows nothing of scores, tables or sessions given by headers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Literal

from streams import chain
from streams.records import Message, Turn

Kind = Literal["reply", "retry", "branch"]
# The same request later than this is not a retry: it is a conversation that opens alike.
RETRY_MS: Final = 5 * 60 * 1000

_RANK: Final[dict[str, int]] = {"retry": 0, "branch": 1, "reply": 2}


@dataclass(frozen=True, slots=True)
class Link:
    """What followed one turn."""

    turn_id: str
    kind: Kind
    messages: tuple[Message, ...]  # the next state; empty for a retry
    created_ms: int  # event time of the request that carried it


def trainable(turn: Turn) -> bool:
    """Return whether a turn may be learned from: no chore, not marked, not left out."""
    return turn.learn and turn.purpose == "main"


def next_states(messages: Sequence[Message]) -> dict[str, tuple[Message, ...]]:
    """Return what follows each reply in a request, by the key of the conversation up to that reply.

    >>> hi, yo, no = (Message(role=r, content=c) for r, c in
    ...               [("user", "hi"), ("assistant", "yo"), ("user", "no")])
    >>> [[m.content for m in after] for after in next_states([hi, yo, no]).values()]
    [['no']]
    """
    found: dict[str, tuple[Message, ...]] = {}
    for place, key in enumerate(chain.keys(messages)):
        if messages[place].role == "assistant":
            after = _until_reply(messages[place + 1 :])
            if after:
                found[key] = after
    return found


def link(request: Turn, earlier: Iterable[Turn]) -> list[Link]:
    """Return which of the earlier turns this request follows, and how.

    A stranger's request, or one that must not be learned from (a client's chore, say), tells
    nothing about a turn that may be.
    """
    after = next_states(request.messages)
    links = []
    for turn in earlier:
        if turn.id == request.id or turn.principal != request.principal:
            continue
        if trainable(turn) and not trainable(request):
            continue
        found = _relation(turn, request, after)
        if found is not None:
            kind, messages = found
            links.append(Link(turn.id, kind, messages, request.created_ms))
    return links


def outweighs(new: Link, kind: str | None, created_ms: int | None) -> bool:
    """Return whether a link replaces the one that a turn has (kind None: it has none)."""
    if kind is None or created_ms is None:
        return True
    return (_RANK[new.kind], -new.created_ms) > (_RANK[kind], -created_ms)


def _relation(
    turn: Turn, request: Turn, after: dict[str, tuple[Message, ...]]
) -> tuple[Kind, tuple[Message, ...]] | None:
    if turn.key in after:
        return "reply", after[turn.key]
    if request.created_ms < turn.created_ms:
        return None  # a retry or a branch is what came later
    if turn.prefix_key == request.prefix_key:
        again = request.created_ms - turn.created_ms <= RETRY_MS
        return ("retry", ()) if again else None
    edited = _edited(turn.messages, request.messages)
    return ("branch", edited) if edited else None


def _edited(old: Sequence[Message], new: Sequence[Message]) -> tuple[Message, ...]:
    """Return what a request says instead, when it goes back to before the old request's end.

    Two conversations that share only their opening are two conversations, not an edit; and the
    edit must be of the old request's own last words, or it concerns an earlier turn.
    """
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], _paired_keys(old, new)))
    if not any(message.role == "assistant" for message in old[:same]):
        return ()
    if same == len(old) or any(message.role == "assistant" for message in old[same:]):
        return ()
    return _until_reply(new[same:])


def _paired_keys(old: Sequence[Message], new: Sequence[Message]) -> Iterable[tuple[str, str]]:
    return zip(chain.keys(old), chain.keys(new), strict=False)


def _until_reply(messages: Sequence[Message]) -> tuple[Message, ...]:
    return tuple(takewhile(lambda message: message.role != "assistant", messages))
