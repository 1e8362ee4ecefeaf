"""Keeps versions that were worked out again beside their line, with what the gate says of the last.

They branch off the line's chain in the same ledger; their generations stand under a name of their
own (`main/quick/<version>`). The serving version, the line and its learner are not touched: an
operator promotes the result, or not (deploy.operate.promote).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, select

from kernels.contract import Backend
from kernels.version.build import Source, build
from learner.forget import plans
from learner.safety.gate import Gate
from learner.safety.kept import KeptBase
from learner.safety.measuring import measuring_of
from learner.settings import LearnerSettings, group_of
from streams.errors import LedgerError
from streams.line import ledger
from streams.model.open import BaseModel
from streams.records import Mask, Recipe
from streams.store.lease import keep_waiting
from streams.store.states import HELD, PASSED, PROMOTABLE
from streams.store.store import Store
from streams.store.tables import GenerationRow, RecipeRow
from streams.wire import id_of

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Builder:
    """What versions are built and examined with."""

    base: BaseModel
    backend: Backend
    settings: LearnerSettings
    tell: Progress = lambda _: None
    kept: KeptBase | None = None  # what this machine has measured of the base

    def gate(self, settings: LearnerSettings) -> Gate:
        """Return a gate of some settings that asks everything at once."""
        return Gate(
            measuring_of(self.base, settings, backend=self.backend, kept=self.kept), settings
        )

    def source(self, mask: Mask) -> Source:
        """Return what versions of a mask are built from: the ledger alone."""
        return Source(self.base.decoder, self.backend, {mask.digest: mask})


@dataclass(frozen=True, slots=True)
class Replaced:
    """What became of one generation."""

    generation: int
    version: str
    turns: int  # left out
    of_turns: int
    instead: str | None  # the version that stands for it; None: nothing was left of it


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A version that somebody never moved."""

    version: str
    digest: str  # of its integers
    instead_of: str
    how: str
    changes: tuple[Replaced, ...]
    passed: bool  # the gate, held against the version that it would replace
    reason: str
    new: bool  # False: it was in the ledger already
    notes: tuple[str, ...] = ()


def finish(
    store: Store,
    builder: Builder,
    mask: Mask,
    instead_of: Sequence[Recipe],
    made: Sequence[Recipe],
    new: Sequence[GenerationRow],
    how: str,
    changes: Sequence[Replaced],
    notes: Sequence[str] = (),
) -> Rebuilt:
    """Ask the gate about the last version that was made, and keep those that are new.

    What the gate says now of a version that the line has made itself stands beside the line, where
    it is not what decided there: by that it may be promoted or not.

    instead_of: the chain that they would replace
    made: the chain that was made; new: the generations of those that the ledger lacks
    how: quick or exact
    """
    last = made[-1]
    with store.reading() as session:
        known = ledger.made(session, last.version)
    builder.tell("the gate asks")
    passed, reason, report = _ask(builder, mask, instead_of, made)
    _keep(store, made, new, how, passed=passed, reason=reason, report=report)
    return Rebuilt(
        version=last.version,
        digest=last.digest,
        instead_of=instead_of[-1].version,
        how=how,
        changes=tuple(changes),
        passed=passed,
        reason=reason,
        new=known is None,
        notes=tuple(notes),
    )


def _ask(
    builder: Builder, mask: Mask, instead_of: Sequence[Recipe], made: Sequence[Recipe]
) -> tuple[bool, str, dict[str, Any]]:
    """Hold the last version against the one that it would replace, as every candidate is."""
    serving = build(builder.source(mask), instead_of)
    candidate = build(builder.source(mask), made, start=serving.reached)
    report = builder.gate(builder.settings).examine(
        candidate.decoder, serving.decoder, instead_of[-1].version
    )
    return report.passed, report.reason, report.as_json()


def _keep(
    store: Store,
    made: Sequence[Recipe],
    new: Sequence[GenerationRow],
    how: str,
    *,
    passed: bool,
    reason: str,
    report: dict[str, Any],
) -> None:
    last, now_ms = made[-1].version, int(time.time() * 1000)
    line = f"{made[-1].line}/{how}/{last}"
    with store.transaction() as session:
        # whose hints are read was perhaps forgotten since; nobody is until this is written
        keep_waiting(session, {group_of(recipe.line) for recipe in made})
        known = set(session.exec(select(RecipeRow.version)))
        for recipe in made:
            ledger.append(session, recipe, created_ms=now_ms)
        for row in new:
            if row.child not in known and row.child != last:  # else an earlier one began alike
                _put(session, row, line, now_ms)
        before = ledger.made(session, last)
        is_own = before is not None and before.line == made[-1].line
        if before is not None and is_own and (before.state in PROMOTABLE) == passed:
            return
        row = next((row for row in new if row.child == last), None) or _asked_again(before)
        row.state, row.gate = (PASSED if passed else HELD), report
        row.reason = f"{row.reason}; {reason}"
        _put(session, row, line, now_ms)


def _asked_again(made: GenerationRow | None) -> GenerationRow:
    """Return the generation of a version that nothing was left out of, to stand beside its own."""
    if made is None:
        raise LedgerError("the store does not hold the generation that made the last version")
    reason = f"generation {made.number}, of which nobody was left out"
    return GenerationRow(**made.model_dump() | {"reason": reason, "seq": None})


def _put(session: Session, row: GenerationRow, line: str, now_ms: int) -> None:
    """Keep a generation beside its line, or in the place of the same from an earlier building."""
    row.line, row.done_ms = line, now_ms
    row.id = id_of(line, row.child)
    row.batch = plans.unsaid(session, row.batch)
    session.merge(row)
