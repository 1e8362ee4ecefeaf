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
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Final

from kernels.memory import give_back
from learner.guards.collapse import Guard
from learner.idle.tidy import Tidy
from learner.lessons.lessons import Lessons
from learner.parts import Parts
from learner.rollout import claims
from learner.rollout.closer import Closer
from learner.rollout.evidence.reading import Reader
from learner.rollout.trials import Trials
from learner.steps.consumer import Consumer
from learner.steps.planner import Planner
from learner.steps.spans import Spans
from learner.steps.trainer import Trainer
from learner.steps.writer import Writer
from streams.errors import LogUnavailableError
from streams.line import ledger
from streams.line.line import Line
from streams.records import Rollout
from streams.store import outbox

_LOG = logging.getLogger(__name__)

# While a generation is computed the log is looked at this often, so that verdicts show at once.
LISTEN_S: Final = 1.0


class Learner:
    """Extends one line. Not shared between threads; the process that holds the lease runs it."""

    def __init__(self, parts: Parts) -> None:
        """Take the parts; nothing is read yet."""
        self._parts = parts
        self._line = Line(parts.settings.line, (parts.serving.base.name,))
        spans = Spans(parts.tracer, parts.store, parts.clock)
        self._writer = Writer(parts, spans.published)
        self._writing = self._writer.writing
        self._planner = Planner(parts, self._writing)
        self._consumer = Consumer(parts, self._writer, self._planner.orders, self._planner.quiet)
        self._trainer = Trainer(
            parts, self._writer, spans, pause=self._pause, listening=self._listening
        )
        reader = Reader(parts.serving, parts.rollout, backend=parts.backend, pause=parts.pause)
        self._trials = Trials(parts.rollout, clock=parts.clock, reader=reader)
        self._entered = 0  # the seq of the last entry that was offered
        self._closer = Closer()
        self._guard = Guard(parts.settings, parts.rollout, self._planner.orders)
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
        self._consumer.poll(wait_s=wait_s)
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
        self._trainer.train(generation, self._line)
        give_back()
        return True

    def catch_up(self) -> None:
        """Use all that the log holds now, and plan nothing. raises: as `step`."""
        while self._consumer.poll(wait_s=0):
            pass

    def close(self) -> None:
        """Leave the group; the next step joins it again from the stored offsets."""
        self._consumer.close()

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
            entry = claims.due(session, line, self._parts.rollout)
            if entry is None and not self._trials.due(line):
                return
            if entry is None:
                self._trials.read(session, line)
        if entry is not None:
            self._enter(entry)
            return
        with self._parts.store.reading() as session:
            found = self._trials.look(session, line, now_ms=self._now_ms())
        if found is None:
            return
        with self._writing() as session:
            session.merge(found.row)
            if found.change is not None:
                outbox.put(session, "rollouts", line.name, found.change, line=line.name)
        if found.change is not None:
            self._trials.offered(found.change)
            _LOG.info("%s of %s: %s", found.change.verb, found.row.candidate, found.change.reason)
        self._writer.publish()

    def _enter(self, entry: Rollout) -> None:
        """Offer the entry of a candidate that has ended the trial before it, once."""
        if entry.seq == self._entered:
            return  # it has yet to come back from the log
        with self._writing() as session:
            outbox.put(session, "rollouts", entry.line, entry, line=entry.line)
        self._entered = entry.seq
        _LOG.info("%s of %s: %s", entry.verb, entry.candidate or entry.version, entry.reason)
        self._writer.publish()

    def _review(self) -> bool:
        """See what has become of lessons; True when some helped nobody and are set aside."""
        store, line, now_ms = self._parts.store, self._line, self._now_ms()
        reason = self._lessons.review(
            store, self._writing, line, now_ms=now_ms, pause=self._parts.pause
        ) or self._guard.look(store, self._writing, line, now_ms=now_ms)
        self._writer.publish()
        if reason is not None:
            _LOG.info("%s", reason)
        return reason is not None

    def _look_closer(self) -> bool:
        """Ask the candidate on trial the probes that it was not asked, and steer it meanwhile."""
        if self._closer.is_due(self._line):
            self._planner.tell(self._line)
        with self._listening():
            return self._closer.look(self._parts, self._line, self._writing)

    def _use_idle_moment(self) -> None:
        """Measure what no generation should wait for, until one is due."""
        parts = self._parts
        if parts.idle is not None:
            parts.idle.step(
                parts, self._line, self._writing, is_due=self._is_due, now_ms=self._now_ms()
            )
            self._writer.publish()

    def _is_due(self) -> bool:
        """Use what the log brought, about once a second; True when the next step has work to do."""
        if not self._hear():
            return False
        with self._parts.store.reading() as session:
            moved = claims.line_now(session, self._line) != self._line
        # as in a step: what has become of lessons is known before anything is planned
        return moved or self._review() or self._planner.plan(self._line) is not None

    def _pause(self) -> None:
        """Keep the share of the machine and the lease, and use what the log brought meanwhile."""
        self._parts.pause()
        self._hear()

    def _hear(self) -> bool:
        """Use what the log brought, if that has not been looked at for a while; whether it was."""
        if self._consumer.idle_s < LISTEN_S:
            return False
        # the plan holds all that a generation needs; the next step says what is wrong
        with suppress(LogUnavailableError):
            self._consumer.poll(wait_s=0)
            self._steer()
        return True

    def _listening(self) -> AbstractContextManager[None]:
        """Use what the log brings while the gate asks, which pauses without this learner."""
        idle = self._parts.idle
        return nullcontext() if idle is None else idle.listening(self._hear)

    def _now_ms(self) -> int:
        return int(self._parts.clock() * 1000)
