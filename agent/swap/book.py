"""The masks and recipes that the log has told: what a version is made of, as far as it is known.

Knows nothing of weights, or of which version should serve. Any thread may ask and add.
"""

import threading
from collections.abc import Mapping
from itertools import islice
from typing import Final

from agent.errors import UnknownVersionError
from streams.line.line import Line
from streams.records import Candidate, Mask, Recipe, Rollout, canonical_json, decode

# A line's versions that are remembered as decided on: only what was announced last counts, and it
# was decided on lately, if at all.
DECIDED: Final = 100


class Book:
    """Every mask by its digest and every recipe by its version."""

    def __init__(self, base: str) -> None:
        """Begin with nothing but the base model's name."""
        self._base = base
        self._masks: dict[str, Mask] = {}
        self._recipes: dict[str, Recipe] = {}
        self._announced: dict[str, Recipe] = {}  # line → what may be decided for next
        self._decided: dict[str, dict[str, None]] = {}  # line → what was decided on, newest last
        self._whole = {base}  # versions whose chain is known to be complete
        self._lock = threading.Lock()

    @property
    def masks(self) -> Mapping[str, Mask]:
        """The masks by digest, those that are added later too."""
        return self._masks

    def add_mask(self, mask: Mask) -> None:
        """Know a mask."""
        with self._lock:
            self._masks[mask.digest] = mask

    def add_recipe(self, recipe: Recipe) -> None:
        """Know a recipe."""
        with self._lock:
            self._recipes[recipe.version] = recipe

    def announce(self, candidate: Candidate) -> None:
        """Know what may be decided for next on a line, or that nothing may. raises: RecordError.

        Topics have no common order: what was announced may have been decided on already.
        """
        recipe = decode(canonical_json(candidate.recipe)) if candidate.recipe else None
        decided = self._decided.get(candidate.line, {})
        if isinstance(recipe, Recipe) and recipe.version not in decided:
            self._announced[candidate.line] = recipe
        else:
            self._announced.pop(candidate.line, None)

    def decide(self, rollout: Rollout) -> None:
        """Take it that what was announced has been decided on, if this is what a change says."""
        decided = self._decided.setdefault(rollout.line, {})
        for version in filter(None, (rollout.version, rollout.candidate)):
            decided.pop(version, None)
            decided[version] = None
        for oldest in list(islice(decided, max(0, len(decided) - DECIDED))):
            del decided[oldest]
        announced = self._announced.get(rollout.line)
        if announced is not None and announced.version in decided:
            del self._announced[rollout.line]

    def ahead(self, line: Line) -> Recipe | None:
        """Return what may be decided for next on a line.

        It is the candidate that waits for an operator, or one that was announced and is a child of
        what serves; None: there is none, or it cannot be built here yet.
        """
        if line.trial is None:
            recipe = self._announced.get(line.name)
        else:
            recipe = self.recipe(line.trial.version) if line.trial.state == "pending" else None
        if recipe is None or recipe.line != line.name or recipe.parent != line.version:
            return None
        known = self.is_whole(recipe.parent) and recipe.mask in self._masks
        return recipe if known else None

    def recipe(self, version: str) -> Recipe | None:
        """Return what made a version from its parent; None when it is not known, or the base."""
        with self._lock:
            return self._recipes.get(version)

    def is_whole(self, version: str) -> bool:
        """Tell whether a version's whole chain is known, masks too."""
        with self._lock:
            walked: list[str] = []
            while version not in self._whole:
                if self._missing(version) is not None:
                    return False
                walked.append(version)
                version = self._recipes[version].parent
            self._whole.update(walked)
            return True

    def beginning(self, start: str) -> list[str]:
        """Return the versions whose names begin like this, the base too; two at most."""
        with self._lock:
            names = (name for name in (self._base, *self._recipes) if name.startswith(start))
            return list(islice(names, 2)) if start else []

    def chain(self, version: str) -> list[Recipe]:
        """Return the recipes from the base to a version, in the order of their application.

        raises: UnknownVersionError naming the recipe or mask that is missing
        """
        with self._lock:
            chain: list[Recipe] = []
            while version != self._base:
                missing = self._missing(version)
                if missing is not None:
                    raise UnknownVersionError(missing)
                chain.append(self._recipes[version])
                version = chain[-1].parent
            return chain[::-1]

    def _missing(self, version: str) -> str | None:
        """Say what is not known of one step, if anything."""
        recipe = self._recipes.get(version)
        if recipe is None:
            return f"no recipe of version {version} is known here"
        if recipe.mask not in self._masks:
            return f"the mask {recipe.mask[:16]}… is not known here"
        return None
