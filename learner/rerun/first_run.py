"""What is known of how a line was learned, for a run of it without somebody (learner.rerun.rerun).

From store and log: the records that were read, without those of principals who are left out or
forgotten, the plans and rests with what each learner knew then, and what operators changed.

Invariants: every turn and every rating that the store knows of is in the history, or it is refused
with what is missing; but for turns that people deleted, which are never learned from again, and of
which it is said where the history is not what the first run met. Writes nothing.
"""

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from sqlmodel import Session, col, select

from learner.batch.plan import RESTS
from learner.forget import store as forget
from learner.settings import MOST_TURNS, LearnerSettings, group_of
from streams.errors import LedgerError, RecordError
from streams.keeping import forgotten
from streams.keeping.forgotten import Moments
from streams.line.became import ENDS
from streams.line.policy import LEARNER
from streams.log.contract import Entry, Log, entries_now
from streams.records import Deletion, Mask, Recipe, decode, speaker
from streams.store.rest_tables import RestRow
from streams.store.states import FORGOTTEN
from streams.store.tables import (
    GenerationRow,
    JudgementRow,
    OffsetRow,
    RecipeRow,
    RolloutRow,
    TurnRow,
)
from streams.turn import beside_id

_SAID: Final = ("turns", "feedback")


@dataclass(frozen=True, slots=True)
class History:
    """What is known of the first run, without those who are left out."""

    line: str
    mask: Mask
    settings: LearnerSettings  # of now: for what comes after the last plan
    said: tuple[Entry, ...]  # turns and feedback that were read, in an order that each key keeps
    plans: tuple[GenerationRow, ...]
    rests: tuple[RestRow, ...]  # in order
    changes: tuple[RolloutRow, ...]  # by operators, in order
    in_vain: Mapping[str, str]  # why candidates did not come to serve by their trials, by version
    recipes: Mapping[str, Recipe]  # of the plans' children
    left_out: Collection[str]  # principals
    notes: tuple[str, ...] = ()


def read_history(
    session: Session, log: Log, settings: LearnerSettings, mask: Mask, left_out: Collection[str]
) -> History:
    """Read what is needed for a run without somebody, and prove that it is all there.

    raises: LedgerError when an older build noted too little, or the log has let go of a turn or a
        rating
    """
    line = settings.line
    of_line = select(GenerationRow).where(GenerationRow.line == line)
    plans = session.exec(of_line.order_by(col(GenerationRow.number))).all()
    for row in plans:
        if "seq" not in row.horizon or not row.settings:
            raise LedgerError(
                f"generation {row.number} of {line} was planned by an older build, which did not"
                " note what it knew: only replay --without, without --exact, can leave somebody out"
            )
    of_changes = select(RolloutRow).where(RolloutRow.line == line)
    changes = session.exec(of_changes.order_by(col(RolloutRow.seq))).all()
    children = [str(row.child) for row in plans if row.child]
    kept = select(RecipeRow).where(col(RecipeRow.version).in_(children))
    recipes = {row.version: Recipe.model_validate(row.record) for row in session.exec(kept)}
    said = _said(session, log, line, left_out)
    said, deleted = _without_deleted(session, line, said, left_out)
    _prove_whole(session, line, said, left_out)
    return History(
        line=line,
        mask=mask,
        settings=settings,
        said=tuple(said),
        plans=tuple(plans),
        rests=_rests(session, line, plans),
        changes=tuple(change for change in changes if change.who != LEARNER),
        in_vain=tried_in_vain(changes),
        recipes=recipes,
        left_out=tuple(left_out),
        notes=_not_noted(plans) + _tried(changes) + deleted,
    )


def tried_in_vain(changes: Iterable[RolloutRow]) -> dict[str, str]:
    """Return why candidates did not come to serve by their first trials, by version.

    changes: of a line, in order
    """
    found: dict[str, str] = {}
    done: set[str] = set()
    for change in changes:
        candidate = change.candidate
        if candidate is None or candidate in done:
            continue
        found[candidate] = "it was on trial still"
        if change.state == "aborted":
            found[candidate] = f"its trial was ended ({change.verb} by {change.who})"
        elif change.state == "completed":
            del found[candidate]
        if change.state in ENDS:
            done.add(candidate)
    return found


