"""Turns the store's rows into the sections of the console: JSON values, newest first, bounded.

A turn's record is large and never changes, so what is shown of it is kept and only new turns are
read in full; a reading costs a few milliseconds however long the history is. Texts are cut here and
escaped nowhere: the page enters them as text.

Knows nothing of HTTP, nor of what this process serves now.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlmodel import Session, col, func, select

from streams.log import Partition
from streams.records import Json, Recipe, encode
from streams.tables import (
    ArtefactRow,
    GenerationRow,
    JudgementRow,
    LeaseRow,
    OffsetRow,
    RecipeRow,
    RolloutRow,
    TurnRow,
)

TURNS = 40
GENERATIONS = 400
VERSIONS = 60
ROLLOUTS = 50
RECENT_TURNS = 500  # the fresh ones are counted among these, so that the count stays cheap
TEXT_CHARS = 4000  # of a prompt, reply or next state; the whole is in the log

Ends = Mapping[Partition, int]  # the log's end offsets


class Cut:
    """What is shown of turns and recipes that were read before."""

    def __init__(self) -> None:
        self.turns: dict[str, Json] = {}
        self.recipes: dict[str, Json] = {}
        self.artefacts: dict[str, Json] = {}


def turns(session: Session, lines: Collection[str], cut: Cut, *, limit: int = TURNS) -> list[Json]:
    """Give the last turns with what was said after them and how they were judged."""
    # The empty text keeps SQLite from the index on the line, which would read and sort every turn
    # ever given; by sequence it reads the last ones only.
    heads = session.execute(
        select(TurnRow.id, TurnRow.state, TurnRow.next_ms, TurnRow.uses)
        .where((col(TurnRow.line) + "").in_(lines))
        .order_by(col(TurnRow.sequence).desc())
        .limit(limit)
    ).all()
    ids = [head.id for head in heads]
    _read_turns(session, heads, cut)
    judged = _judgements(session, ids)
    return [
        cut.turns[head.id]
        | {"state": head.state, "uses": head.uses, "judgements": judged.get(head.id, [])}
        for head in heads
    ]


def _read_turns(session: Session, heads: Sequence[Any], cut: Cut) -> None:
    """Read in full what is not known yet, or has been linked since; forget what is not shown."""
    known = {
        head.id: cut.turns[head.id]
        for head in heads
        if head.id in cut.turns and cut.turns[head.id]["next_ms"] == head.next_ms
    }
    missing = [head.id for head in heads if head.id not in known]
    for row in session.exec(select(TurnRow).where(col(TurnRow.id).in_(missing))).all():
        known[row.id] = _turn(row)
    cut.turns = known


def _turn(row: TurnRow) -> Json:
    record = row.record
    messages = record.get("messages", [])
    asked: Json = next((m for m in reversed(messages) if m.get("role") in ("user", "tool")), {})
    return {
        "id": row.id,
        "line": row.line,
        "version": row.version,
        "principal": row.principal,
        "session": row.session,
        "created_ms": row.created_ms,
        "prompt": _message(asked),
        "num_messages": len(messages),
        "reply": _message(record.get("reply", {})),
        "num_tokens": len(record.get("token_ids", [])),
        "finish_reason": record.get("finish_reason"),
        "learn": record.get("learn", True),
        "purpose": record.get("purpose", "main"),
        "next_kind": row.next_kind,
        "next_ms": row.next_ms,
        "next": [_message(message) for message in (row.next_state or [])[:3]],
        "num_next": len(row.next_state or []),
    }


def _message(message: Mapping[str, Any]) -> Json:
    text = message.get("content") or ""
    calls = [
        f"{call.get('function', {}).get('name')}({call.get('function', {}).get('arguments')})"
        for call in message.get("tool_calls") or []
    ]
    whole = "\n".join(part for part in [text, *calls] if part)
    return {"role": message.get("role"), "text": whole[:TEXT_CHARS], "num_chars": len(whole)}


def _judgements(session: Session, ids: Collection[str]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    query = (
        select(JudgementRow)
        .where(col(JudgementRow.turn_id).in_(ids))
        .order_by(col(JudgementRow.created_ms))
    )
    for row in session.exec(query).all():
        found.setdefault(row.turn_id, []).append(
            {
                "source": row.source,
                "score": row.score,
                "confidence": row.confidence,
                "hint": row.hint and row.hint[:TEXT_CHARS],
                "votes": row.votes,
                "evidence": row.evidence[:TEXT_CHARS],
                "created_ms": row.created_ms,
            }
        )
    return found


def generations(
    session: Session, lines: Collection[str], *, limit: int = GENERATIONS
) -> list[Json]:
    """Give the last generations, newest first, without the fitness of single members."""
    names = (
        "id", "line", "number", "parent", "child", "state", "reason", "turn_ids", "coefficients",
        "step", "reward", "fitness_mean", "fitness_spread", "kl", "planned_ms", "done_ms",
    )  # fmt: skip
    rows = session.execute(
        select(*(getattr(GenerationRow, name) for name in names))
        .where(col(GenerationRow.line).in_(lines))
        .order_by(col(GenerationRow.number).desc())
        .limit(limit)
    ).all()
    shown = []
    for row in rows:
        value = row._asdict()
        value["num_turns"] = len(value.pop("turn_ids"))
        value["num_pairs"] = len(value.pop("coefficients"))
        shown.append(value)
    return shown


def versions(
    session: Session,
    lines: Collection[str],
    named: Collection[str],
    cut: Cut,
    *,
    limit: int = VERSIONS,
) -> list[Json]:
    """Give what the last generations made, released or held back, newest first.

    named: versions that are shown however old they are: what serves, and what served before
    """
    tried = session.exec(
        select(GenerationRow)
        .where(col(GenerationRow.line).in_(lines), col(GenerationRow.child).is_not(None))
        .order_by(col(GenerationRow.number).desc())
        .limit(limit)
    ).all()
    _read_recipes(session, {str(generation.child) for generation in tried} | set(named), cut)
    shown = dict(cut.recipes)
    for generation in tried:
        name = str(generation.child)
        shown[name] = (shown.get(name) or _candidate(generation)) | {
            "generation": generation.number,
            "outcome": generation.state,
            "reason": generation.reason,
            "gate": generation.gate,
        }
    return sorted(shown.values(), key=lambda version: -version["created_ms"])


def _read_recipes(session: Session, names: Collection[str], cut: Cut) -> None:
    """Read the recipes that are not known yet, and forget those that are not shown."""
    missing = [name for name in names if name not in cut.recipes]
    rows = session.exec(select(RecipeRow).where(col(RecipeRow.version).in_(missing))).all()
    known = {name: cut.recipes[name] for name in names if name in cut.recipes}
    cut.recipes = known | {row.version: _recipe(row) for row in rows}


def bases(session: Session, lines: Collection[str]) -> Json:
    """Give line → the version that it started from, for lines that have changed since."""
    first = select(RolloutRow).where(col(RolloutRow.line).in_(lines), RolloutRow.seq == 1)
    return {row.line: row.previous for row in session.exec(first).all()}


def _recipe(row: RecipeRow) -> Json:
    recipe = Recipe.model_validate(row.record)
    return {
        "version": row.version,
        "line": row.line,
        "number": row.number,
        "parent": row.parent,
        "digest": recipe.digest,
        "recipe_bytes": len(encode(recipe)),
        "strategy": recipe.strategy,
        "noise": recipe.noise,
        "num_pairs": len(recipe.coefficients),
        "layers": recipe.layers,
        "modules": recipe.modules,
        "step": recipe.step,
        "sigma_log2": recipe.sigma_log2,
        "mask": recipe.mask,
        "created_ms": row.created_ms,
    }


def _candidate(generation: GenerationRow) -> Json:
    """Show a candidate that never became a version of the ledger."""
    return {
        "version": generation.child,
        "line": generation.line,
        "number": None,
        "parent": generation.parent,
        "created_ms": generation.done_ms or generation.planned_ms,
    }


def rollouts(session: Session, lines: Collection[str], *, limit: int = ROLLOUTS) -> list[Json]:
    """Give the last changes of the serving version, with who and why."""
    rows = session.exec(
        select(RolloutRow)
        .where(col(RolloutRow.line).in_(lines))
        .order_by(col(RolloutRow.seq).desc())
        .limit(limit)
    ).all()
    return [row.model_dump() for row in rows]


def learner(session: Session, lines: Collection[str], ends: Ends) -> Json:
    """Give what the learner does: its lease, the generation in work, and what waits for it."""
    last = session.exec(select(func.max(TurnRow.sequence))).one() or 0
    recent = session.execute(
        select(TurnRow.state, TurnRow.uses).where(TurnRow.sequence > last - RECENT_TURNS)
    ).all()
    planned = session.execute(
        select(GenerationRow.line, GenerationRow.number, GenerationRow.planned_ms)
        .where(GenerationRow.state == "planned", col(GenerationRow.line).in_(lines))
        .order_by(col(GenerationRow.number))
    ).all()
    counts = session.execute(select(TurnRow.state, func.count()).group_by(TurnRow.state)).all()
    return {
        "leases": [row.model_dump() for row in session.exec(select(LeaseRow)).all()],
        "in_work": [dict(row._mapping) for row in planned],
        "num_turns": {str(state): count for state, count in counts},
        "num_fresh": sum(state == "judged" and uses == 0 for state, uses in recent),
        "lag": lag(session, ends),
    }


def lag(session: Session, ends: Ends) -> Json:
    """Give group → topic → records not read yet; an upper bound, as offsets may have holes."""
    behind: dict[str, dict[str, int]] = {}
    for row in session.exec(select(OffsetRow)).all():
        topics = behind.setdefault(row.group, {})
        for partition, end in ends.items():
            if (partition.topic, partition.number) == (row.topic, row.partition):
                left = max(0, end - row.next_offset)
                topics[row.topic] = topics.get(row.topic, 0) + left
    return behind


def masks(session: Session, cut: Cut) -> list[Json]:
    """Give the artefacts of the safety map, newest first, without the maps themselves."""
    rows = session.execute(
        select(ArtefactRow.digest, ArtefactRow.kind, ArtefactRow.created_ms).order_by(
            col(ArtefactRow.created_ms).desc()
        )
    ).all()
    for row in rows:
        if row.digest not in cut.artefacts:
            body = session.exec(
                select(ArtefactRow.body).where(ArtefactRow.digest == row.digest)
            ).one()
            cut.artefacts[row.digest] = dict(row._mapping) | summary(body)
    return [cut.artefacts[row.digest] for row in rows]


def summary(body: Mapping[str, Any]) -> Json:
    """Give what a person wants to know of an artefact: its plain values, and how many units."""
    plain = {
        name: value for name, value in body.items() if isinstance(value, str | int | float | bool)
    }
    units = {
        f"num_{kind}": sum(len(some) for some in body[kind].values())
        for kind in ("neurons", "groups")
        if isinstance(body.get(kind), Mapping)
    }
    return plain | units
