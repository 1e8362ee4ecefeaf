"""Works a chain of generations out again without some turns, from what each of them kept.

A generation keeps the fitness of every member on every turn, with the turns' weights; so what it
would have come to without some of them is a sum over the other rows, then ranks and integers as
before. Nothing is scored. Two things are therefore kept as they were: the step of each generation
(whether another one had kept the KL budget, only scoring could tell), and the table
itself, whose rows were scored on a parent that the left-out turns may have moved before. For more
than that, score again (learner.rerun.rerun).

A generation in which nobody is left out keeps its integers; one of which nothing is left is
skipped. Knows nothing of weights: its recipes have no digests yet.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.change import most_weight
from kernels.version.master import QUANTUM_LOG2
from learner.batch.borne import counted
from learner.settings import SEARCHED
from learner.update import strategies
from streams.errors import LedgerError
from streams.records import Recipe
from streams.store.tables import GenerationRow


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of a generation: the rows that stay, and the integers that they ask for."""

    touched: bool  # something of it was left out
    coefficients: tuple[int, ...]  # all zero: nothing is left to learn from
    batch: list[dict[str, Any]]
    fitness: list[list[float]]
    scored_ids: list[str]


def kept(row: GenerationRow, recipe: Recipe, left_out: Collection[str]) -> Kept:
    """Leave turns out of a generation.

    row: what made the recipe; left_out: turn ids
    raises: LedgerError when an older build kept too little for it
    """
    batch = [item for item in row.batch if item["turn_id"] not in left_out]
    if len(batch) == len(row.batch):
        untouched = tuple(recipe.coefficients)
        return Kept(False, untouched, row.batch, row.fitness, _scored_ids(row, strict=False))
    scored_ids = _scored_ids(row, strict=True)
    staying = [place for place, id in enumerate(scored_ids) if id not in left_out]
    rows = [row.fitness[place] for place in staying]
    ids = [scored_ids[place] for place in staying]
    weights = counted(batch, set(ids), row.settings)
    shares = np.asarray([weights[id] for id in ids])
    nothing = (0,) * len(recipe.coefficients)
    coefficients = _coefficients(row, recipe, shares @ np.asarray(rows)) if rows else nothing
    return Kept(True, coefficients, batch, rows, ids)


def draft(recipe: Recipe, rest: Kept, *, parent: str, number: int) -> Recipe:
    """Return the recipe of what is left, on another parent; its digest is not known yet."""
    changed = {
        "coefficients": list(rest.coefficients),
        "parent": parent,
        "number": number,
        "digest": "",
    }
    return recipe.model_copy(update=changed)


def _coefficients(
    row: GenerationRow, recipe: Recipe, members: strategies.Floats
) -> tuple[int, ...]:
    if recipe.noise in SEARCHED:
        raise LedgerError(
            f"generation {row.number} of {row.line} searched for its members on all of its turns,"
            " those that are to be left out too: nobody can be left out of it without scoring again"
            " (--exact)"
        )
    if recipe.strategy == "randopt":
        if "top_k" not in row.settings:
            raise _too_old(row, "its settings")
        update = strategies.randopt(
            members,
            top_k=row.settings["top_k"],
            sigma_log2=recipe.sigma_log2,
            quantum_log2=QUANTUM_LOG2,
        )
    else:
        update = strategies.es(
            members, step=1.0, sigma_log2=recipe.sigma_log2, quantum_log2=QUANTUM_LOG2
        )
    # the step that this gives is not used: see the module
    return strategies.fitted(update, most_weight(recipe.noise)).coefficients


def _scored_ids(row: GenerationRow, *, strict: bool) -> list[str]:
    """Return whose the rows of fitness are; an older build kept that only where all were scored."""
    if row.scored_ids or not row.fitness:
        return list(row.scored_ids)
    if len(row.fitness) == len(row.batch):
        return [item["turn_id"] for item in row.batch]
    if strict:
        raise _too_old(row, "which turns its fitness is of")
    return []


def _too_old(row: GenerationRow, what: str) -> LedgerError:
    return LedgerError(
        f"generation {row.number} of {row.line} was made by an older build, which did not keep"
        f" {what}: nobody can be left out of it without scoring again (--exact)"
    )