def _tried(changes: Iterable[RolloutRow]) -> tuple[str, ...]:
    """Say what of trials cannot be repeated."""
    if not any(change.candidate for change in changes):
        return ()
    return (
        "candidates of this line were tried before they served: one that is the same here comes to"
        " serve or not as it did then, at once; any other serves as soon as the gate lets it"
        " through, as nobody has tried it, so the result may differ from a line that never met"
        " those who are left out",
    )


def _rests(session: Session, line: str, plans: Sequence[GenerationRow]) -> tuple[RestRow, ...]:
    """Read when nothing was due.

    Of a plan of an older build at most the last moment before it, with what the plan before knew.
    """
    found = list(session.exec(select(RestRow).where(RestRow.line == line)))
    for before, row in zip((None, *plans), plans, strict=False):
        rested_ms = row.horizon.get("rested_ms")
        if rested_ms is not None:
            known = before.horizon if before is not None else {"seq": 0}
            found.append(
                RestRow(
                    line=line, number=row.number - 1, place=0, horizon=known,
                    rested_ms=rested_ms, until_ms=rested_ms,
                )
            )  # fmt: skip
    return tuple(sorted(found, key=lambda rest: (rest.number, rest.place)))


def _not_noted(plans: Sequence[GenerationRow]) -> tuple[str, ...]:
    """Say what an older build noted too little of."""
    older = [row.number for row in plans if RESTS not in row.horizon]
    if not older:
        return ()
    return (
        f"an older build planned generations up to {older[-1]} and did not note each moment at"
        " which it found nothing to do: what a line without them would have learned at one of those"
        " comes later here",
    )


def _said(session: Session, log: Log, line: str, left_out: Collection[str]) -> list[Entry]:
    """Read turns and feedback as far as the learner has, without theirs and forgotten ones'."""
    moments = forget.moments(session)
    rows = session.exec(select(OffsetRow).where(OffsetRow.group == group_of(line))).all()
    read = {f"{row.topic}/{row.partition}": row.next_offset for row in rows}
    streams: dict[str, list[Entry]] = {}
    for topic in _SAID:
        for entry in entries_now(log, topic):
            if entry.offset < read.get(place_of(entry), 0):
                streams.setdefault(place_of(entry), []).append(entry)
    merged = heapq.merge(*streams.values(), key=lambda entry: entry.time_ms)
    return [entry for entry in merged if not _out(entry, moments, left_out)]


def _out(entry: Entry, moments: Moments, left_out: Collection[str]) -> bool:
    spoken = speaker(entry.value)
    if spoken is None:
        return False
    return spoken[0] in left_out or forgotten.covers(moments, *spoken, entry.time_ms)


def _without_deleted(
    session: Session, line: str, said: Sequence[Entry], left_out: Collection[str]
) -> tuple[list[Entry], tuple[str, ...]]:
    """Leave out the turns whose deletion the log has let go of: nothing would delete them here.

    returns: the others; what is to be said where the first run learned from one that is not there
    """
    moments = forget.moments(session)
    theirs = select(TurnRow).where(
        TurnRow.line == line,
        TurnRow.state == FORGOTTEN,
        col(TurnRow.principal).not_in(list(left_out)),
    )
    rows = [
        row
        for row in session.exec(theirs)
        if not forgotten.covers(moments, row.principal, row.created_ms, row.taken_ms)
    ]
    asked = _deletions(said)
    gone = {row.id for row in rows if (row.id, row.principal) not in asked}
    gone |= {beside_id(id) for id in gone}
    kept = [entry for entry in said if entry.partition.topic != "turns" or entry.id not in gone]
    ids = {entry.id for entry in kept}
    met = sum(row.uses > 0 and row.id not in ids for row in rows)
    if not met:
        return kept, ()
    return kept, (
        f"generations learned from {_counted(met, 'turn')} that people deleted since, and the log"
        " has let go of turn or deletion: here it was never said, so the result may differ from"
        " that of a line that met it and not those who are left out",
    )


def _deletions(said: Sequence[Entry]) -> set[tuple[str, str]]:
    """Name the turns whose deletion is among these records, with who asked for it."""
    found = [deletion for entry in said if (deletion := deletion_in(entry)) is not None]
    return {(turn_id, each.principal) for each in found for turn_id in deleted_by(each)}


