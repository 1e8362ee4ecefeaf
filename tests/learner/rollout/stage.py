"""One line of a store on a stage: a log that is a list, people who judge, a learner that looks."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from learner.rollout import claims
from learner.rollout.trials import LOOK_S, Trials
from streams.line import verbs
from streams.line.line import Line
from streams.line.policy import LEARNER
from streams.line.share import belongs
from streams.line.verbs import Audit
from streams.records import Rollout
from streams.settings import RolloutSettings
from streams.store.store import Store
from streams.store.tables import JudgementRow, TrialRow, TurnRow
from tests.learner.turns import said, turn

SETTINGS = RolloutSettings(
    policy="staged", steps=(0.3, 0.6), soak_s=60, deadline_s=3600, min_principals=3, voice_turns=1
)
NAMES = (f"line-{number}" for number in itertools.count())


@dataclass
class Clock:
    """Seconds of a clock that only tests move."""

    now_s: float = 1_000_000.0

    def __call__(self) -> float:
        """The seconds."""
        return self.now_s


@dataclass
class Stage:
    """One line of a store: a log that is a list, people who judge, and a learner that looks."""

    store: Store
    rollout: RolloutSettings = SETTINGS
    clock: Clock = field(default_factory=Clock)
    name: str = field(default_factory=lambda: next(NAMES))
    records: list[Rollout] = field(default_factory=list)  # the log, in order
    base: str = "base"
    people: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.line = Line(self.name, (self.base,))
        self.trials = Trials(self.rollout, clock=self.clock)

    @property
    def now_ms(self) -> int:
        return int(self.clock() * 1000)

    def append(self, *changes: Rollout) -> None:
        """Let the log take changes, in this order, and the learner project them."""
        with self.store.transaction() as session:
            for change in changes:
                self.records.append(change)
                claims.project(session, change)
                self.line = self.line.take(change)

    def audit(self, who: str = "ann") -> Audit:
        return Audit.new(who, "because", self.now_ms)

    def start(self, candidate: str = "new", *, pending: bool = False) -> None:
        share = None if pending else self.rollout.shares[0]
        self.append(verbs.start(self.line, candidate, self.audit(LEARNER), share=share))

    def look(self, *, kept: bool = True) -> Rollout | None:
        """Let the learner look, if it is time; what it offers is not in the log yet.

        kept: False: the store takes nothing just then
        """
        if not self.trials.due(self.line):
            return None
        with self.store.reading() as session:
            found = self.trials.look(session, self.line, now_ms=self.now_ms)
        if found is None or not kept:
            return None
        with self.store.transaction() as session:
            session.merge(found.row)
        if found.change is not None:
            self.trials.offered(found.change)
        return found.change

    def steer(self, *, wait_s: float = LOOK_S) -> str | None:
        """Let time pass, look, and let the log take what is offered; return the verb."""
        self.clock.now_s += wait_s
        change = self.look()
        if change is not None:
            self.append(change)
        return change.verb if change else None

    def why(self) -> str:
        with self.store.reading() as session:
            return str(session.get_one(TrialRow, self.name).body["why"])

    def judged(
        self,
        number: int,
        *,
        candidate: int,
        stable: int,
        principal: str = "",
        unjudged: bool = False,
        **about: str,
    ) -> None:
        """Let people ask, each in a session of its own, and judge what answered as told."""
        trial = self.line.trial
        with self.store.transaction() as session:
            for _ in range(number):
                person = next(self.people)
                record = turn(
                    said(f"{self.name} {person}"), about.get("reply", "an answer"),
                    id=f"{self.name}-{person}", principal=principal or f"person-{person}",
                    line=self.name, created_ms=self.now_ms,
                )  # fmt: skip
                own = bool(trial and belongs(record.session, trial.version, trial.share))
                if about.get("all_by"):
                    own = about["all_by"] == "candidate"
                served = trial.version if trial and own else self.line.version
                record = record.model_copy(update={"version": served})
                session.add(
                    TurnRow(
                        state="judged", sequence=person, record=record.model_dump(mode="json"),
                        taken_ms=self.now_ms,
                        **record.model_dump(include={
                            "id", "line", "version", "principal", "session", "key", "prefix_key",
                            "created_ms",
                        }),
                    )
                )  # fmt: skip
                score = candidate if own else stable
                if not unjudged:
                    session.add(
                        JudgementRow(
                            id=f"j-{record.id}", turn_id=record.id, principal=record.principal,
                            source="explicit", score=score, confidence=1.0, evidence="said",
                            created_ms=self.now_ms,
                        )
                    )  # fmt: skip
