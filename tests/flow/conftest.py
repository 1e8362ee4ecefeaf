"""A learner of real parts on the tiny model, whose process can be "killed" at any boundary."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import select

from kernels.contract import Backend
from kernels.open import open_backend
from learner.assembly import line_mask
from learner.intake import TOPICS
from learner.judges.open import open_judges
from learner.loop import Learner
from learner.parts import Parts
from learner.safety.anchors import Anchors
from learner.safety.gate import Gate
from learner.safety.kept import KeptBase
from learner.safety.measuring import Measuring, measuring_of
from learner.serving import Serving
from learner.settings import LearnerSettings, group_of
from learner.verdicts import Rules
from streams.log.contract import Log, Topic, outgoing
from streams.log.kafka.client import Patience
from streams.log.kafka.log import KafkaLog
from streams.model.open import BaseModel
from streams.open import init_streams, open_log
from streams.records import Record
from streams.settings import StreamsSettings
from streams.store import offsets
from streams.store.lease import Clocks, Lease
from streams.store.store import Store, open_store, reach_store
from streams.store.tables import (
    GenerationRow,
    JudgementRow,
    OffsetRow,
    RecipeRow,
    RolloutRow,
    TurnRow,
)
from streams.trace.contract import NO_TRACER, Tracer
from tests.flow.conversations import NOW_S, conversation
from tests.flow.crashes import Boundaries, CrashingLog, CrashingStore
from tests.kafka_broker import KafkaBroker, kafka_home
from tests.postgres_server import PostgresServer, fresh_database, postgres_programs

SETTINGS = LearnerSettings(
    last_layers=2,
    pairs=2,
    turns_per_generation=2,
    uses=2,
    linger_s=0,
    max_reply_tokens=8,
    gate_prompts=1,
    gate_tokens=4,
    kl_budget=5.0,
    gate_tolerance=1.0,
    drift_refusal=0.0,
    held_out_fitness=100.0,
    gate_odds_nats=100.0,
    gate_sense_nats=100.0,
    probes=("finite", "odds", "refusal", "useful", "sense"),  # aboutness costs each start more
    proved_lessons=False,  # noise is no lesson; proofs: tests/learner/batch/test_rewriting.py
)
# Short, so that a broker that is away is noticed, given up and found again within seconds.
IMPATIENT = {
    "bootstrap_s": 2.0, "request_s": 1.0, "append_s": 1.5, "reconnect_s": 0.5, "session_s": 6.0,
}  # fmt: skip


@dataclass(frozen=True)
class Common:
    """What every life of a process would compute again, to the same bits: made once for all."""

    measuring: Measuring
    gate: Gate
    kept: Path  # folder of what was measured of the base
    anchored: dict[int, Anchors] = field(default_factory=dict)  # by how many layers move

    def anchors(self, moving: int) -> Anchors:
        """What the base says where nobody teaches."""
        if moving not in self.anchored:
            self.anchored[moving] = Anchors(self.base, backend=self.backend, moving=moving)
        return self.anchored[moving]

    @property
    def base(self) -> BaseModel:
        """The tiny base."""
        return self.measuring.base

    @property
    def backend(self) -> Backend:
        """What computes."""
        return self.measuring.backend


def common_of(base: BaseModel, kept: Path) -> Common:
    """Return a base with its gate, and what was measured of it in a folder."""
    measuring = measuring_of(
        base, SETTINGS, backend=open_backend("cpu"), kept=KeptBase(kept, base.name)
    )
    return Common(measuring, Gate(measuring, SETTINGS), kept)


class LearnerHome:
    """A home on disk, and learners that come and go in it."""

    def __init__(
        self,
        home: Path,
        common: Common,
        settings: LearnerSettings = SETTINGS,
        *,
        streams: StreamsSettings | None = None,
        life: int = 1,
    ) -> None:
        """Take a home, which is made if it is missing.

        streams: where log or store are not in the home
        life: number of the next start; each begins when the lease of the one before has run out
        """
        self.streams = streams or StreamsSettings(home=home)
        self.base, self.backend = common.base, common.backend
        self.settings = settings
        self.tracer: Tracer = NO_TRACER
        self._group = group_of(settings.line)
        self._common = common
        self._wait_s = 0.0 if self.streams.log == "sqlite" else 0.2  # a group joins while it waits
        self._starts = itertools.count(life)
        open_store(self.streams).close()

    def say(self, records: Iterable[tuple[Topic, Record]]) -> None:
        """Append what agents would append."""
        log = open_log(self.streams)
        log.append(outgoing(topic, "session", record) for topic, record in records)
        log.close()

    def learn(self, boundaries: Boundaries | None = None, *, most: int = 100) -> int:
        """Run a learner as a fresh process until it has nothing to do; return how many generations.

        raises: KilledError when it is to end earlier
        """
        boundaries = boundaries or Boundaries()
        store = CrashingStore(reach_store(self.streams).url.render_as_string(False), boundaries)
        log = CrashingLog(open_impatient(self.streams), boundaries)
        try:
            return self._learn(store, log, most)
        finally:  # what the kernel does when a process ends
            log.close()
            store.close()

    def _learn(self, store: Store, log: Log, most: int) -> int:
        # Each start finds the lease of a dead one expired: the wall clock has moved on.
        start = next(self._starts)
        clocks = Clocks(wall=lambda: NOW_S + 100.0 * start)
        lease = Lease(store, self._group, holder=f"start {start}", clocks=clocks)
        assert lease.acquire()
        learner = Learner(self._parts(store, log, lease))
        done, idle = 0, 0
        try:
            while idle < 2 and done < most:  # the first idle step may bring back our own records
                worked = learner.step(wait_s=self._wait_s)
                done, idle = done + worked, 0 if worked or self._waits(store, log) else idle + 1
        finally:
            learner.close()
        lease.release()
        return done

    def _parts(self, store: Store, log: Log, lease: Lease) -> Parts:
        common, settings = self._common, self.settings
        mask = line_mask(store, lease, common.measuring, settings)
        layers, modules = settings.moving(common.base.decoder.num_layers)
        return Parts(
            store=store,
            log=log,
            lease=lease,
            serving=Serving(common.base, common.backend, mask, layers=layers, modules=modules),
            backend=common.backend,
            gate=common.gate,
            rules=Rules(
                line=settings.line,
                judges=open_judges(LearnerSettings(judges=("explicit", "lexical"))),
                idle_close_ms=10**9,
                max_record_bytes=2**20,
            ),
            settings=settings,
            pause=_go_on,
            clock=lambda: NOW_S,
            tracer=self.tracer,
            anchors=common.anchors(len(layers)),
        )

    def _waits(self, store: Store, log: Log) -> bool:
        """Whether the log holds something that the learner has not passed."""
        ends = {place: end for topic in TOPICS for place, end in log.end_offsets(topic).items()}
        with store.reading() as session:
            read = offsets.positions(session, self._group, ends)
        return any(read.get(place, 0) < end for place, end in ends.items())

    def state(self) -> dict[str, Any]:
        """Return everything that learning has left, in store and log, in a comparable form."""
        store, log = open_store(self.streams), open_log(self.streams)
        with store.reading() as session:
            tables = {
                table.__tablename__: sorted(
                    (row.model_dump() for row in session.exec(select(table))), key=str
                )
                for table in (
                    TurnRow,
                    JudgementRow,
                    GenerationRow,
                    RecipeRow,
                    RolloutRow,
                    OffsetRow,
                )
            }
        topics: tuple[Topic, ...] = ("recipes", "rollouts", "judgements")
        said = {f"log of {topic}": _read(log, topic) for topic in topics}
        log.close()
        store.close()
        for row in tables["turns"]:
            del row["taken_ms"]  # by the log's clock, and each run has a log of its own
        for row in tables["generations"]:
            (row["gate"] or {}).pop("took_s", None)  # by the machine's clock
        # Offsets count what was appended, and a crash may append a record twice.
        tables["offsets"] = [
            row for row in tables["offsets"] if row["topic"] in ("turns", "feedback")
        ]
        return tables | said


def _go_on() -> None:
    pass


def _read(log: Log, topic: Topic) -> list[tuple[str, bytes]]:
    """Return a topic's records in order, each once, as a reader that drops known ids sees them."""
    missing = {partition: end for partition, end in log.end_offsets(topic).items() if end}
    reader = log.subscribe([topic], group=None, positions=lambda _: {})
    seen: dict[str, bytes] = {}
    # Kafka's first fetch takes a moment; the embedded log has at once what it has.
    wait_s = 5.0 if isinstance(log, KafkaLog) else 0.0
    while missing and (entries := reader.poll(wait_s=wait_s)):
        for entry in entries:
            assert seen.setdefault(entry.id, entry.value) == entry.value
            if entry.offset + 1 >= missing.get(entry.partition, 0):
                missing.pop(entry.partition, None)
    reader.close()
    return list(seen.items())


