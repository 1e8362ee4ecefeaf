"""Reads judgements out of the store."""

from collections.abc import Iterable

from sqlmodel import Session, col, select

from streams.records import Judgement
from streams.store.tables import JudgementRow, TurnRow


def judgements_of(session: Session, turns: Iterable[TurnRow]) -> dict[str, list[Judgement]]:
    """Read the judgements on some turns, by turn."""
    known = {turn.id: turn for turn in turns}
    found: dict[str, list[Judgement]] = {id: [] for id in known}
    rows = select(JudgementRow).where(col(JudgementRow.turn_id).in_(known))
    for row in session.exec(rows):
        found[row.turn_id].append(_judgement(row, known[row.turn_id]))
    return found


def _judgement(row: JudgementRow, turn: TurnRow) -> Judgement:
    body = row.model_dump() | {"line": turn.line, "version": turn.version}
    return Judgement.model_validate(body)
