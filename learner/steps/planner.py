"""The planner of one line: which generation is due, and what is waited for where none is.

A plan is committed before anything of it is computed, with all that was known; so a crash changes
nothing of what follows from it.
"""

from typing import Any

from sqlmodel import Session

from learner.batch import window
from learner.batch.plan import next_plan, unfinished
from learner.batch.when import mode
from learner.batch.when.mode import ORDER, Orders
from learner.batch.when.quiet import Quiet
from learner.batch.when.rests import Rests
from learner.guards import collapse, drift
from learner.parts import Parts
from learner.rollout import claims
from streams.line.line import Line
from streams.line.said import TRIALS_END
from streams.store.lease import Writing
from streams.store.tables import GenerationRow, PlannerRow


class Planner:
    """Plans one line. Not shared between threads."""

    def __init__(self, parts: Parts, writing: Writing) -> None:
        """Plan by the parts' settings and store. writing: a transaction of the line's learner."""
        self._parts, self._writing = parts, writing
        self.orders = Orders(parts.settings.line)
        self.quiet = Quiet(parts.clock)
        self._rests = Rests()
        self._told: dict[str, Any] = {}  # what it said last that it waits for

    def plan(self, line: Line) -> GenerationRow | None:
        """Return the generation that is under way, or commit the plan of the one that is due."""
        settings, base = self._parts.settings, self._parts.serving.base.name
        now_ms = int(self._parts.clock() * 1000)
        with self._parts.store.reading() as session:
            under_way = unfinished(session, line.name)
            if under_way is not None and not self._tried(line):
                return under_way
            obstacle = self._obstacle(session, line)
            order = self.orders.open(session)
            if order is not None:
                settings = settings.model_copy(update={"linger_s": 0.0})
            elif obstacle is None:
                obstacle = collapse.obstacle(session, line.name) or mode.obstacle(
                    settings, now_s=self._parts.wall(), quiet_s=self.quiet.lasts_s
                )
            corrective = drift.due(session, line, settings, now_ms=now_ms) if not obstacle else None
            found = corrective or next_plan(
                session, line, settings, base=base, now_ms=now_ms, obstacle=obstacle,
                renews=self._parts.renews, seats=self._parts.seats,
                own_gold=self._parts.own_gold, first_turns=self._parts.first_turns,
            )  # fmt: skip
            if isinstance(found, PlannerRow) and obstacle is None:
                self._rests.see(session, line, now_ms=now_ms)
        if isinstance(found, PlannerRow):
            self._wait(found)
            return None
        if order is not None:
            found.horizon |= {ORDER: order.id}
        with self._writing() as session:
            session.add(found)
            self._rests.keep(session)
            window.let_go(session, line, settings, base)
        self._rests.kept()
        return found

    def tell(self, line: Line) -> None:
        """Note that the end of a trial is waited for, before something that takes a while."""
        if self._tried(line):
            self.plan(line)

    def _tried(self, line: Line) -> bool:
        """Whether a candidate is on trial that may become the parent of the next generation."""
        return line.trial is not None and not self._parts.rollout.replaces

    def _obstacle(self, session: Session, line: Line) -> str | None:
        """Say what must happen to the line before anything is planned; None: nothing."""
        if line.trial is not None and self._tried(line):
            return f"{TRIALS_END} {line.trial.version}"
        if claims.awaited(session, line.name) > line.seq:  # the log may decide otherwise
            return "its own release to come back from the log"
        if not line.learning:
            return "somebody to resume learning after the reset (quickset rollouts learn)"
        return None

    def _wait(self, row: PlannerRow) -> None:
        """Note what is waited for, how far the base is measured, and a rest, when that changed."""
        if self._parts.idle is not None:
            row.num_measured, row.num_to_measure = self._parts.idle.progress
            self._parts.idle.tell()
        said = row.model_dump(exclude={"since_ms"})
        if said != self._told or self._rests.is_new:
            with self._writing() as session:
                session.merge(row)
                self._rests.keep(session)
            self._rests.kept()
            self._told = said