def open_impatient(settings: StreamsSettings) -> Log:
    """Open a log whose clients notice soon that somebody died."""
    if settings.log == "sqlite":
        return open_log(settings)
    return KafkaLog(settings, patience=Patience(**IMPATIENT))


@pytest.fixture
def seed() -> int:
    """What random schedules are made of: the same each time, or the round of `make faults`."""
    return int(os.environ.get("FAULT_SEED", "0"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker of a module's own, to be stopped and killed."""
    if kafka_home() is None:
        pytest.skip("no Kafka: set KAFKA_HOME to the folder of an Apache Kafka 4")
    started = KafkaBroker(tmp_path_factory.mktemp("kafka"))
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL of a module's own, to be killed."""
    if postgres_programs() is None:
        pytest.skip("no PostgreSQL programs: install PostgreSQL")
    with TemporaryDirectory(prefix="quickset-postgres-") as folder:
        started = PostgresServer(Path(folder))
        started.start()
        yield started
        started.stop()


Stack = Callable[[str], StreamsSettings]


@pytest.fixture(
    params=[
        "embedded",
        pytest.param("kafka and postgres", marks=[pytest.mark.kafka, pytest.mark.postgres]),
    ]
)
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Stack:
    """Makes empty streams by name: all in a folder, or on Kafka and PostgreSQL."""

    def make(name: str) -> StreamsSettings:
        settings = StreamsSettings(home=tmp_path / name)
        if request.param != "embedded":
            broker, server = (request.getfixturevalue(each) for each in ("broker", "server"))
            settings = StreamsSettings(
                home=tmp_path / name,
                log=broker.url,
                store=fresh_database(server.url),
                topic_prefix=f"{uuid4().hex[:8]}.",
                partitions=4,
            )
        init_streams(settings)
        open_store(settings).close()
        return settings

    return make


@pytest.fixture(scope="session")
def common(tiny_base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Common:
    """The tiny base with its gate and its unit map."""
    return common_of(tiny_base, tmp_path_factory.mktemp("common"))


@pytest.fixture
def homes(tmp_path: Path, common: Common) -> Callable[[str], LearnerHome]:
    """Return new homes by name, each with the same two corrected conversations in its log."""

    def make(name: str) -> LearnerHome:
        learner = LearnerHome(tmp_path / name, common)
        for number in (1, 2):
            turns = conversation(common.base, number, "That was too long. Shorter, please.")
            learner.say(("turns", each) for each in turns)
        return learner

    return make
