"""Fixes what the next generation learns from, before anything is computed.

A plan holds its batch, with every verdict and hint as it was known then, its key and its parent. It
is committed first, so that a crash repeats the same generation to the same bits, and what is judged
meanwhile waits for the next one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlmodel import Session, col, select

from learner.batch import choose, wait, window
from learner.batch.choose import Conditions, JudgedTurn
from learner.judges.rows import intrinsic
from learner.settings import LearnerSettings, group_of
from learner.trust import clusters, crowd, manner, people, shares
from streams.line.line import Line
from streams.store.states import PLANNED
from streams.store.tables import GenerationRow, OffsetRow, PlannerRow
from streams.wire import id_of

# The key of a generation's horizon for those who score its child, and how many of them are asked.
HELD_OUT: Final = "held_out"
# The key that says that this build noted the rests before it (learner.batch.when.rests).
RESTS: Final = "rests"
# The key that says that it took a used turn that is judged otherwise for a fresh one.
RENEWS: Final = "renews"
# The key that says that it kept a place for the turn that a generation waits for.
SEATS: Final = "seats"
# The key that says that it counted each person's record of what is known by itself.
OWN_GOLD: Final = "own_gold"
# The key that says that it counted people's days from their first turn, however long ago.
FIRST_TURNS: Final = "first_turns"
# What this build does, and says so.
_WAYS: Final = (RESTS, RENEWS, SEATS, OWN_GOLD, FIRST_TURNS)
# The key for the mean of what no one outside the model said of the batch; null: nothing was said.
REWARDS: Final = "rewards"
MOST: Final = 4  # one turn each: more would cost what a generation does
NOBODY: Final = crowd.Crowd(active=0, days={}, oldest_days=0.0)


@dataclass(frozen=True, slots=True)
class PlannedTurn:
    """One turn of a plan: what was known of it when the plan was made."""

    turn_id: str
    weight: float
    score: int
    confidence: float
    hint: str | None
    lesson: str | None = None  # what is complained of; None: nothing, or an older build's


def unfinished(session: Session, line: str) -> GenerationRow | None:
    """Return the generation that was planned and not finished: a crash left it, or it runs."""
    query = select(GenerationRow).where(GenerationRow.line == line, GenerationRow.state == PLANNED)
    return session.exec(query.order_by(col(GenerationRow.number))).first()


def next_plan(
    session: Session,
    line: Line,
    settings: LearnerSettings,
    *,
    base: str,
    now_ms: int,
    obstacle: str | None = None,
    renews: bool = True,
    seats: bool = True,
    own_gold: bool = True,
    first_turns: bool = True,
) -> GenerationRow | PlannerRow:
    """Plan the generation that is due now, or say what is waited for; the caller keeps the row.

    line: what serves now
    obstacle: what else must come first, in words; None: nothing
    renews: False to plan as builds did to which a used turn was never fresh again
    seats: False to plan as builds did that kept no place for the turn that a generation waits for
    own_gold: False to plan as builds did to which everybody's gold items were one list
    first_turns: False to plan as builds did to which whoever was away was new again
    """
    turns = _turns(session, line, settings, base, now_ms, renews) if obstacle is None else []
    ways = {"own_gold": own_gold, "first_turns": first_turns}
    known = _crowd(session, line.name, settings, turns, now_ms, **ways) if turns else NOBODY
    conditions = conditions_of(settings, known)
    chosen = choose.choose(turns, conditions, now_ms=now_ms, seats=seats)
    if chosen:
        trust = conditions.trust
        if trust is not None:
            wishes = {c.principal: c.verdict.hint for c in chosen if c.verdict.hint}
            trust = clusters.shared(trust, wishes, conditions.standing)
        voices = [shares.Voice(c.turn_id, c.principal, c.verdict.confidence) for c in chosen]
        weights = shares.weights(voices, cap=conditions.principal_cap, trust=trust)
        row = _row(session, line, settings, [_item(c, weights) for c in chosen], now_ms)
        aside = _aside(turns, chosen)
        row.horizon |= {HELD_OUT: aside} if aside else {}
        return row
    renewed = [turn.turn_id for turn in turns if turn.renewed]
    counts = window.counts(session, line, settings, base, renewed=renewed)
    agreed = conditions.agreed(turns)
    alone, heard = wait.alone(turns, agreed, conditions), choose.heard(agreed, conditions)
    return PlannerRow(
        line=line.name,
        waits_for=obstacle or wait.waits_for(counts, conditions, heard, alone=alone),
        num_fresh=counts.fresh,
        num_used=counts.used,
        num_weak=counts.weak,
        num_people=counts.people,
        num_alone=alone.verdicts,
        alone=alone.lessons,
        since_ms=now_ms,
    )


def _turns(
    session: Session,
    line: Line,
    settings: LearnerSettings,
    base: str,
    now_ms: int,
    renews: bool,
) -> list[JudgedTurn]:
    """Read the turns that a generation may use, with who else wishes what each does."""
    agree = 1
    if settings.wish_quorum:
        agree = _quorum(settings, people.num_active(session, line.name, now_ms=now_ms))
    since_ms = people.since_ms(now_ms)
    return window.judged_turns(
        session, line, settings, base, agree=agree, since_ms=since_ms, renews=renews
    )


def _crowd(
    session: Session,
    line: str,
    settings: LearnerSettings,
    turns: Sequence[JudgedTurn],
    now_ms: int,
    **ways: bool,
) -> crowd.Crowd:
    """Read the people who may be heard; all of them are counted only where a statement waits."""
    names = {turn.principal for turn in turns}.union(*(turn.backing for turn in turns))
    asked = settings.wish_quorum and settings.quorum == 0 and settings.claim_share > 0
    claims = asked and not all(manner.is_manner(turn.verdict.hint) for turn in turns)
    gold = settings.gold_items and settings.principal_cap == 0 and bool(settings.verifiers)
    return people.crowd_of(session, line, names, now_ms=now_ms, everybody=claims, gold=gold, **ways)


def _quorum(settings: LearnerSettings, active: int) -> int:
    return settings.quorum or crowd.quorum_of(active, turns=settings.turns_per_generation)


def conditions_of(settings: LearnerSettings, known: crowd.Crowd) -> Conditions:
    """Return when a generation is due, by the settings and, where they leave it open, the people.

    known: everybody who may be heard in it
    """
    automatic, quorum = settings.quorum == 0, _quorum(settings, known.active)
    share = settings.claim_share if automatic else 0.0
    claims = crowd.claim_quorum_of(known.settled, quorum=quorum, share=share)
    return Conditions(
        turns=settings.turns_per_generation,
        uses=settings.uses,
        linger_s=settings.linger_s,
        quorum=quorum,
        principal_cap=settings.principal_cap or 1 / quorum,
        active=known.active if automatic else 0,
        standing=known.standing if automatic else {},
        trust=known.weights if settings.principal_cap == 0 else None,
        agree=quorum if settings.wish_quorum else 1,
        claims=claims if settings.wish_quorum else 1,
        newcomers=settings.newcomers_count,
    )


def batch_of(row: GenerationRow) -> list[PlannedTurn]:
    """Read a plan's turns."""
    return [PlannedTurn(**item) for item in row.batch]


