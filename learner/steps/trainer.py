"""Runs a planned generation: scores its population, asks the gate of its child, commits what came.

It reads the plan, and nothing that is newer: so a crash repeats the generation to the same bits.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from sqlmodel import col, select

from kernels.model.forward import Decoder
from learner.batch.lessons import prepare
from learner.batch.plan import HELD_OUT, batch_of
from learner.batch.rewriting.teacher import Target, Teacher
from learner.fitness import held_out
from learner.guards import drift
from learner.guards.drift import Refusals
from learner.lessons.learned import learned
from learner.parts import Parts
from learner.rollout import release
from learner.steps.spans import Spans
from learner.steps.writer import Writer
from learner.update.generation import Outcome, orphaned, run_generation
from streams.line.line import Line
from streams.store.tables import GenerationRow, TurnRow

_LOG = logging.getLogger(__name__)


class Trainer:
    """Trains one line. Not shared between threads."""

    def __init__(
        self,
        parts: Parts,
        writer: Writer,
        spans: Spans,
        *,
        pause: Callable[[], None],
        listening: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Train by the parts' settings.

        pause: called between pieces of work
        listening: what to be in while the gate asks, which pauses by itself
        """
        self._parts, self._writer, self._spans = parts, writer, spans
        self._pause, self._listening = pause, listening
        self._refusals = Refusals(parts.serving.base, backend=parts.backend, pause=parts.pause)

    def train(self, generation: GenerationRow, line: Line) -> None:
        """Bring a generation that is planned to its end, and publish what comes of it."""
        self._spans.begin()
        outcome, targets = self._compute(generation)
        self._spans.scored()
        report = self._ask_gate(generation, outcome)
        self._finish(generation, outcome, report, targets, line)
        self._writer.publish()

    def _compute(self, generation: GenerationRow) -> tuple[Outcome, Mapping[str, Target]]:
        """Score the population and build the child."""
        parts = self._parts
        if generation.parent != parts.serving.name:  # a crash, and a rollback before the restart
            return orphaned(generation.parent), {}
        rows = self._turns(generation.turn_ids)
        teacher = Teacher(parts.serving, parts.settings, parts.backend, self._pause)
        targets: Mapping[str, Target] = {}
        if drift.CORRECTIVE in generation.horizon:
            lessons = self._refusals.lessons(generation.number)
        else:
            lessons, targets = prepare(batch_of(generation), rows, teacher)
        self._spans.taught(rows, targets)
        outcome = parts.recall(generation, parts.serving) or run_generation(
            generation.key,
            lessons,
            parts.serving,
            parts.settings,
            backend=parts.backend,
            pause=self._pause,
            evaluator=parts.evaluator,
            anchors=parts.anchors,
        )
        return outcome, targets if outcome.tried else {}

    def _ask_gate(self, generation: GenerationRow, outcome: Outcome) -> release.Report | None:
        if outcome.child is None:
            return None
        parts, serving, child = self._parts, self._parts.serving, outcome.child
        with self._writer.writing() as session:
            release.announce(session, generation, child.recipe)
        self._writer.publish()
        with self._listening():
            report = parts.gate.examine(
                child.decoder,
                serving.decoder,
                serving.name,
                candidate_name=child.recipe.version,
                quick=parts.rollout.policy != "direct",
            )
        return self._heard(report, generation, child.decoder)

    def _heard(
        self, report: release.Report, generation: GenerationRow, child: Decoder
    ) -> release.Report:
        """Let those who were set aside score a child, by replies that nobody deleted meanwhile."""
        parts = self._parts
        aside = [item["turn_id"] for item in generation.horizon.get(HELD_OUT, [])]
        rows = self._turns(aside)
        while True:
            found = held_out.heard(
                report, generation, child, parts.serving, parts.settings,
                rows=rows, backend=parts.backend, pause=self._pause,
            )  # fmt: skip
            left = self._turns(aside)
            if left.keys() == rows.keys():
                return found
            rows = left

    def _turns(self, ids: Sequence[str]) -> dict[str, TurnRow]:
        with self._parts.store.reading() as session:
            query = select(TurnRow).where(col(TurnRow.id).in_(ids))
            return {row.id: row for row in session.exec(query) if row.record}

    def _finish(
        self,
        generation: GenerationRow,
        outcome: Outcome,
        report: release.Report | None,
        targets: Mapping[str, Target],
        line: Line,
    ) -> None:
        with self._writer.writing() as session:
            row = release.commit(
                session,
                generation,
                outcome,
                report,
                line=line,
                targets=targets,
                now_ms=int(self._parts.clock() * 1000),
                settings=self._parts.rollout,
            )
            learned(session, row, targets)
        self._spans.done(row, outcome, report)
        _LOG.info("%s", release.told(row, outcome))
