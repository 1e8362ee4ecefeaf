"""Writes what a generation came to: rows, ledger and outgoing records, all in one transaction.

A child that passes the gate is released: its recipe goes to the ledger and to the log, with the
rollout that claims the next place in the line, for a promotion or for a trial. One that does not is
held: its recipe is kept in the ledger, and the line goes on from the parent. A generation without a
child is void. In each case every turn of the batch has scored one generation more, but where the
parent was taken back before anything was scored: nobody's word is lost by that.
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from sqlmodel import Session, col, select

from kernels.model.forward import Decoder
from learner.batch.rewriting.teacher import Target
from learner.batch.window import UNTRIED
from learner.rollout import claims
from learner.update.generation import Outcome
from streams.line import ledger
from streams.line.line import Line
from streams.records import Candidate, Recipe, Rollout, encode
from streams.settings import RolloutSettings
from streams.store import outbox
from streams.store.states import HELD, PLANNED, RELEASED, VOID
from streams.store.tables import GenerationRow, TurnRow
from streams.wire import id_of


class Report(Protocol):
    """What a gate found of a candidate."""

    @property
    def passed(self) -> bool:
        """Whether it may be released."""

    @property
    def reason(self) -> str:
        """Why, or why not, in words that an operator can act on."""

    def as_json(self) -> dict[str, Any]:
        """What is stored and shown of it."""


class Gate(Protocol):
    """Asks a candidate what no judge of turns asks (learner.safety.gate)."""

    def examine(
        self,
        candidate: Decoder,
        serving: Decoder,
        serving_name: str,
        *,
        candidate_name: str | None = None,
        quick: bool = False,
        whole: bool = False,
    ) -> Report:
        """Hold a candidate against the version that serves; quick: by the quick probes alone.

        whole: by all, whatever must be measured first
        """


def commit(
    session: Session,
    generation: GenerationRow,
    outcome: Outcome,
    report: Report | None,
    *,
    line: Line,
    targets: Mapping[str, Target],
    now_ms: int,
    settings: RolloutSettings,
) -> GenerationRow:
    """Finish a planned generation.

    report: the gate's; None where there is no child
    line: what served when it was planned
    settings: how a version that has passed the gate comes to serve
    returns: the row as it now stands
    """
    row = session.get_one(GenerationRow, generation.id, with_for_update=True)
    if row.state != PLANNED:
        if outcome.child is not None:
            announce(session, row, None)
        return row
    _describe(row, outcome, report, now_ms)
    if outcome.tried:
        _count_uses(session, row, targets)
    else:
        row.horizon = row.horizon | {UNTRIED: True}
    if outcome.child is not None and report is not None:
        recipe = outcome.child.recipe
        ledger.append(session, recipe, created_ms=now_ms)
        change = None
        if report.passed:
            change = _entry(session, row, recipe, line, settings, now_ms=now_ms)
        if change is not None:
            outbox.put(session, "recipes", line.name, recipe, line=line.name)
            outbox.put(session, "rollouts", line.name, change, line=line.name)
        else:
            announce(session, row, None)
    session.add(row)
    session.flush()
    return row


def _count_uses(session: Session, row: GenerationRow, targets: Mapping[str, Target]) -> None:
    for turn in session.exec(select(TurnRow).where(col(TurnRow.id).in_(row.turn_ids))):
        turn.uses += 1
        turn.target = targets.get(turn.id, turn.target)
        session.add(turn)


def _entry(
    session: Session,
    row: GenerationRow,
    recipe: Recipe,
    line: Line,
    settings: RolloutSettings,
    *,
    now_ms: int,
) -> Rollout | None:
    """Claim the place in the line by which a child comes to serve; None where it is too late."""
    change = claims.entry(
        claims.claimed(session, line, row.parent, settings),
        recipe.version,
        settings,
        generation=row.id,
        reason=row.reason,
        created_ms=now_ms,
    )
    row.seq = change.seq
    return None if claims.hold_if_late(session, row) else change


def announce(session: Session, generation: GenerationRow, recipe: Recipe | None) -> None:
    """Let agents build a candidate while it is asked, before anybody decides; None: withdraw it.

    Made of the plan alone, so that a crash in between leads to the same record again. A candidate
    of what was forgotten meanwhile is not announced.
    """
    planned = session.get_one(GenerationRow, generation.id).state == PLANNED
    if recipe is not None and not planned:
        return
    what = "candidate" if recipe else "withdrawn"
    id = id_of(what, generation.id)
    body = json.loads(encode(recipe)) if recipe else {}
    record = Candidate(id=id, line=generation.line, recipe=body, created_ms=generation.planned_ms)
    outbox.put(session, "recipes", generation.line, record, line=generation.line)


def told(row: GenerationRow, outcome: Outcome) -> str:
    """Return in one line what a generation came to."""
    took_s = ((row.done_ms or row.planned_ms) - row.planned_ms) / 1000
    measured = f"fitness {outcome.mean:.4f} ± {outcome.spread:.4f}"
    if outcome.kl is not None:
        measured += f", KL {outcome.kl:.4f}"
    if outcome.apart is not None:
        measured += f", {outcome.apart:.4f} from the base"
    if outcome.gain is not None:
        measured += f", gain {outcome.gain:+.4f}"
    child = f" as {row.child}" if row.child else ""
    return (
        f"generation {row.number} of {row.line}: {len(row.turn_ids)} turns, reward "
        f"{row.reward or 0.0:+.2f}, {measured}; {row.state}{child} in {took_s:.1f} s: {row.reason}"
    )


def _describe(row: GenerationRow, outcome: Outcome, report: Report | None, now_ms: int) -> None:
    row.fitness, row.scored_ids = outcome.table.tolist(), list(outcome.turn_ids)
    row.fitness_mean, row.fitness_spread = outcome.mean, outcome.spread
    if outcome.update is not None:
        row.coefficients, row.step = list(outcome.update.coefficients), outcome.update.step
    row.gain, row.kl, row.apart = outcome.gain, outcome.kl, outcome.apart
    row.done_ms = now_ms
    if outcome.child is None or report is None:
        row.state, row.reason = VOID, outcome.reason
        return
    row.child = outcome.child.recipe.version
    row.gate = report.as_json()
    row.state = RELEASED if report.passed else HELD
    row.reason = report.reason
