"""Fixes what the next generation learns from, before anything is computed.

A plan holds its batch, with every verdict and hint as it was known then, its key and its parent. It
is committed first, so that a crash repeats the same generation to the same bits, and what is judged
meanwhile waits for the next one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, func, or_, select

from learner.batch import choose
from learner.batch.choose import Conditions, JudgedTurn
from learner.judges.judge import combine
from learner.judges.rows import judgements_of
from learner.settings import GROUP, LearnerSettings
from learner.trust import shares
from streams.line.line import Line
from streams.store.states import JUDGED, PLANNED
from streams.store.tables import GenerationRow, JudgementRow, OffsetRow, RecipeRow, TurnRow

# Judged turns that are looked at for a batch: far more than one holds, and few enough to be looked
# at every second. No principal offers more than a batch holds, so a flood hides nobody.
LOOKED_AT = 1024


@dataclass(frozen=True, slots=True)
class PlannedTurn:
    """One turn of a plan: what was known of it when the plan was made."""

    turn_id: str
    weight: float
    score: int
    confidence: float
    hint: str | None


def unfinished(session: Session, line: str) -> GenerationRow | None:
    """Return the generation that was planned and not finished: a crash left it, or it runs."""
    query = select(GenerationRow).where(GenerationRow.line == line, GenerationRow.state == PLANNED)
    return session.exec(query.order_by(col(GenerationRow.number))).first()


def plan(
    session: Session, line: Line, settings: LearnerSettings, *, base: str, now_ms: int
) -> GenerationRow | None:
    """Plan the generation that is due now, if one is; the row is the caller's to commit.

    line: what serves now; a release of this learner that has not come back from the log is waited
        for by the caller, as the log may have decided otherwise
    """
    conditions = Conditions(
        turns=settings.turns_per_generation,
        uses=settings.uses,
        linger_s=settings.linger_s,
        quorum=settings.quorum,
        principal_cap=settings.principal_cap,
    )
    chosen = choose.choose(_judged_turns(session, line, settings, base), conditions, now_ms=now_ms)
    if not chosen:
        return None
    return _row(session, line, settings, chosen, now_ms)


def batch_of(row: GenerationRow) -> list[PlannedTurn]:
    """Read a plan's turns."""
    return [PlannedTurn(**item) for item in row.batch]


def _row(
    session: Session,
    line: Line,
    settings: LearnerSettings,
    chosen: Sequence[JudgedTurn],
    now_ms: int,
) -> GenerationRow:
    numbers = select(GenerationRow.number).where(GenerationRow.line == line.name)
    last = session.exec(numbers.order_by(col(GenerationRow.number).desc())).first()
    number = (last or 0) + 1
    voices = [shares.Voice(c.turn_id, c.principal, c.verdict.confidence) for c in chosen]
    weights = shares.weights(voices, cap=settings.principal_cap)
    scores = [c.verdict.score for c in chosen]
    return GenerationRow(
        id=hashlib.sha256(f"{line.name}\0{number}\0{line.version}".encode()).hexdigest()[:32],
        line=line.name,
        number=number,
        parent=line.version,
        key=generation_key(settings.seed, line.name, number, line.version),
        state=PLANNED,
        turn_ids=[c.turn_id for c in chosen],
        batch=[_item(c, weights.get(c.turn_id, 0.0)) for c in chosen],
        horizon=_horizon(session, line),
        settings=settings.model_dump(mode="json"),
        reward=sum(scores) / len(scores),
        planned_ms=now_ms,
    )


def _horizon(session: Session, line: Line) -> dict[str, int]:
    """Return what was known: how far turns and feedback were read, and the changes of the line."""
    said = select(OffsetRow).where(
        OffsetRow.group == GROUP, col(OffsetRow.topic).in_(("turns", "feedback"))
    )
    read = {f"{row.topic}/{row.partition}": row.next_offset for row in session.exec(said)}
    return read | {"seq": line.seq}


def _item(turn: JudgedTurn, weight: float) -> dict[str, Any]:
    verdict = turn.verdict
    return {
        "turn_id": turn.turn_id,
        "weight": weight,
        "score": verdict.score,
        "confidence": verdict.confidence,
        "hint": verdict.hint,
    }


def _judged_turns(
    session: Session, line: Line, settings: LearnerSettings, base: str
) -> list[JudgedTurn]:
    """Read the judged turns with uses left whose versions are not too far behind."""
    teaching = select(JudgementRow.turn_id).where(
        col(JudgementRow.confidence) > 0,
        or_(col(JudgementRow.score) != 0, col(JudgementRow.hint).is_not(None)),
    )
    order = (col(TurnRow.uses), col(TurnRow.created_ms), col(TurnRow.id))
    place = func.row_number().over(partition_by=col(TurnRow.principal), order_by=order)
    offered = (
        select(TurnRow.id, place.label("place"))
        .where(
            TurnRow.line == line.name,
            TurnRow.state == JUDGED,
            TurnRow.uses < settings.uses,
            col(TurnRow.id).in_(teaching),
            col(TurnRow.version).in_(_recent(session, line, settings.max_staleness, base)),
        )
        .subquery()
    )
    query = (
        select(TurnRow)
        .join(offered, col(TurnRow.id) == offered.c.id)
        .where(offered.c.place <= settings.turns_per_generation)
        .order_by(offered.c.place, *order)
        .limit(LOOKED_AT)
    )
    rows = session.exec(query).all()
    judgements = judgements_of(session, rows)
    found = []
    for row in rows:
        verdict = combine(judgements[row.id])
        if verdict is not None:
            judged_ms = max(given.created_ms for given in judgements[row.id])
            found.append(
                JudgedTurn(row.id, row.principal, row.created_ms, row.uses, judged_ms, verdict)
            )
    return found


def _recent(session: Session, line: Line, max_staleness: int, base: str) -> list[str]:
    """Name the versions at most so many recipes behind the one that serves, side branches too."""
    serving = session.get(RecipeRow, line.version)
    number = serving.number if serving else 0
    newer = col(RecipeRow.number) >= number - max_staleness
    names = list(session.exec(select(RecipeRow.version).where(newer)))
    return [*names, base] if number <= max_staleness else names


def generation_key(seed: int, line: str, number: int, parent: str) -> str:
    """Return the 64-bit key of a generation, 16 hex digits: the same after a crash as before."""
    named = f"{seed}\0{line}\0{number}\0{parent}"
    return hashlib.sha256(named.encode()).hexdigest()[:16]
