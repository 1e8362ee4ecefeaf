"""Runs a line again as if some principals had never been there: the same learner, without them.

The run has a home of its own, and is driven by what the first one noted of itself. At each plan the
first learner noted how far it had read and which changes of the line it knew; the run without them
gets the same records at that moment, except theirs, and may plan once. So it is each time that the
first one had nothing left to do, whether it planned anything after that or not; there, this one
runs everything that is due. Hence

- plans, batches, weights, uses and the numbers and keys of generations are those of the learner's
  own code on the records of the others alone: nothing of the first run enters them;
- with nobody left out it is the first run again, version by version;
- a generation that comes out as it was planned the first time (same key, same batch, same
  settings) is not scored again: the recipe and the gate's report are looked up.

An operator's rollback is repeated at its place: back to the newest version that was made no later
than the one that the first run went back to. So are a reset, and that it is learned again. What an
operator promoted is not: it is said. A plan that the first run gave up untried, because its parent
had been taken back meanwhile, is given up here as well; and a deletion of a turn that a plan in the
first run's hands was to learn from, or had set aside, is heard here, too, before anything of the
plan is computed. So is a change that came before what the plan in hand had made. A version that
failed when it served already is taken back at its place; a candidate tried in vain is held.

Writes nothing but to its own home. Knows nothing of how its result is kept.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlmodel import Session, select

from kernels.contract import Backend
from learner.assembly import assemble
from learner.batch.plan import FIRST_TURNS, OWN_GOLD, RENEWS, SEATS
from learner.batch.window import UNTRIED
from learner.forget.plans import DELETED
from learner.guards import unasked
from learner.loop import Learner
from learner.parts import Parts
from learner.rerun.first_run import History, deleted_by, deletion_in, place_of, settings_of
from learner.rerun.known_gate import KnownGate
from learner.rollout import claims
from learner.safety.gate import Gate
from learner.safety.kept import KeptBase
from learner.serving import Serving
from learner.settings import LearnerSettings, group_of
from learner.update.generation import Outcome, orphaned, recorded, void
from streams.line import ledger, verbs
from streams.line.line import Line
from streams.line.masks import keep_mask
from streams.line.verbs import Audit
from streams.log.contract import Entry, Outgoing, outgoing
from streams.log.sqlite import SqliteLog
from streams.model.open import BaseModel
from streams.records import Recipe, Rollout
from streams.settings import StreamsSettings
from streams.store.lease import Lease
from streams.store.states import HELD, PLANNED
from streams.store.store import Store, open_store
from streams.store.tables import GenerationRow, RolloutRow


@dataclass(slots=True)
class Rerun:
    """What the run without them came to."""

    chain: list[Recipe] = field(default_factory=list)
    generations: dict[str, GenerationRow] = field(default_factory=dict)  # by child
    recalled: int = 0  # generations that were not scored again
    notes: list[str] = field(default_factory=list)


def run_without(
    history: History,
    home: Path,
    base: BaseModel,
    backend: Backend,
    *,
    gate: Callable[[LearnerSettings], Gate],
    kept: KeptBase | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Rerun:
    """Run the line again in an empty home.

    gate: makes the gate of some settings; kept: what this machine has measured of the base; tell:
        told how far the run has come
    """
    streams = StreamsSettings(home=home)
    store, log = open_store(streams), SqliteLog(home / "log.db")
    try:
        with store.transaction() as session:
            keep_mask(session, history.mask, created_ms=0)
        run = _Run(history, store, log, base, backend, gate, kept)
        for place, plan in enumerate(history.plans, start=1):
            run.follow(plan)
            tell(f"plan {place} of {len(history.plans)}, {run.recalled} were as before")
        run.finish()
        return run.result()
    finally:
        log.close()
        store.close()


class _Run:
    """The learner of the run, and the clock and records that it is given."""

    def __init__(
        self,
        history: History,
        store: Store,
        log: SqliteLog,
        base: BaseModel,
        backend: Backend,
        gate: Callable[[LearnerSettings], Gate],
        kept: KeptBase | None,
    ) -> None:
        self._kept = kept
        self._history, self._store, self._log = history, store, log
        self._base, self._backend, self._gate = base, backend, gate
        self._lease = Lease(store, group_of(history.line), holder="run without somebody")
        self._lease.acquire()
        self._now_ms = 0
        self._left: dict[str, deque[tuple[int, Entry]]] = {}  # by place, each with its rank
        for ranked in enumerate(history.said):
            self._left.setdefault(place_of(ranked[1]), deque()).append(ranked)
        self._rests = deque(history.rests)
        self._known = {row.key: row for row in history.plans}
        self._changed = 0
        self._made_at: dict[str, int] = {base.name: 0}
        self._notes = list(history.notes)
        self._settings: LearnerSettings | None = None
        # whether the build of the plan in hand did so
        ways = ("renews", "seats", "own_gold", "first_turns")
        self._ways: dict[str, Any] = dict.fromkeys(ways, not history.plans)
        self._plan: GenerationRow | None = None  # of the first run, while it is repeated
        self._learner: Learner | None = None
        self.recalled = 0

    def follow(self, plan: GenerationRow) -> None:
        """Come to the moment at which the first run made a plan, and do what is due then."""
        settings = settings_of(plan)
        self._become(
            renews=RENEWS in plan.horizon,
            seats=SEATS in plan.horizon,
            own_gold=OWN_GOLD in plan.horizon,
            first_turns=FIRST_TURNS in plan.horizon,
        )
        self._rest(settings, before=plan.number)
        self._now_ms = plan.planned_ms
        self._know(plan.horizon, settings)
        if plan.withdraws.get("probes"):
            self._take_back(plan, settings)
            return
        self._plan = plan
        self._step(settings, number=plan.number)
        self._plan = None

    def _become(self, **ways: bool) -> None:
        """Plan from now on as the build did that made the next plan."""
        if ways != self._ways and self._learner is not None:
            self._learner.close()
            self._learner = None
        self._ways = ways

    def finish(self) -> None:
        """Use what was read after the last plan, and do what is due."""
        plans, settings = self._history.plans, self._history.settings
        self._rest(settings, before=None)
        self._know(None, settings)
        self._until_idle(settings, number=plans[-1].number + 1 if plans else 1)

    def result(self) -> Rerun:
        """Return the chain that serves at the end."""
        if self._learner is not None:
            self._learner.close()
        with self._store.reading() as session:
            serving = self._line(session).version
            rows = session.exec(select(GenerationRow)).all()
            return Rerun(
                chain=ledger.chain(session, serving),
                generations={row.child: row for row in rows if row.child},
                recalled=self.recalled,
                notes=self._notes,
            )

    def _rest(self, settings: LearnerSettings, *, before: int | None) -> None:
        """Do all that is due whenever the first run rested before a generation; None: at all."""
        while self._rests and (before is None or self._rests[0].number < before):
            rest = self._rests.popleft()
            self._know(rest.horizon, settings)
            for moment_ms in sorted({rest.rested_ms, rest.until_ms}):
                self._now_ms = moment_ms
                self._until_idle(settings, number=rest.number)

    def _know(self, horizon: Mapping[str, int] | None, settings: LearnerSettings) -> None:
        """Come to know what the first run knew at a moment; None: all that there is."""
        self._give(horizon)
        self._repeat_changes(settings, known_seq=None if horizon is None else horizon["seq"])

    def _until_idle(self, settings: LearnerSettings, *, number: int) -> None:
        while self._step(settings, number=number):
            pass

    def _step(self, settings: LearnerSettings, *, number: int) -> bool:
        learner = self._learner_of(settings)
        learner.catch_up()
        worked = learner.step(wait_s=0)
        learner.catch_up()  # its own rollout, so that the next plan need not wait for it
        if worked:
            with self._store.reading() as session:
                self._made_at.setdefault(self._line(session).version, number)
        return worked

    def _give(self, horizon: Mapping[str, int] | None, *, last: int | None = None) -> None:
        """Append the records that were known then and have not been given yet.

        last: the rank of the last one that is given; None: all of them
        """
        now: list[tuple[int, Entry]] = []
        for place, left in self._left.items():
            while left and _is_within(place, left[0][1], horizon):
                if last is not None and left[0][0] > last:
                    break
                now.append(left.popleft())
        now.sort(key=lambda ranked: ranked[0])
        self._log.append(
            Outgoing(entry.partition.topic, entry.key, entry.id, entry.value) for _, entry in now
        )

    def _repeat_changes(self, settings: LearnerSettings, *, known_seq: int | None) -> None:
        for change in self._history.changes[self._changed :]:
            if known_seq is not None and change.seq > known_seq:
                return
            self._changed += 1
            self._repeat(change, settings)

    def _repeat(self, change: RolloutRow, settings: LearnerSettings) -> None:
        made = {row.child: row.number for row in self._history.plans if row.child}
        made[self._base.name] = 0
        known = change.verb == "rollback" and change.version in made
        if not known and change.verb not in ("reset", "learn"):
            self._notes.append(
                f"change {change.seq} of the line ({change.verb} of {change.version} by"
                f" {change.who}) is not repeated"
            )
            return
        self._learner_of(settings).catch_up()
        with self._store.reading() as session:
            line = self._line(session)
        again = self._again(line, change, made)
        if again is not None:
            self._log.append([outgoing("rollouts", line.name, again)])

    def _again(self, line: Line, change: RolloutRow, made: Mapping[str, int]) -> Rollout | None:
        """Make an operator's change of the first run again; None: it would change nothing here."""
        audit = Audit(change.who, change.reason, change.created_ms, change.id)
        if change.verb == "rollback":
            back = [v for v in line.served if self._made_at.get(v, 0) <= made[change.version]]
            return verbs.rollback(line, audit, to=back[-1]) if back[-1] != line.version else None
        if change.verb not in verbs.valid(line):
            return None
        if change.verb == "learn":
            return verbs.learn(line, audit)
        return verbs.reset(line, self._base.name, audit)

    def _take_back(self, plan: GenerationRow, settings: LearnerSettings) -> None:
        """Take back what failed when it served already, where it serves here, too."""
        learner, back = self._learner_of(settings), str(plan.withdraws["to"])
        learner.catch_up()
        with self._store.transaction() as session:
            line = self._line(session)
            if line.version != plan.parent or back not in line.served[:-1]:
                self._notes.append(
                    f"that {plan.parent} was taken back is not repeated, as it does not serve here:"
                    " the gate asks what stands in its place all that it was asked when it served"
                )
                return
            change = unasked.take_back(
                session, line, settings, plan.reason, back=back, now_ms=self._now_ms
            )
        self._log.append([outgoing("rollouts", line.name, change)])
        learner.catch_up()

    def _line(self, session: Session) -> Line:
        return claims.line_now(session, Line(self._history.line, (self._base.name,)))

    def _learner_of(self, settings: LearnerSettings) -> Learner:
        """Return the learner of some settings: another one when they change, as after a restart."""
        if self._learner is None or settings != self._settings:
            if self._learner is not None:
                self._learner.close()
            self._settings = settings
            self._learner = Learner(self._parts(settings))
        return self._learner

    def _parts(self, settings: LearnerSettings) -> Parts:
        history = self._history
        gate = KnownGate(self._gate(settings), history.plans, history.in_vain)
        return assemble(
            self._base,
            history.mask,
            settings,
            store=self._store,
            log=self._log,
            lease=self._lease,
            backend=self._backend,
            gate=gate,
            pause=lambda: None,
            clock=lambda: self._now_ms / 1000,
            wall=lambda: self._now_ms / 1000,
            recall=self._recall,
            **self._ways,
            kept=self._kept,
            first=False,  # what is asked outside may answer otherwise now
        )

    def _hear_deletions(self, plan: GenerationRow) -> None:
        """Hear of the deletions that concerned a plan in the first run's hands, if any did."""
        turn_ids = frozenset(plan.horizon.get(DELETED, ()))
        if not turn_ids:
            return
        horizon = self._next_horizon(plan.number)
        ranks = [
            rank
            for place, left in self._left.items()
            for rank, entry in left
            if _is_within(place, entry, horizon) and _deletes(entry, turn_ids)
        ]
        if ranks and self._learner is not None:
            self._give(horizon, last=max(ranks))
            self._learner.catch_up()

    def _hear_changes(self, plan: GenerationRow) -> None:
        """Repeat what an operator changed while a plan was in the first run's hands, if it beat it.

        So the child is too late here as well, and what is taken back is what served then.
        """
        if plan.state != HELD or not plan.gate.get("passed"):
            return
        beats = (
            change.seq
            for change in self._history.changes
            if change.seq == plan.seq
            or (
                change.seq > plan.horizon["seq"]
                and (change.verb == "reset" or change.version != plan.parent)
            )
        )
        seq = next(beats, None)
        if seq is not None and self._learner is not None and self._settings is not None:
            self._repeat_changes(self._settings, known_seq=seq)
            self._learner.catch_up()

    def _is_planned(self, row: GenerationRow) -> bool:
        with self._store.reading() as session:
            return session.get_one(GenerationRow, row.id).state == PLANNED

    def _next_horizon(self, number: int) -> Mapping[str, int] | None:
        """Return what the first run knew at the moment after a plan; None: all that there is."""
        later = next((row for row in self._history.plans if row.number > number), None)
        if self._rests and (later is None or self._rests[0].number < later.number):
            return self._rests[0].horizon
        return later.horizon if later is not None else None

    def _recall(self, planned: GenerationRow, serving: Serving) -> Outcome | None:
        """Look up what a plan came to the first time, if it is the same plan, or was not tried."""
        if self._plan is not None:
            self._hear_deletions(self._plan)
            if not self._is_planned(planned):
                return void("a turn of its batch was deleted")
            if UNTRIED in self._plan.horizon:
                return orphaned(planned.parent)
            self._hear_changes(self._plan)
        row = self._known.get(planned.key)
        recipe = self._history.recipes.get(str(row.child)) if row is not None else None
        if row is None or recipe is None:
            return None
        if (row.parent, row.batch) != (planned.parent, planned.batch):
            return None
        if settings_of(row) != settings_of(planned):  # what an older build did not note is default
            return None
        self.recalled += 1
        return recorded(row, recipe, serving)


def _is_within(place: str, entry: Entry, horizon: Mapping[str, int] | None) -> bool:
    """Whether the first run knew a record at a moment; None: at the end, when all was known."""
    return horizon is None or entry.offset < horizon.get(place, 0)


def _deletes(entry: Entry, turn_ids: frozenset[str]) -> bool:
    record = deletion_in(entry)
    return record is not None and not turn_ids.isdisjoint(deleted_by(record))
