"""Keeps judgements in the store, and reads them."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Final

from sqlmodel import Session, col, select

from streams.records import Judgement
from streams.store.tables import IS_VERDICT, JudgementRow, TurnRow

# Sources of rewards that nobody outside the model has given.
INTRINSIC: Final = ("model",)


def judgements_of(session: Session, turns: Iterable[TurnRow]) -> dict[str, list[Judgement]]:
    """Read the judgements on some turns, by turn."""
    known = {turn.id: turn for turn in turns}
    found: dict[str, list[Judgement]] = {id: [] for id in known}
    rows = select(JudgementRow).where(col(JudgementRow.turn_id).in_(known))
    for row in session.exec(rows):
        found[row.turn_id].append(_judgement(row, known[row.turn_id]))
    return found


def intrinsic(session: Session, turn_ids: Iterable[str]) -> float | None:
    """Return the mean of the intrinsic judgements of some turns, −1..1; None: there are none.

    What waits for its judge is no judgement.
    """
    query = select(JudgementRow.score).where(
        col(JudgementRow.turn_id).in_(list(turn_ids)),
        col(JudgementRow.source).in_(INTRINSIC),
        IS_VERDICT,
    )
    scores = session.exec(query).all()
    return fmean(scores) if scores else None


def keep(session: Session, turn: TurnRow, judgements: Sequence[Judgement]) -> list[Judgement]:
    """Keep judgements on a turn, and return all that it has then; the caller commits.

    What is written of the turn meanwhile waits for the next flush: one statement instead of two.
    """
    query = select(JudgementRow).where(JudgementRow.turn_id == turn.id)
    with session.no_autoflush:
        known = {row.id: row for row in session.exec(query)}
    for judgement in judgements:
        row = JudgementRow(**judgement.model_dump(exclude={"line", "version"}))
        if row.id in known:
            row = session.merge(row)
        else:
            session.add(row)
        known[row.id] = row
    return [_judgement(row, turn) for row in known.values()]


def _judgement(row: JudgementRow, turn: TurnRow) -> Judgement:
    body = row.model_dump() | {"line": turn.line, "version": turn.version}
    return Judgement.model_validate(body)
