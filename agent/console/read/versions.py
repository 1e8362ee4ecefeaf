"""The chain of versions, from the ledger and the generations.

Recipes never change, so each is read once. Held-back candidates stand among the versions: they are
not in the ledger, and the reason why is what an operator looks for.
"""

from collections.abc import Collection

from sqlmodel import Session, col, func, select

from agent.console.read.view import View
from streams.line.became import ends_of
from streams.records import Json, Recipe, encode
from streams.store.tables import GenerationRow, RecipeRow, RolloutRow

LIMIT = 60


class VersionRows:
    """The versions that the last generations made, released or held back."""

    def __init__(self) -> None:
        self._recipes: dict[str, Json] = {}
        self._became: dict[str, tuple[int | None, dict[str, Json | None]]] = {}  # since a change

    def read(self, session: Session, view: View) -> list[Json]:
        """Read the versions of these lines, newest first, and what serves and served before."""
        tried = session.exec(
            select(GenerationRow)
            .where(col(GenerationRow.line).in_(view.lines), col(GenerationRow.child).is_not(None))
            .order_by(col(GenerationRow.number).desc())
            .limit(LIMIT)
        ).all()
        self._read_new(session, {str(generation.child) for generation in tried} | set(view.named))
        shown = dict(self._recipes)
        for generation in tried:
            name = str(generation.child)
            shown[name] = (shown.get(name) or _candidate(generation)) | {
                "generation": generation.number,
                "outcome": generation.state,
                "reason": generation.reason,
                "gate": generation.gate,
            }
        for line in view.lines:
            names = [name for name, row in shown.items() if row["line"] == line]
            became = self._read_became(session, line, names)
            shown |= {name: shown[name] | {"became": became[name]} for name in names}
        return sorted(shown.values(), key=lambda version: -version["created_ms"])

    def _read_became(
        self, session: Session, line: str, names: Collection[str]
    ) -> dict[str, Json | None]:
        """Read what became of these versions, again only where something changed since."""
        newest = select(func.max(RolloutRow.seq)).where(RolloutRow.line == line)
        seq = session.exec(newest).one()
        known_seq, known = self._became.get(line, (None, {}))
        if known_seq != seq or known.keys() != set(names):
            ends = ends_of(session, line, list(names))
            known = {name: _told(change) for name, change in ends.items()}
            self._became[line] = seq, known
        return known

    def _read_new(self, session: Session, names: Collection[str]) -> None:
        """Read the recipes that are not known yet, and forget those that are not shown."""
        missing = [name for name in names if name not in self._recipes]
        rows = session.exec(select(RecipeRow).where(col(RecipeRow.version).in_(missing))).all()
        known = {name: self._recipes[name] for name in names if name in self._recipes}
        self._recipes = known | {row.version: recipe_of(row) for row in rows}


def _told(change: Json | None) -> Json | None:
    return change and {key: change[key] for key in ("became", "reason", "seq")}


def recipe_of(row: RecipeRow) -> Json:
    """Show a recipe without its numbers."""
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
