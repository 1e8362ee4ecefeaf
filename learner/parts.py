"""What a learner is made of."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from kernels.contract import Backend
from learner.fitness.evaluate import Evaluator
from learner.idle.idle import Idle
from learner.rollout import release
from learner.safety.anchors import Anchors
from learner.serving import Serving
from learner.settings import LearnerSettings
from learner.update.generation import Outcome
from learner.verdicts import Rules
from streams.clock import steady
from streams.keeping.retention import Retention
from streams.log.contract import Log
from streams.settings import RolloutSettings
from streams.store.lease import Lease
from streams.store.store import Store
from streams.store.tables import GenerationRow
from streams.trace.contract import NO_TRACER, Tracer


@dataclass(frozen=True, slots=True)
class Parts:
    """The stores, rules and implementations of one learner, chosen by its entry point."""

    store: Store
    log: Log
    lease: Lease
    serving: Serving
    backend: Backend
    gate: release.Gate
    rules: Rules
    settings: LearnerSettings
    pause: Callable[[], None]  # called between pieces of work: keeps the pace, and may raise
    clock: Callable[[], float] = field(default_factory=steady)  # Unix seconds
    wall: Callable[[], float] = time.time  # the same as it is set now: for times of the day alone
    evaluator: Evaluator | None = None  # scores members; None: this process
    anchors: Anchors | None = None  # the base's replies that members are held to; None: none
    idle: Idle | None = None  # what is measured while nothing is due; None: nothing
    retention: Retention | None = None  # None: everything is kept
    rollout: RolloutSettings = field(default_factory=RolloutSettings)  # how a child enters service
    tracer: Tracer = NO_TRACER
    renews: bool = True  # whether a used turn that is judged otherwise is fresh again
    seats: bool = True  # whether the turn that a generation waits for has a place in it
    own_gold: bool = True  # whether each person's gold items are counted by themselves
    first_turns: bool = True  # whether people's days are counted from their first turn of all
    # what a plan came to, where that is known already (learner.rerun.rerun)
    recall: Callable[[GenerationRow, Serving], Outcome | None] = lambda _, __: None
