"""Finds the turns of a trial that are to be read: each principal's first ones that count.

Those are what the observer hears (evidence.observe): while nobody sees the candidate, pairs, of
which both replies are read; later what was shown, unless its client had named the version. No other
turn takes a place of those that make a voice, and no principal's many stand before another's.

What tells whether a turn counts is remembered until the trial ends, so that each record is looked
at once. Knows nothing of what is read.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sqlmodel import Session, col, or_, select

from learner.rollout.evidence.replies import Reply, reply_of
from streams.line.line import Line
from streams.store.states import CUT, SPEAKING, UNSEEN, UNTRAINED
from streams.store.tables import TurnRow

_AT_ONCE: Final = 500  # turns whose records are looked at by one query, as the observer does


class First:
    """The first turns of one trial; keep it as long as the trial runs."""

    def __init__(self) -> None:
        """Know none yet."""
        self._told: dict[str, Reply] = {}

    def of(self, session: Session, line: Line, since_ms: int, *, size: int) -> Iterator[Any]:
        """Return the turns that are to be read, by id and state, in the order of reading.

        since_ms: when the trial began
        size: turns that make a voice, of a principal on a version
        """
        if line.trial is None:
            return iter(())
        turns = session.exec(_turns(line, since_ms)).all()
        self._look_at(session, [turn.id for turn in turns])
        turns = [turn for turn in turns if turn.id in self._told]
        if line.trial.share == 0:
            return self._pairs(turns, line.version, size)
        return self._shown(turns, size)

    def _pairs(self, turns: Sequence[Any], stable: str, size: int) -> Iterator[Any]:
        shown = {turn.id: turn for turn in turns if turn.version == stable}
        taken = Counter[str]()
        for turn in turns:
            told = self._told[turn.id]
            first = shown.get(told.beside or "")
            if first is None or turn.version == stable or told.broke_off:
                continue
            if taken[first.principal] < size:
                taken[first.principal] += 1
                yield from (first, turn)

    def _shown(self, turns: Iterable[Any], size: int) -> Iterator[Any]:
        taken = Counter[tuple[str, str]]()
        for turn in turns:
            told, voice = self._told[turn.id], (turn.principal, turn.version)
            counts = told.beside is None and not told.pinned
            if counts and taken[voice] < size:
                taken[voice] += 1
                yield turn

    def _look_at(self, session: Session, ids: Sequence[str]) -> None:
        new = [id for id in ids if id not in self._told]
        for start in range(0, len(new), _AT_ONCE):
            named = col(TurnRow.id).in_(new[start : start + _AT_ONCE])
            for id, record in session.exec(select(TurnRow.id, TurnRow.record).where(named)):
                if record:
                    self._told[id] = reply_of(record)


def _turns(line: Line, since_ms: int) -> Any:
    """Select the turns of a trial whose words may be read."""
    versions = (line.version, line.trial.version if line.trial else "")
    columns: Any = (TurnRow.id, TurnRow.version, TurnRow.principal, TurnRow.state)
    return (
        select(*columns)
        .where(
            TurnRow.line == line.name,
            col(TurnRow.version).in_(versions),
            col(TurnRow.member).is_(None),
            TurnRow.taken_ms >= since_ms,
            col(TurnRow.state).in_(SPEAKING),
            or_(col(TurnRow.reason).is_(None), TurnRow.reason != CUT),
            or_(TurnRow.state != UNTRAINED, TurnRow.reason == UNSEEN),
        )
        .order_by(col(TurnRow.sequence))
    )
