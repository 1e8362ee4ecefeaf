"""A service on the bundled model, with a learner whose next candidates a test chooses.

The agent is a process of its own, as an operator runs it. The learner is the real one, in a thread:
its intake, gate, release and controller; only what a generation comes to is made on purpose
(tests.flow.crafted), and which probes the gate has can be changed while it runs.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlmodel import select

from kernels.contract import Backend
from kernels.model.forward import Decoder
from kernels.open import open_backend
from learner.assembly import assemble, line_mask
from learner.loop import Learner
from learner.rollout import release
from learner.safety.gate import Gate
from learner.safety.kept import kept_of
from learner.safety.measuring import measuring_of
from learner.serving import Serving
from learner.settings import LearnerSettings, group_of
from learner.update.generation import Outcome
from streams.line.offer import counted
from streams.model.open import BaseModel, load_base
from streams.open import open_log
from streams.settings import ModelSettings, RolloutSettings, StreamsSettings
from streams.store.lease import Lease
from streams.store.store import open_store, reach_store
from streams.store.tables import GenerationRow
from tests.flow.crafted import Aim, crafted
from tests.flow.fleet import Process, fleet
from tests.flow.townsfolk import keys

OPERATORS: Final = ("ann", "bob")
# Steps and voices for a test that lasts minutes: one person's first verdict is their voice, and
# with this margin some twenty voices on each version are enough to promote (by default some fifty).
ROLLOUT: Final = RolloutSettings(
    policy="staged", steps=(0.2, 0.5), soak_s=5, voice_turns=1, min_principals=8, margin=0.5,
    # what people say decides here, and nothing that the learner's own models read
    max_aboutness_nats=None, max_liked_nats=None,
)  # fmt: skip
LEARNER: Final = LearnerSettings(
    mode="manual", turns_per_generation=1, linger_s=0, quorum=1, cpu_share=1,
    note_words=0, proved_lessons=False,
    # candidates are made on purpose, and learn from nobody's words that others could be held to
    held_out_fitness=1000,
    # no unit is frozen: measuring which ones takes minutes, and no trial here depends on it
    frozen_share=0,
)  # fmt: skip
ALL_PROBES: Final = LEARNER.probes
RENEW_S: Final = 4.0


class Gates:
    """The gate, with the probes that are on now."""

    def __init__(self, base: BaseModel, backend: Backend, pause: Any) -> None:
        """All probes are on."""
        self._base, self._backend = base, backend
        self.pause_by(pause)

    def pause_by(self, pause: Any) -> None:
        """Pause in another way, with all probes on."""
        kept = kept_of(ModelSettings(), self._base.name)
        self.measuring = measuring_of(
            self._base, LEARNER, backend=self._backend, pause=pause, kept=kept
        )
        self.only(ALL_PROBES)

    def only(self, probes: tuple[str, ...]) -> None:
        """Leave these probes on, and no others."""
        settings = LEARNER.model_copy(update={"probes": probes})
        self._gate = Gate(self.measuring, settings)

    def examine(
        self,
        candidate: Decoder,
        serving: Decoder,
        serving_name: str,
        *,
        candidate_name: str | None = None,
        quick: bool = False,
        whole: bool = False,
    ) -> release.Report:
        """Hold a candidate against the version that serves."""
        return self._gate.examine(
            candidate,
            serving,
            serving_name,
            candidate_name=candidate_name,
            quick=quick,
            whole=whole,
        )


@dataclass
class Live:
    """The running service."""

    agent: Process
    base: BaseModel
    gates: Gates
    streams: StreamsSettings
    aims: list[Aim] = field(default_factory=list)  # of the generations to come
    num_made: int = 0  # generations that were ordered

    def generation(self, number: int) -> GenerationRow | None:
        """Return a generation that is done, or None while it is not."""
        store = reach_store(self.streams)
        try:
            with store.reading() as session:
                query = select(GenerationRow).where(GenerationRow.number == number)
                found = session.exec(query).first()
                return found if found is not None and found.done_ms else None
        finally:
            store.close()

    def changes(self, candidate: str | None) -> list[tuple[str, str, int]]:
        """Return the changes of a candidate's trial, in order: verb, state and step."""
        log = open_log(self.streams)
        try:
            return [
                (each.verb, each.state, each.step)
                for each in counted(log, LEARNER.line)
                if each.candidate == candidate
            ]
        finally:
            log.close()

    def made(self, aim: Aim, order: Callable[[], None], *, limit_s: float = 400.0) -> GenerationRow:
        """Order the next generation, which comes to an aim, and wait until it is done."""
        self.num_made += 1
        self.aims.append(aim)
        order()
        deadline = time.monotonic() + limit_s
        while (found := self.generation(self.num_made)) is None:
            assert time.monotonic() < deadline, f"generation {self.num_made} is not done"
            time.sleep(1)
        return found


@contextmanager
def live(folder: Path) -> Iterator[Live]:
    """Start it; whatever happens, nothing is left running."""
    streams = StreamsSettings(home=folder / "home")
    base = load_base(ModelSettings(), plain_head=True)
    backend = open_backend("cpu", base.decoder.device)
    with fleet(folder, {"agent": "agent"}, _settings(streams)) as members:
        agent = members["agent"]
        agent.start()
        stop, ready = threading.Event(), threading.Event()
        service = Live(agent, base, Gates(base, backend, lambda: None), streams)
        wrong: list[BaseException] = []

        def learn() -> None:
            try:
                _learn(service, backend, stop, ready)
            except BaseException as cause:  # shown by the test
                wrong.append(cause)
                ready.set()

        thread = threading.Thread(target=learn, daemon=True)
        thread.start()
        ready.wait(240)
        try:
            yield service
        finally:
            stop.set()
            thread.join(120)
        assert not wrong, wrong


def _settings(streams: StreamsSettings) -> Mapping[str, str]:
    operators = {
        name: {"hash": hashlib.sha256(name.encode()).hexdigest(), "role": "admin"}
        for name in OPERATORS
    }
    shown = ROLLOUT.model_dump(mode="json", exclude_defaults=True)
    return {
        "streams.home": str(streams.home),
        "agent.keys": json.dumps(keys()),
        "agent.operator_keys": json.dumps(operators),
        "agent.threads": "1",
        **{
            f"rollout.{name}": value if isinstance(value, str) else json.dumps(value)
            for name, value in shown.items()
        },
    }


def _learn(service: Live, backend: Backend, stop: threading.Event, ready: threading.Event) -> None:
    log, store = open_log(service.streams), open_store(service.streams)
    lease = Lease(store, group_of(LEARNER.line), holder="the test")
    assert lease.acquire()
    renewed_s = time.monotonic()

    def pause() -> None:
        nonlocal renewed_s
        if time.monotonic() - renewed_s >= RENEW_S:
            lease.renew()
            renewed_s = time.monotonic()

    def made(generation: GenerationRow, serving: Serving) -> Outcome:
        return crafted(service.aims.pop(0), generation, serving, backend, pause=pause)

    service.gates.pause_by(pause)
    mask = line_mask(store, lease, service.gates.measuring, LEARNER)
    parts = assemble(
        service.base, mask, LEARNER, store=store, log=log, lease=lease, backend=backend,
        gate=service.gates, pause=pause, rollout=ROLLOUT, recall=made,
    )  # fmt: skip
    learner = Learner(parts)
    ready.set()
    try:
        while not stop.is_set():
            learner.step(wait_s=0.3)
    finally:
        learner.close()
        log.close()
        store.close()
