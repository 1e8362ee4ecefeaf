"""Builds a version that somebody never moved: quickly, without their turns, or exactly, run again.

Knows nothing of how turns are forgotten (deploy.operate.forget).
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from sqlmodel import Session, select

from kernels.version.build import master_at_base
from kernels.version.master import Master
from learner.batch.borne import counted
from learner.forget import store as forget
from learner.rerun import refit, rerun
from learner.rerun.branch import Builder, Rebuilt, Replaced, finish
from learner.rerun.first_run import read_history
from learner.rerun.own_home import own_home
from learner.rerun.refit import Kept
from streams.errors import ProofError
from streams.line import ledger
from streams.line.masks import mask_of
from streams.log.contract import Log
from streams.records import Recipe
from streams.store.states import REBUILT
from streams.store.store import Store
from streams.store.tables import GenerationRow, TurnRow


def turns_of(session: Session, principals: Collection[str]) -> set[str]:
    """Return the turns that are left out, forgotten ones and others.

    raises: ProofError when one of the principals has none
    """
    found: set[str] = set()
    for principal in principals:
        own = set(session.exec(select(TurnRow.id).where(TurnRow.principal == principal)))
        if not own:
            raise ProofError(
                f"the store knows no turn of {principal}: `quickset turns --json` shows whose the"
                " turns are"
            )
        found |= own
    return found


def build_quick(
    store: Store, builder: Builder, version: str, principals: Collection[str]
) -> Rebuilt:
    """Leave principals out of every generation of a version's chain (learner.rerun.refit).

    raises: ProofError when they had no part in it, or nothing is left; LedgerError when an older
        build kept too little
    """
    names = ", ".join(principals)
    with store.reading() as session:
        left_out = turns_of(session, principals)
        chain = ledger.chain(session, version)
        mask = mask_of(session, chain)
        rows = _rows_of(session, chain)
    rests = [refit.kept(rows[r.version], r, left_out) for r in chain]
    if not any(rest.touched for rest in rests):
        raise ProofError(f"{names} never moved {version}: there is nothing to leave out")
    master = master_at_base(builder.source(mask), chain)
    made: list[Recipe] = []
    new: list[GenerationRow] = []
    changes: list[Replaced] = []
    for recipe, rest in zip(chain, rests, strict=True):
        row, child = rows[recipe.version], _child(master, recipe, rest, made, builder)
        if rest.touched:
            changes.append(_replaced(row, recipe, rest, child))
        if child is not None:
            made.append(child)
            if child != recipe:
                new.append(_row(row, child, rest))
        builder.tell(f"{len(made)} of {len(chain)} versions")
    if not made:
        raise ProofError(
            f"nothing is left of {version} without {names}: go back to the base with `quickset"
            " versions rollback`"
        )
    return finish(store, builder, mask, chain, made, new, "quick", changes)


def _replaced(row: GenerationRow, recipe: Recipe, rest: Kept, child: Recipe | None) -> Replaced:
    out_of = len(row.batch)
    instead = child.version if child else None
    return Replaced(row.number, recipe.version, out_of - len(rest.batch), out_of, instead)


def _child(
    master: Master, recipe: Recipe, rest: Kept, made: Sequence[Recipe], builder: Builder
) -> Recipe | None:
    """Add what is left of a generation to the master; None when nothing is."""
    parent = made[-1].version if made else builder.base.name
    if not any(rest.coefficients):
        return None
    if not rest.touched and recipe.parent == parent:
        master.apply(recipe)
        return recipe
    draft = refit.draft(recipe, rest, parent=parent, number=len(made) + 1)
    master.apply(draft, verify=False)
    return draft.model_copy(update={"digest": master.digest()})


def _rows_of(session: Session, chain: Sequence[Recipe]) -> dict[str, GenerationRow]:
    """Return the generation that made each version of a chain."""
    names = [recipe.version for recipe in chain]
    rows = ledger.made_each(session, names)
    missing = [name for name in names if name not in rows]
    if missing:
        raise ProofError(
            f"the store does not hold the generation that made {missing[0]}: nobody can be left out"
            " of it; restore the store from a backup, or use --exact"
        )
    return rows


def _row(row: GenerationRow, recipe: Recipe, rest: Kept) -> GenerationRow:
    """Return the generation of a version that was worked out again; its line is named later."""
    scores = [item["score"] for item in rest.batch]
    shares = counted(rest.batch, set(rest.scored_ids), row.settings)
    # a corrective generation learned from no turn (learner.guards.drift)
    members = np.zeros(0)
    if shares:
        members = np.asarray([shares[id] for id in rest.scored_ids]) @ np.asarray(rest.fitness)
    return GenerationRow(
        id="",
        line="",
        number=recipe.number,
        parent=recipe.parent,
        child=recipe.version,
        key=recipe.key,
        state=REBUILT,
        reason=f"generation {row.number} of {row.line} without some of its turns"
        if rest.touched
        else f"generation {row.number} of {row.line} on another parent",
        turn_ids=[item["turn_id"] for item in rest.batch],
        batch=rest.batch,
        horizon=row.horizon,
        settings=row.settings,
        fitness=rest.fitness,
        scored_ids=rest.scored_ids,
        coefficients=recipe.coefficients,
        step=recipe.step,
        reward=sum(scores) / len(scores) if scores else None,
        fitness_mean=float(members.mean()) if members.size else None,
        fitness_spread=float(members.std()) if members.size else None,
        planned_ms=row.planned_ms,
    )


def build_exact(
    store: Store,
    log: Log,
    builder: Builder,
    version: str,
    principals: Collection[str],
    *,
    home: Path,
) -> Rebuilt:
    """Run the line again as if principals had never been there (learner.rerun.rerun).

    version: what serves, which the result would replace
    home: of the line, in which the run has one of its own (learner.rerun.own_home)
    raises: ProofError when that changes nothing, or nothing is left; LedgerError when what the run
        would have read is not known any more
    """
    names = ", ".join(principals)
    with store.reading() as session:
        left_out = turns_of(session, principals)
        chain = ledger.chain(session, version)
        mask = mask_of(session, chain)
        history = read_history(session, log, builder.settings, mask, principals)
        known = forget.moments(session)
    with own_home(home) as own:
        found = rerun.run_without(
            history,
            own,
            builder.base,
            builder.backend,
            gate=builder.gate,
            kept=builder.kept,
            tell=builder.tell,
        )
    made = found.chain
    if not made:
        raise ProofError(
            f"without {names} no version would have been made: go back to the base with `quickset"
            " versions rollback`"
        )
    if made[-1].version == version:
        raise ProofError(f"{names} never moved {version}: there is nothing to leave out")
    rows = [found.generations[recipe.version] for recipe in made]
    stored = {recipe.version for recipe in chain}
    new = [_copied(row) for row in rows if row.child not in stored]
    changes = _changes(history.plans, left_out, made)
    notes = [*found.notes, f"{found.recalled} generations were as before and not scored again"]
    built = finish(store, builder, mask, chain, made, new, "exact", changes, notes)
    with store.reading() as session:
        since = forget.moments(session).items() - known.items()
    gone = sorted({principal for principal, _ in since}.difference(principals))
    return replace(built, notes=(*built.notes, *map(_forgotten_since, gone)))


def _forgotten_since(principal: str) -> str:
    return (
        f"{principal} was forgotten while this was worked out, and it may have learned from what"
        " they had said: run it again"
    )


def _changes(
    plans: Sequence[GenerationRow], left_out: set[str], made: Sequence[Recipe]
) -> list[Replaced]:
    """Return which generations they had touched; what stands instead is the whole new branch."""
    last = made[-1].version
    return [
        Replaced(row.number, str(row.child), touched, len(row.turn_ids), last)
        for row in plans
        if row.child and (touched := len(left_out.intersection(row.turn_ids)))
    ]


def _copied(row: GenerationRow) -> GenerationRow:
    """Return a generation of the run without them as it is to be kept beside the line."""
    kept = row.model_dump() | {"state": REBUILT, "seq": None}
    return GenerationRow(**kept)
