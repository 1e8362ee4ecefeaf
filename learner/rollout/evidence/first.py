"""Finds the turns of a trial that are to be read: each principal's first ones that count.

Those are what the observer hears (evidence.observe): while nobody sees the candidate, pairs, of
which both replies are read; later what was shown, unless its client had named the version. No other
turn takes a place of those that make a voice, and no principal's many stand before another's.

What tells whether a turn counts is remembered until the trial ends, so that each record is looked
at once; and only those that may count are looked at, a few at a time, as far as turns are asked
for. Knows nothing of what is read.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from sqlmodel import Session, col, or_, select

from learner.rollout.evidence.replies import Reply, reply_of
from streams.line.line import Line
from streams.store.states import CUT, SPEAKING, UNSEEN, UNTRAINED
from streams.store.tables import TurnRow

# Turns whose records are looked at by one query: few are wanted, and each may be long.
_AT_ONCE: Final = 50


class First:
    """The first turns of one trial; keep it as long as the trial runs."""

    def __init__(self) -> None:
        """Know none yet."""
        self._told: dict[str, Reply] = {}

    def of(self, session: Session, line: Line, since_ms: int, *, size: int) -> Iterator[Any]:
        """Return the turns that are to be read, by id and state, in the order of reading.

        session: is read from as far as they are taken
        since_ms: when the trial began
        size: turns that make a voice, of a principal on a version
        """
        if line.trial is None:
            return iter(())
        turns = session.exec(_turns(line, since_ms)).all()
        if line.trial.share == 0:
            return self._pairs(session, turns, line.version, size)
        return self._counting(session, turns, _is_shown, size)

    def _pairs(
        self, session: Session, turns: Sequence[Any], stable: str, size: int
    ) -> Iterator[Any]:
        shown = {turn.id: turn for turn in turns if turn.version == stable}
        unseen = [turn for turn in turns if turn.version != stable]

        def is_paired(told: Reply) -> bool:
            return told.beside in shown and not told.broke_off

        for turn in self._counting(session, unseen, is_paired, size):
            yield from (shown[self._told[turn.id].beside or ""], turn)

    def _counting(
        self, session: Session, turns: Sequence[Any], counts: Callable[[Reply], bool], size: int
    ) -> Iterator[Any]:
        """Return the first turns of each voice whose replies count."""
        taken = Counter[tuple[str, str]]()
        for start in range(0, len(turns), _AT_ONCE):
            next_ones = turns[start : start + _AT_ONCE]
            some = [(turn, (turn.principal, turn.version)) for turn in next_ones]
            self._look_at(session, [turn.id for turn, voice in some if taken[voice] < size])
            for turn, voice in some:
                told = self._told.get(turn.id)
                if told is not None and counts(told) and taken[voice] < size:
                    taken[voice] += 1
                    yield turn

    def _look_at(self, session: Session, ids: Sequence[str]) -> None:
        new = [id for id in ids if id not in self._told]
        if not new:
            return
        records = select(TurnRow.id, TurnRow.record).where(col(TurnRow.id).in_(new))
        self._told |= {id: reply_of(record) for id, record in session.exec(records) if record}


def _is_shown(told: Reply) -> bool:
    """Whether a reply was shown, to a client that had not named what was to answer."""
    return told.beside is None and not told.pinned


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
        # Adding nothing keeps SQLite from their order, in which it would read all of the line.
        .order_by(col(TurnRow.sequence) + 0)
    )
