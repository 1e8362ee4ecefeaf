"""The learner: poll, link, judge, steer the trial, plan, score, update, gate, commit, publish.

- Each turn is accounted for exactly once: the offset, what was derived and what is to be published
  are one transaction, and a lease fences a second learner.
- A generation is planned before it is computed, and its outcome is one transaction; so whatever
  the moment of a crash, the versions that follow are the same, digest for digest.
- What serves is what the log says: a release counts when it has come back from the topic
  `rollouts`, and the next generation waits for it.
- All state is in the store and the log; this process may end at any time.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Final

from sqlmodel import Session, col, select

from kernels.memory import give_back
from learner import intake
from learner.batch import standing
from learner.batch.lessons import prepare
from learner.batch.plan import HELD_OUT, batch_of
from learner.batch.teacher import Target, Teacher
from learner.fitness import held_out
from learner.forget import store as forget
from learner.guards import drift
from learner.guards.collapse import Guard
from learner.guards.drift import Refusals
from learner.idle.tidy import Tidy
from learner.judges.slow.later import Later
from learner.lessons.learned import learned
from learner.lessons.lessons import Lessons
from learner.parts import Parts
from learner.planner import Planner
from learner.rollout import claims, release
from learner.rollout.closer import Closer
from learner.rollout.reading import Reader
from learner.rollout.trials import Trials
from learner.settings import group_of
from learner.spans import Spans
from learner.update.generation import Outcome, run_generation, void
from learner.verdicts import use_answers
from streams.errors import LogUnavailableError
from streams.keeping import forgotten
from streams.line import ledger
from streams.line.line import Line
from streams.log.contract import Partition, Subscription
from streams.store import offsets, outbox
from streams.store.tables import ForgottenRow, GenerationRow, TurnRow

_LOG = logging.getLogger(__name__)

# While a generation is computed the log is looked at this often, so that verdicts show at once.
LISTEN_S: Final = 1.0
# The lease lasts 15 seconds: three renewals may fail before somebody else takes over.
RENEW_S: Final = 4.0


class Learner:
    """Extends one line. Not shared between threads; the process that holds the lease runs it."""

    def __init__(self, parts: Parts) -> None:
        """Take the parts; nothing is read yet."""
        self._parts = parts
        self._line = Line(parts.settings.line, (parts.serving.base.name,))
        self._spans = Spans(parts.tracer, parts.store, parts.clock)
        reader = Reader(parts.serving, parts.rollout, backend=parts.backend, pause=parts.pause)
        self._trials = Trials(parts.rollout, clock=parts.clock, reader=reader)
        self._planner = Planner(parts, self._writing)
        self._group = group_of(parts.settings.line)
        self._reader: Subscription | None = None
        self._owes_log = True  # a crash may have left something in the outbox
        self._listened_s = parts.clock()
        self._renewed_s = parts.clock()
        self._later = Later(parts.rules.slow) if parts.rules.slow else None
        self._closer = Closer()
        self._guard = Guard(parts.settings, parts.rollout)
        self._refusals = Refusals(parts.serving.base, backend=parts.backend, pause=parts.pause)
        self._lessons = Lessons(parts.settings, parts.rollout)
        self._tidy = Tidy(
            parts.settings.line, parts.retention, clock=parts.clock, writing=self._writing
        )

    def step(self, *, wait_s: float) -> bool:
        """Use what the log brings, and run the generation that is due; False when none is.

        wait_s: how long to wait for the first entry
        raises: LogUnavailableError, StoreUnavailableError, ConflictError (try again);
            LeaseLostError (somebody else is the learner now); SchemaError when the log is another
            one than the store was made from
        """
        self._listen(wait_s=wait_s)
        if not self._follow():
            return False
        self._steer()
        if self._review() or self._look_closer():
            return True
        generation = self._planner.plan(self._line)
        if generation is None:
            self._lessons.retire_notes(self._parts, self._writing, self._pause)
            self._tidy.step()
            self._use_idle_moment()
            return False
        self._spans.begin()
        outcome, targets = self._compute(generation)
        self._spans.scored()
        report = self._ask_gate(generation, outcome)
        self._finish(generation, outcome, report, targets)
        self._publish()
        del outcome
        give_back()
        return True

    def catch_up(self) -> None:
        """Use all that the log holds now, and plan nothing. raises: as `step`."""
        while self._listen(wait_s=0):
            pass

    def close(self) -> None:
        """Leave the group; the next step joins it again from the stored offsets."""
        if self._later is not None:
            self._later.close()
            self._later = Later(self._parts.rules.slow)
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _listen(self, *, wait_s: float) -> int:
        """Poll, link and judge: everything that came is used in one transaction."""
        self._listened_s = self._parts.clock()
        self._renew()
        if self._reader is None:
            self._forget()
            self._prove_log()
            self._planner.orders.read_all(self._parts.log)
            self._reader = self._parts.log.subscribe(
                intake.TOPICS, group=self._group, positions=self._positions
            )
        entries = self._reader.poll(wait_s=wait_s)
        if entries:
            with self._writing() as session:
                intake.take(session, entries, self._parts.rules)
            self._planner.orders.see(entries)
        if self._later is not None:
            use_answers(self._later, self._parts.store, self._writing, self._parts.rules)
        self._publish()
        return len(entries)

    def _prove_log(self) -> None:
        """Prove that the log is the one that the store was made from. Raises: SchemaError."""
        with self._parts.store.reading() as session:
            read = offsets.marks(session, self._group)
        offsets.prove_held(read, self._parts.log)

    def _forget(self) -> None:
        """Take note of all that is forgotten, before anything that was said is read (again).

        And name the wishes of turns of older builds.
        """
        records = forgotten.read_all(self._parts.log)
        with self._parts.store.reading() as session:
            ours = select(ForgottenRow.id).where(ForgottenRow.line == self._line.name)
            known = set(session.exec(ours))
        missing = [record for record in records if record.id not in known]
        if missing:
            with self._writing() as session:
                for record in missing:
                    forget.apply(session, record, self._line.name)
        with self._writing() as session:  # before anything is planned, as a run again would
            while standing.name_wishes(session, self._line.name):
                pass

    def _follow(self) -> bool:
        """Become the version that serves; False while its recipes have not been read yet."""
        serving = self._parts.serving
        with self._parts.store.reading() as session:
            self._line = claims.line_now(session, self._line)
            decided = self._line.version
            if decided == serving.name:
                return True
            chain = ledger.chain(session, decided, known=serving.chain)
        if not chain and decided != serving.base.name:
            _LOG.warning("waiting for the recipe of %s, which serves", decided)
            return False
        serving.follow(decided, chain)
        return True

    def _steer(self) -> None:
        """Look at the candidate that is on trial, if one is, and offer the change that is due."""
        with self._parts.store.reading() as session:
            line = claims.line_now(session, self._line)
            if not self._trials.due(line):
                return
            self._trials.read(session, line)
        with self._writing() as session:
            change = self._trials.look(session, line, now_ms=self._now_ms())
            if change is not None:
                outbox.put(session, "rollouts", line.name, change, line=line.name)
        if change is not None:
            _LOG.info("%s of %s: %s", change.verb, change.candidate, change.reason)
        self._publish()

    def _review(self) -> bool:
        """See what has become of lessons; True when some helped nobody and are set aside."""
        store, line, now_ms = self._parts.store, self._line, self._now_ms()
        reason = self._lessons.review(
            store, self._writing, line, now_ms=now_ms
        ) or self._guard.look(store, self._writing, line, now_ms=now_ms)
        self._publish()
        if reason is not None:
            _LOG.info("%s", reason)
        return reason is not None

    def _look_closer(self) -> bool:
        """Ask the candidate on trial the probes that it was not asked, and steer it meanwhile."""
        if self._closer.is_due(self._line):
            self._planner.tell(self._line)
        with self._listening():
            return self._closer.look(self._parts, self._line, self._writing)

    def _compute(self, generation: GenerationRow) -> tuple[Outcome, Mapping[str, Target]]:
        """Score the population and build the child. Reads the plan, and nothing that is newer."""
        parts = self._parts
        if generation.parent != parts.serving.name:  # a crash, and a rollback before the restart
            return void(f"its parent {generation.parent} does not serve any more"), {}
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
        return outcome, targets

    def _ask_gate(self, generation: GenerationRow, outcome: Outcome) -> release.Report | None:
        if outcome.child is None:
            return None
        parts, serving, child = self._parts, self._parts.serving, outcome.child
        with self._writing() as session:
            release.announce(session, generation, child.recipe)
        self._publish()
        with self._listening():
            report = parts.gate.examine(
                child.decoder,
                serving.decoder,
                serving.name,
                candidate_name=child.recipe.version,
                quick=parts.rollout.policy != "direct",
            )
        aside = [item["turn_id"] for item in generation.horizon.get(HELD_OUT, [])]
        return held_out.heard(
            report, generation, child.decoder, serving, parts.settings,
            rows=self._turns(aside), backend=parts.backend, pause=self._pause,
        )  # fmt: skip

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
    ) -> None:
        with self._writing() as session:
            row = release.commit(
                session,
                generation,
                outcome,
                report,
                line=self._line,
                targets=targets,
                now_ms=self._now_ms(),
                settings=self._parts.rollout,
            )
            learned(session, row, targets)
        self._spans.done(row, outcome, report)
        _LOG.info("%s", release.told(row, outcome))

    def _publish(self) -> None:
        """Append what committed transactions owe the log; what fails is owed on."""
        if self._owes_log:
            store, log, spans = self._parts.store, self._parts.log, self._spans
            outbox.publish(store, log, self._line.name, told=spans.published)
            self._owes_log = False

    def _use_idle_moment(self) -> None:
        """Measure what no generation should wait for, until one is due."""
        parts = self._parts
        if parts.idle is not None:
            parts.idle.step(
                parts, self._line, self._writing, is_due=self._is_due, now_ms=self._now_ms()
            )
            self._publish()

    def _is_due(self) -> bool:
        """Use what the log brought, about once a second; True when the next step has work to do."""
        if not self._hear():
            return False
        with self._parts.store.reading() as session:
            moved = claims.line_now(session, self._line) != self._line
        return moved or self._planner.plan(self._line) is not None

    def _pause(self) -> None:
        """Keep the share of the machine and the lease, and use what the log brought meanwhile."""
        self._parts.pause()
        self._hear()

    def _hear(self) -> bool:
        """Use what the log brought, if that has not been looked at for a while; whether it was."""
        if self._parts.clock() - self._listened_s < LISTEN_S:
            return False
        # the plan holds all that a generation needs; the next step says what is wrong
        with suppress(LogUnavailableError):
            self._listen(wait_s=0)
            self._steer()
        return True

    def _listening(self) -> AbstractContextManager[None]:
        """Use what the log brings while the gate asks, which pauses without this learner."""
        idle = self._parts.idle
        return nullcontext() if idle is None else idle.listening(self._hear)

    def _renew(self) -> None:
        if not 0 <= self._parts.clock() - self._renewed_s < RENEW_S:
            self._parts.lease.renew()
            self._renewed_s = self._parts.clock()

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        """A transaction in which this process is proved to be the line's learner."""
        with self._parts.store.transaction() as session:
            self._parts.lease.check(session)
            self._owes_log = True
            yield session

    def _positions(self, partitions: frozenset[Partition]) -> Mapping[Partition, int]:
        with self._parts.store.reading() as session:
            return offsets.positions(session, self._group, partitions)

    def _now_ms(self) -> int:
        return int(self._parts.clock() * 1000)
