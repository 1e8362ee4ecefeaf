"""What a link says, which of two links on one turn counts, and what is no reply: retry and branch.

A *reply* link carries the next state of a turn: all messages after its reply, up to the next one.
A *branch* goes back to before the turn's own request and says something else there. A *retry* is
the same request again because the reply had not arrived whole; it says nothing of the reply's
worth, and a request that merely repeats another is none.

What a link says does not depend on the order in which turns arrive: a reply outweighs a branch, a
branch a retry, sure evidence outweighs weak, and among equals the earliest request counts; of two
that go on from the same reply, the earliest that says something of it (learner.intake).

Knows nothing of scores or tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from learner.link.layers import Layer
from streams.records import Message, Turn

Kind = Literal["reply", "retry", "branch"]
# A request that is sent again later than this is not sent again because the first try failed.
RETRY_MS: Final = 5 * 60 * 1000
# Evidence below this may be replaced by what a later request shows more surely.
SURE_LINK: Final = 0.9

_RANK: Final[dict[str, int]] = {"retry": 0, "branch": 1, "reply": 2}


@dataclass(frozen=True, slots=True)
class Link:
    """What followed one turn, and how sure it is that it followed this one."""

    turn_id: str
    kind: Kind
    messages: tuple[Message, ...]  # the next state; empty for a retry
    created_ms: int  # event time of the request that carried it
    request_id: str = ""  # the turn of that request
    layer: Layer = "chain"
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Following:
    """The link that a turn has already; kind None: none."""

    kind: str | None
    created_ms: int | None
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Tried:
    """An earlier request with the same messages, and what became of its reply."""

    turn_id: str
    session: str
    created_ms: int
    arrived: bool  # False: cancelled, or not delivered whole
    body_key: str | None
    idempotency_key: str | None


def speaks(turn: Turn) -> bool:
    """Return whether what a request says may be a verdict: it is a person's, and may be used."""
    return turn.learn and turn.purpose == "main"


def outweighs(new: Link, old: Following) -> bool:
    """Return whether a link replaces the one that a turn has."""
    if old.kind is None or old.created_ms is None:
        return True
    sure_before = old.confidence is None or old.confidence >= SURE_LINK
    before = _RANK[old.kind], sure_before, -old.created_ms
    return (_RANK[new.kind], new.confidence >= SURE_LINK, -new.created_ms) > before


def contests(link: Link, old: Following, *, by: str | None, said: Sequence[Message]) -> bool:
    """Return whether a link is as good as the one that a turn has by another request's words.

    by: the request of the old link
    said: the last message of the new link's request: what stands before it was said earlier
    """
    if not link.kind == old.kind == "reply" or by in (None, link.request_id):
        return False
    sure_before = old.confidence is None or old.confidence >= SURE_LINK
    return sure_before == (link.confidence >= SURE_LINK) and link.messages[-1:] == tuple(said)


def retries(request: Turn, tried: Tried) -> bool:
    """Return whether a request is an earlier one again, because its reply did not arrive.

    Something must speak for it: the reply was not delivered whole, and the client has sent the same
    body soon after, in the same session or under the same idempotency key. Choices of one request
    are none, and neither is the same text from elsewhere.
    """
    waited_ms = request.created_ms - tried.created_ms
    if tried.arrived or not 0 < waited_ms <= RETRY_MS:
        return False
    if response_of(request.id) == response_of(tried.turn_id):
        return False
    if None not in (request.idempotency_key, tried.idempotency_key):
        return request.idempotency_key == tried.idempotency_key
    same_body = None in (request.body_key, tried.body_key) or request.body_key == tried.body_key
    return same_body and request.session == tried.session


def response_of(turn_id: str) -> str:
    """Return the response that a turn is a choice of.

    >>> response_of("chatcmpl-12ab-1") == response_of("chatcmpl-12ab")
    True
    """
    name, _, choice = turn_id.rpartition("-")
    return name if choice.isdigit() and len(choice) <= 2 and "-" in name else turn_id