def last_number(session: Session, line: str) -> int:
    """Return the number of a line's newest generation; 0 without any."""
    numbers = select(GenerationRow.number).where(GenerationRow.line == line)
    return session.exec(numbers.order_by(col(GenerationRow.number).desc())).first() or 0


def next_row(
    session: Session, line: Line, settings: LearnerSettings, *, now_ms: int
) -> GenerationRow:
    """Return the next generation of a line, with what is known now and without turns."""
    number = last_number(session, line.name) + 1
    return GenerationRow(
        id=id_of(line.name, number, line.version),
        line=line.name,
        number=number,
        parent=line.version,
        key=generation_key(settings.seed, line.name, number, line.version),
        state=PLANNED,
        turn_ids=[],
        horizon=horizon(session, line) | dict.fromkeys(_WAYS, True),
        settings=settings.model_dump(mode="json"),
        planned_ms=now_ms,
    )


def _row(
    session: Session,
    line: Line,
    settings: LearnerSettings,
    batch: Sequence[dict[str, Any]],
    now_ms: int,
) -> GenerationRow:
    row = next_row(session, line, settings, now_ms=now_ms)
    row.turn_ids = [item["turn_id"] for item in batch]
    row.batch = list(batch)
    row.reward = sum(item["score"] for item in batch) / len(batch)
    row.horizon |= {REWARDS: intrinsic(session, row.turn_ids)}
    return row


def horizon(session: Session, line: Line) -> dict[str, Any]:
    """Return what was known: how far turns and feedback were read, and the changes of the line."""
    said = select(OffsetRow).where(
        OffsetRow.group == group_of(line.name),
        col(OffsetRow.topic).in_(("turns", "feedback")),
    )
    read = {f"{row.topic}/{row.partition}": row.next_offset for row in session.exec(said)}
    return read | {"seq": line.seq}


def _aside(turns: Sequence[JudgedTurn], chosen: Sequence[JudgedTurn]) -> list[dict[str, Any]]:
    """Return a turn each of principals who have no part in a generation, to score its child."""
    learned = {turn.principal for turn in chosen}
    newest: dict[str, JudgedTurn] = {}
    for turn in sorted(turns, key=lambda c: (c.judged_ms, c.turn_id)):
        if turn.principal not in learned and turn.verdict.score:
            newest[turn.principal] = turn
    return [
        {"turn_id": t.turn_id, "score": t.verdict.score, "confidence": t.verdict.confidence}
        for t in sorted(newest.values(), key=lambda c: c.turn_id)[:MOST]
    ]


def _item(turn: JudgedTurn, weights: Mapping[str, float]) -> dict[str, Any]:
    verdict = turn.verdict
    return {
        "turn_id": turn.turn_id,
        "weight": weights.get(turn.turn_id, 0.0),
        "score": verdict.score,
        "confidence": verdict.confidence,
        "hint": verdict.hint,
        "lesson": turn.lesson,
    }


def generation_key(seed: int, line: str, number: int, parent: str) -> str:
    """Return the 64-bit key of a generation, 16 hex digits: the same after a crash as before."""
    named = f"{seed}\0{line}\0{number}\0{parent}"
    return hashlib.sha256(named.encode()).hexdigest()[:16]