def deletion_in(entry: Entry) -> Deletion | None:
    """Return the deletion that a record is; None where it is something else."""
    if entry.partition.topic != "feedback":
        return None
    try:
        record = decode(entry.value)
    except RecordError:
        return None
    return record if isinstance(record, Deletion) else None


def deleted_by(record: Deletion) -> tuple[str, str]:
    """Name the turn that a deletion is of, and what nobody saw beside it."""
    return record.turn_id, beside_id(record.turn_id)


def _prove_whole(
    session: Session, line: str, said: Sequence[Entry], left_out: Collection[str]
) -> None:
    """Prove that the log still holds every turn and rating that the store knows of the others."""
    ids = {entry.id for entry in said}
    others = (
        TurnRow.line == line,
        TurnRow.state != FORGOTTEN,
        col(TurnRow.principal).not_in(list(left_out)),
    )
    rated = (
        select(JudgementRow.id)
        .join(TurnRow, col(TurnRow.id) == col(JudgementRow.turn_id))
        .where(
            *others,
            JudgementRow.source == "explicit",
            col(JudgementRow.principal).not_in(list(left_out)),
        )
    )
    turns = [id for id in session.exec(select(TurnRow.id).where(*others)) if id not in ids]
    ratings = [id for id in session.exec(rated) if id not in ids]
    if turns or ratings:
        found = ((len(turns), "turn"), (len(ratings), "rating"))
        counts = " and ".join(_counted(count, what) for count, what in found if count)
        raise LedgerError(
            f"the log has let go of {counts} that the line learned from"
            f" ({(turns or ratings)[0]} …): what a run without somebody would have read is not"
            " known any more; use replay --without, without --exact"
        )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


# What plans of older builds did, though they note nothing of it: no decay, no bank, full steps, a
# search that spares nothing, or orders or such, a quorum for generations but not for wishes,
# nor more people for statements, newcomers as a whole person, voices by their age alone, a wish
# that must have helped at once, complaints that all teach, and rewrites as sure as the teacher's.
_BEFORE: Final = {
    "decay": 0.0, "bank_weight": 0.0, "gain_share": 1e9, "wish_quorum": False, "lesson_versions": 0,
    "spare": 0.0, "spare_orders": 0.0, "claim_share": 0.0, "newcomers_count": 1.0,
    "gold_items": False, "spare_copies": 0.0, "spare_refusals": 0.0, "accepted_alone": False,
    "certainty": 0.0,
}  # fmt: skip
# What is no setting any more, with the one value that this build repeats.
_GONE: Final = {"signs_per_pair": 1}


def settings_of(plan: GenerationRow) -> LearnerSettings:
    """Return what a plan was made with; but for its moment, which is repeated, whatever it was.

    raises: LedgerError when this build does not know them
    """
    try:
        noted = {k: v for k, v in plan.settings.items() if _GONE.get(k, ...) != v}
        return LearnerSettings.model_validate(_BEFORE | _as_taken_now(noted))
    except ValidationError as cause:
        raise LedgerError(
            f"generation {plan.number} of {plan.line} was planned with settings that this build"
            f" does not know ({cause.errors()[0]['msg']}): use the build that planned it"
        ) from cause


def _as_taken_now(noted: Mapping[str, Any]) -> dict[str, Any]:
    """Say what was noted as a start would take it now, where that plans the same.

    Its moment is repeated, so windows say nothing; nobody reads the address of a judge that is not
    asked; a probe that is named twice was asked of the same version twice.
    """
    taken = dict(noted) | {"mode": "auto", "windows": []}
    if "model" not in noted.get("judges", ()):
        taken.pop("judge_url", None)
    for name in ("probes", "quick_probes", "optional_probes"):
        if name in noted:
            taken[name] = list(dict.fromkeys(noted[name]))
    if "uses" in noted:
        taken["uses"] = min(noted["uses"], MOST_TURNS)
    return taken


def place_of(entry: Entry) -> str:
    """Name the part of the log that a record stands in, as plans note how far it was read."""
    return f"{entry.partition.topic}/{entry.partition.number}"
