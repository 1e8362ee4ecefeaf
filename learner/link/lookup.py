"""Reads the turns that a request may follow, by indexed hashes: newest first, so many a look-up.

What is read does not grow with the number of turns that a principal has. Of most only short columns
are read; a turn's texts only where its hashes do not decide.

Knows which turns may be meant; learner.link.layers decides which one is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, or_, select

from learner.link.conversation import Following, Tried
from learner.link.layers import WITHIN_MS, Candidate, Texts
from learner.link.pieces import calls_of, last_asked, steps_before, told
from streams.records import Message, Turn
from streams.store.states import CUT, OPEN, SPEAKING, UNSEEN
from streams.store.tables import TurnRow

# More turns than these that are equally likely would be ambiguous anyway.
LOOKED_AT: Final = 16
# Turns with the same chain ask and say the same: the newest stands for all.
TWINS: Final = 4

# Turns around a request that are looked at for what it quotes.
NEIGHBOURS: Final = 8

# A session of fewer turns is known whole when so many are read.
SEEN_WHOLE: Final = 64

_SHORT: Final = (
    TurnRow.id, TurnRow.key, TurnRow.talk_key, TurnRow.reply_key, TurnRow.asked_key,
    TurnRow.echo_key, TurnRow.session, TurnRow.created_ms, TurnRow.state, TurnRow.reason,
    TurnRow.next_kind, TurnRow.next_ms, TurnRow.next_confidence, TurnRow.next_turn,
    TurnRow.next_layer,
)  # fmt: skip
# Made once: a statement of so many columns takes longer to make than to answer.
_NEWEST: Final[Any] = select(*_SHORT).order_by(  # type: ignore[call-overload]
    col(TurnRow.created_ms).desc(), col(TurnRow.id).desc()
)


@dataclass(frozen=True, slots=True)
class Known:
    """A turn of the store that a request may follow, and what follows it so far."""

    candidate: Candidate
    following: Following
    next_turn: str | None
    next_layer: str | None
    state: str


class Lookup:
    """The turns of one principal and line, but for the request's own."""

    def __init__(self, session: Session, request: Turn) -> None:
        """Take the request that asks; nothing is read yet."""
        self._session, self._request = session, request
        self._ours = (
            TurnRow.principal == request.principal,
            TurnRow.line == request.line,
            TurnRow.id != request.id,
            col(TurnRow.state).in_(SPEAKING),
        )

    def by_key(self, key: str) -> list[Known]:
        """Read the turns with this exact chain."""
        return self._read(TurnRow.key == key, most=TWINS)

    def by_talk(self, talk_key: str) -> list[Known]:
        """Read the turns with this chain of groups."""
        return self._read(TurnRow.talk_key == talk_key)

    def by_session(self) -> list[Known]:
        """Read the newest turns of the request's session."""
        return self._read(TurnRow.session == self._request.session)

    def by_reply(self, reply_key: str) -> list[Known]:
        """Read the turns of the last day that replied this."""
        return self._read(TurnRow.reply_key == reply_key, *self._lately())

    def by_two_replies(self, reply_key: str, before_key: str) -> list[Known]:
        """Read the turns of the last day that replied this, and that before it."""
        both = TurnRow.reply_key == reply_key, TurnRow.echo_key == before_key
        return self._read(*both, *self._lately())

    def by_question(self, asked_key: str) -> list[Known]:
        """Read the turns of the last day in which the user said this last."""
        return self._read(TurnRow.asked_key == asked_key, *self._lately())

    def newest(self) -> list[Known]:
        """Read the newest turns of the last day before the request, whatever they say."""
        return self._read(_was_seen(), *self._lately(), most=NEIGHBOURS)

    def by_id(self, id: str) -> list[Known]:
        """Read the turn of this name."""
        return self._read(TurnRow.id == id, most=1)

    def may_branch(self, before_key: str) -> bool:
        """Tell whether turns of the request's session may go on from this reply; False: none does.

        Behind a greeting that opens every conversation stand all turns of a principal: what they
        are is asked only where one of them can be meant.
        """
        newest = (
            select(TurnRow.before_key)
            .where(*self._ours, TurnRow.session == self._request.session)
            .order_by(col(TurnRow.created_ms).desc())
            .limit(SEEN_WHOLE)
        )
        found = self._session.exec(newest).all()
        return before_key in found or len(found) == SEEN_WHOLE

    def was_shown(self, reply_key: str | None, *, before_ms: int) -> bool:
        """Tell whether a request of the last day before a moment ended with this reply."""
        shown = TurnRow.echo_key == reply_key, col(TurnRow.created_ms) < before_ms
        return bool(self._read(*shown, *self._lately(), most=1))

    def replied_since(self, reply_key: str) -> list[Known]:
        """Read the first turns of the day after the request that replied this."""
        at_ms = self._request.created_ms
        query: Any = (
            _NEWEST.where(
                *self._ours,
                TurnRow.reply_key == reply_key,
                col(TurnRow.created_ms) > at_ms,
                col(TurnRow.created_ms) <= at_ms + WITHIN_MS,
            )
            .order_by(None)
            .order_by(col(TurnRow.created_ms), TurnRow.id)
            .limit(TWINS)
        )
        return [_known(row) for row in self._session.execute(query)]

    def siblings(self, before_key: str, asked_key: str | None) -> list[Known]:
        """Read the turns that go on from the same reply as the request, but ask something else.

        Only those that nothing follows yet, or that a later request than this one goes back on.
        """
        return self._read(
            TurnRow.before_key == before_key,
            col(TurnRow.asked_key) != asked_key,
            TurnRow.created_ms < self._request.created_ms,
            or_(
                col(TurnRow.next_kind).is_(None),
                (col(TurnRow.next_kind) != "reply")
                & (col(TurnRow.next_ms) > self._request.created_ms),
            ),
        )

    def neighbours(self, *, within_ms: int, alone: bool = False) -> list[Known]:
        """Read the newest turns around the request's time; alone: those without a reply in them."""
        return self._read(
            _was_seen(),
            col(TurnRow.created_ms) >= self._request.created_ms - within_ms,
            col(TurnRow.created_ms) <= self._request.created_ms + within_ms,
            *([col(TurnRow.echo_key).is_(None), TurnRow.state == OPEN] if alone else []),
            most=NEIGHBOURS,
        )

    def same_requests(self) -> list[Tried]:
        """Read the newest turns whose request has the same messages."""
        query: Any = (
            select(TurnRow.id, TurnRow.session, TurnRow.created_ms, TurnRow.record)
            .where(
                *self._ours,
                TurnRow.prefix_key == self._request.prefix_key,
                TurnRow.created_ms < self._request.created_ms,
            )
            .order_by(col(TurnRow.created_ms).desc())
            .limit(TWINS)
        )  # fmt: skip
        return [
            Tried(
                turn_id=id,
                session=session,
                created_ms=created_ms,
                arrived=_arrived(record),
                body_key=record.get("body_key"),
                idempotency_key=record.get("idempotency_key"),
            )
            for id, session, created_ms, record in self._session.execute(query)
        ]

    def lost(self, ids: Iterable[str]) -> set[str]:
        """Tell which of some turns' replies did not arrive whole. Read whole, as texts are."""
        named = list(ids)
        if not named:
            return set()
        wanted: Any = select(TurnRow.id, TurnRow.record).where(col(TurnRow.id).in_(named))
        return {id for id, record in self._session.execute(wanted) if not _arrived(record)}

    def told(self, ids: Iterable[str]) -> dict[str, list[Message]]:
        """Read what followed some turns, as it was said."""
        named = list(ids)
        if not named:
            return {}
        wanted: Any = select(TurnRow.id, TurnRow.next_state).where(col(TurnRow.id).in_(named))
        return {
            id: [Message.model_validate(each) for each in state or []]
            for id, state in self._session.execute(wanted)
        }

    def texts(self, ids: Iterable[str]) -> dict[str, Texts]:
        """Read what some turns say.

        Records are read whole: PostgreSQL's functions for JSON refuse one with a NUL anywhere.
        """
        named = list(ids)
        if not named:
            return {}
        wanted: Any = select(TurnRow.id, TurnRow.record).where(col(TurnRow.id).in_(named))
        return {id: _texts(record) for id, record in self._session.execute(wanted)}

    def _lately(self) -> Sequence[ColumnElement[bool]]:
        return (
            col(TurnRow.created_ms) >= self._request.created_ms - WITHIN_MS,
            col(TurnRow.created_ms) <= self._request.created_ms,
        )

    def _read(self, *conditions: Any, most: int = LOOKED_AT) -> list[Known]:
        query: Any = _NEWEST.where(*self._ours, *conditions).limit(most)
        return [_known(row) for row in self._session.execute(query)]


def _was_seen() -> ColumnElement[bool]:
    """Leave out what nobody was shown, which no chain, reply or question leads to either."""
    return or_(col(TurnRow.reason).is_(None), col(TurnRow.reason) != UNSEEN)


def _arrived(record: dict[str, Any]) -> bool:
    return record["finish_reason"] != "cancelled" and record.get("delivered") is not False


def _texts(record: dict[str, Any]) -> Texts:
    messages = [Message.model_validate(each) for each in record.get("messages") or []]
    reply, inner = Message.model_validate(record["reply"]), record.get("inner") or []
    return Texts(
        reply=told(messages, reply, inner),
        asked=last_asked(messages),
        calls=calls_of([reply]),
        before=steps_before(messages, inner),
    )


def _known(row: Any) -> Known:
    return Known(
        candidate=Candidate(
            id=row.id,
            key=row.key,
            talk_key=row.talk_key,
            reply_key=row.reply_key,
            asked_key=row.asked_key,
            echo_key=row.echo_key,
            session=row.session,
            created_ms=row.created_ms,
            cut=row.reason == CUT,
        ),
        following=Following(row.next_kind, row.next_ms, row.next_confidence),
        next_turn=row.next_turn,
        next_layer=row.next_layer,
        state=row.state,
    )
