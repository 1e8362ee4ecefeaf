"""Version: where it comes from, what moved it and by how much, what the gate asked of it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from sqlmodel import Session, col, select

from agent.console.read.turns import turn_of
from agent.console.read.versions import recipe_of
from agent.console.views.changes import of_versions
from agent.console.views.view import Ask, View
from agent.errors import ApiError, NotFoundError, UnknownVersionError
from streams.line import ledger
from streams.line.became import ended
from streams.line.line import is_number
from streams.records import Json
from streams.store.tables import GenerationRow, RecipeRow, RolloutRow, TurnRow

CHANGES = 20  # the last ones that it took part in
NAMED = 5  # of the versions with one number, in a refusal
LINEAGE = 12  # ancestors on the page; the whole chain is the list of versions
# The settings of a learner that decide what a recipe does, as they were when it was planned.
EFFECTIVE = (
    "strategy", "noise", "last_layers", "modules", "pairs", "step", "gain_share", "decay",
    "bank_weight", "kl_budget", "hint_target",
    "top_k", "turns_per_generation", "principal_cap", "quorum", "wish_quorum", "reward_weight",
    "hint_weight", "kl_weight", "ratio_clip", "frozen_share", "accepted_alone", "certainty", "seed",
)  # fmt: skip


def read(session: Session, ask: Ask) -> Json:
    """Read all that the store has of a version. Raises: NotFoundError."""
    name = _whole(session, ask)
    changes = of_versions(session, ask, [name], CHANGES)
    recipe = session.get(RecipeRow, name)
    made = ledger.made(session, name)
    if recipe is None and made is None:
        if name not in _bases(session, ask):
            raise NotFoundError(f"no version {name} of the line {ask.line} is known")
        return {"version": name, "is_base": True, "children": _children(session, name)}
    parent = recipe.parent if recipe else made.parent if made else ""
    return {
        "version": name,
        "recipe": recipe_of(recipe) | {"coefficients": recipe.record["coefficients"]}
        if recipe
        else None,
        "lineage": _lineage(session, parent),
        "children": _children(session, name),
        "generation": _generation(made) if made else None,
        "moved_by": _moved_by(session, made) if made else None,
        "changes": changes,
        "ended": ended(name, changes),
    }


def of_agent(ask: Ask) -> Json:
    """What is shown of a version while the store is away: whether it serves."""
    return {
        "version": _named(ask), "is_base": False, "recipe": None, "lineage": [],
        "children": [], "generation": None, "moved_by": None, "changes": [], "ended": None,
        "line": ask.line, "serving": ask.serving,
    }  # fmt: skip


VIEW = View("version", "/versions/{version}", "Version", of_agent, read)


async def change(ask: Ask) -> Json:
    """Work out what a version changed, layer by layer. Raises: NotFoundError."""
    name = _named(ask)
    try:
        tensors = await asyncio.to_thread(ask.insight.moved, name)
    except UnknownVersionError as cause:
        raise NotFoundError(f"{cause}: only the line's own versions can be measured") from cause
    layers = sorted({row["layer"] for row in tensors})
    return {"version": name, "tensors": tensors, "layers": layers,
            "modules": list(dict.fromkeys(row["module"] for row in tensors))}  # fmt: skip


def _named(ask: Ask) -> str:
    """Return what a number, a word or a beginning means to this agent; else what is given."""
    given = ask.path["version"]
    with suppress(ApiError):
        return ask.service.comparisons.named(int(given) if is_number(given) else given)
    return given


def _whole(session: Session, ask: Ask) -> str:
    """Complete a number or the first digits of a name as well, where the store alone knows it.

    raises: NotFoundError when several are of a number, and none is on the way to what serves
    """
    given = _named(ask)
    if is_number(given):
        numbered = RecipeRow.line == ask.line, RecipeRow.number == int(given)
        found = session.exec(select(RecipeRow.version).where(*numbered).limit(NAMED + 1)).all()
        if len(found) > 1:
            names = ", ".join([*found[:NAMED], *["…"] * (len(found) > NAMED)])
            raise NotFoundError(
                f"more than one version of the line {ask.line} is number {given}: {names}: say "
                "which, by its name"
            )
        if found:
            return found[0]
    begins = col(RecipeRow.version).startswith(given, autoescape=True)
    found = session.exec(select(RecipeRow.version).where(begins).limit(2)).all()
    return found[0] if len(found) == 1 else given


def _bases(session: Session, ask: Ask) -> set[str]:
    first = select(RolloutRow.previous).where(RolloutRow.line == ask.line, RolloutRow.seq == 1)
    return {*session.exec(first), *(name for name in (ask.serving["version"],) if name)}


def _lineage(session: Session, parent: str) -> list[Json]:
    """Read the ancestors, the nearest first; the last one may be the base, which has no recipe."""
    found: list[Json] = []
    while parent and len(found) < LINEAGE:
        row = session.get(RecipeRow, parent)
        found.append({"version": parent, "number": row.number if row else 0})
        parent = row.parent if row else ""
    return found


def _children(session: Session, name: str) -> list[str]:
    return list(session.exec(select(RecipeRow.version).where(RecipeRow.parent == name).limit(50)))


def _generation(row: GenerationRow) -> Json:
    names = ("number", "state", "reason", "reward", "gain", "kl", "step", "gate", "planned_ms",
             "done_ms", "coefficients", "key")  # fmt: skip
    settings = {name: row.settings[name] for name in EFFECTIVE if name in row.settings}
    return {name: getattr(row, name) for name in names} | {"settings": settings}


def _moved_by(session: Session, row: GenerationRow) -> Json:
    """Read the turns of a version's batch, and each principal's share of their weight."""
    batch: Sequence[Json] = row.batch
    query = select(TurnRow).where(col(TurnRow.id).in_([item["turn_id"] for item in batch]))
    known = {turn.id: turn for turn in session.exec(query)}
    total = sum(item["weight"] for item in batch) or 1.0
    turns, principals = [], dict[str, float]()
    for item in batch:
        turn, share = known.get(item["turn_id"]), item["weight"] / total
        principal = turn.principal if turn else "not kept any more"
        principals[principal] = principals.get(principal, 0.0) + share
        shown = turn_of(turn) if turn else None
        scored = not row.scored_ids or item["turn_id"] in row.scored_ids
        named = {"share": share, "principal": principal, "turn": shown, "scored": scored}
        turns.append(item | named)
    return {
        "turns": sorted(turns, key=lambda item: -item["share"]),
        "principals": sorted(
            ({"principal": name, "share": share} for name, share in principals.items()),
            key=lambda each: -float(each["share"]),
        ),
    }
