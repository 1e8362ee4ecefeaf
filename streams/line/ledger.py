"""The ledger: every version's recipe, from the base up. Append-only; it may branch.

Invariants: a recipe stands only on a parent that the ledger holds (or on the base, as number 1),
with the number after its parent's; a version's name is the hash of its recipe, so nothing in a
chain can be changed without changing every name after it.

Knows recipes, not weights: whoever applies a chain checks the digest of each
(kernels.version.master).
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlmodel import Session, col, func, select

from streams.errors import LedgerError
from streams.records import Recipe
from streams.store.insert import insert_new
from streams.store.store import pieces
from streams.store.tables import GenerationRow, RecipeRow

# The order of the generations that one version came of: first one beside the line, whose name is
# longer (main/exact/…): of it the gate was asked anew, by whoever had the version built again.
SAID_LAST: Final[tuple[Any, ...]] = (
    func.length(GenerationRow.line).desc(),
    col(GenerationRow.done_ms).desc(),
)


def append(session: Session, recipe: Recipe, *, created_ms: int | None = None) -> None:
    """Add a recipe; adding the same one again changes nothing.

    raises: LedgerError when its parent is missing or its number is not the next
    """
    if session.get(RecipeRow, recipe.version) is not None:
        return
    parent = session.get(RecipeRow, recipe.parent)
    _prove_fits(recipe, Recipe.model_validate(parent.record) if parent else None)
    now_ms = created_ms if created_ms is not None else int(time.time() * 1000)
    row = RecipeRow(
        version=recipe.version,
        parent=recipe.parent,
        line=recipe.line,
        number=recipe.number,
        record=recipe.model_dump(mode="json"),
        created_ms=now_ms,
    )
    insert_new(session, row)


def chain(session: Session, version: str, *, known: Sequence[Recipe] = ()) -> list[Recipe]:
    """Return the recipes that lead from the base to a version, in the order of their application.

    known: a chain that was read before; where the version's own meets it, no more is read, so that
        one step along a long line costs one step
    returns: empty when the ledger holds no such version (it is the base, or unknown)
    raises: LedgerError when the chain is broken
    """
    # A child names its parent: only the last recipe has to be hashed for its name.
    places = {recipe.parent: place for place, recipe in enumerate(known) if place}
    places |= {recipe.version: len(known) for recipe in known[-1:]}
    recipes: list[Recipe] = []
    while version not in places and (row := session.get(RecipeRow, version)) is not None:
        recipe = _read(row)
        if recipes:
            _prove_fits(recipes[-1], recipe)
        recipes.append(recipe)
        version = recipe.parent
    before = list(known[: places.get(version, 0)])
    if recipes:
        _prove_fits(recipes[-1], before[-1] if before else None)
    return before + recipes[::-1]


def made(session: Session, version: str) -> GenerationRow | None:
    """Read the generation that made a version; of several the one that says what holds of it."""
    of_child = select(GenerationRow).where(GenerationRow.child == version)
    return session.exec(of_child.order_by(*SAID_LAST)).first()


def made_each(session: Session, versions: Iterable[str]) -> dict[str, GenerationRow]:
    """Read the generation that made each of these versions, as `made` does; some have none."""
    found: dict[str, GenerationRow] = {}
    for some in pieces(versions):
        of_some = select(GenerationRow).where(col(GenerationRow.child).in_(some))
        for row in session.exec(of_some.order_by(*SAID_LAST)):
            found.setdefault(str(row.child), row)
    return found


def head(session: Session, line: str) -> Recipe | None:
    """Return the newest recipe of a line; None while the line is at its base.

    Newest, not serving: which version serves is the topic `rollouts`' to say.
    """
    newest = col(RecipeRow.created_ms).desc(), col(RecipeRow.number).desc(), RecipeRow.version
    row = session.exec(select(RecipeRow).where(RecipeRow.line == line).order_by(*newest)).first()
    return _read(row) if row else None


def verify(session: Session) -> int:
    """Prove that every recipe of the ledger is what its name says, and stands on its parent.

    returns: number of recipes
    raises: LedgerError naming the first that is not
    """
    known: dict[str, Recipe] = {}
    for row in session.exec(select(RecipeRow).order_by(col(RecipeRow.number), RecipeRow.version)):
        recipe = _read(row)
        _prove_fits(recipe, known.get(recipe.parent))
        known[recipe.version] = recipe
    return len(known)


def _read(row: RecipeRow) -> Recipe:
    try:
        recipe = Recipe.model_validate(row.record)
    except ValueError as cause:
        raise LedgerError(f"the recipe of {row.version} is unreadable: {cause}") from cause
    if recipe.version != row.version or (recipe.parent, recipe.number) != (row.parent, row.number):
        raise LedgerError(
            f"the recipe kept as {row.version} is that of {recipe.version}: the ledger was changed"
        )
    return recipe


def _prove_fits(recipe: Recipe, parent: Recipe | None) -> None:
    if parent is None and recipe.number != 1:
        raise LedgerError(
            f"{recipe.version} is number {recipe.number} and its parent {recipe.parent} is missing"
        )
    if parent is None:
        return
    if (recipe.parent, recipe.number) != (parent.version, parent.number + 1):
        raise LedgerError(
            f"{recipe.version} is number {recipe.number} on {recipe.parent}: it does not follow"
            f" {parent.version}, number {parent.number}"
        )
