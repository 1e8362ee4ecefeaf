"""A learner of real parts on the tiny model, whose process can be "killed" at any boundary."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import Session, select

from kernels.contract import Backend
from kernels.open import open_backend
from learner.intake import TOPICS, Rules
from learner.judges.open import open_judges
from learner.loop import Learner, Parts
from learner.run import line_mask
from learner.safety.gate import Gate
from learner.safety.units.unit_map import load_unit_map
from learner.serving import Serving
from learner.settings import LearnerSettings
from streams import chain
from streams.log.contract import Log, Outgoing, Subscription, Topic, outgoing
from streams.log.kafka.client import Patience
from streams.log.kafka.log import KafkaLog
from streams.model.open import BaseModel
from streams.open import init_streams, open_log
from streams.records import Message, Record, Sampling, Turn
from streams.settings import StreamsSettings
from streams.status import lags
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
    gate_odds_nats=100.0,
    gate_sense_nats=100.0,
    gate_aboutness_nats=100.0,
    proved_lessons=False,  # noise is no lesson; proofs: tests/learner/batch/test_rewriting.py
)
# Short, so that a broker that is away is noticed, given up and found again within seconds.
IMPATIENT = {
    "bootstrap_s": 2.0, "request_s": 1.0, "append_s": 1.5, "reconnect_s": 0.5, "session_s": 6.0,
}  # fmt: skip
NOW_S = 1_800_000_000.0


class KilledError(BaseException):
    """The process ends here; nothing after this runs in it. No handler catches it."""


def _raise(name: str) -> None:
    raise KilledError(name)


@dataclass
class Fate:
    """Counts the boundaries that a process passes, and ends it at a chosen one."""

    dies_at: int | None = None
    end: Callable[[str], None] = _raise
    passed: int = 0
    names: list[str] = field(default_factory=list)

    def boundary(self, name: str) -> None:
        """Pass a boundary, or end at it."""
        self.passed += 1
        self.names.append(name)
        if self.passed == self.dies_at:
            self.end(name)


class MortalStore(Store):
    """A store whose process may end just before or just after any commit."""

    def __init__(self, url: str, fate: Fate) -> None:
        super().__init__(url)
        self._fate = fate

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a transaction with a boundary on either side of its commit."""
        with super().transaction() as session:
            yield session
            self._fate.boundary("before a commit")
        self._fate.boundary("after a commit")


class MortalLog:
    """A log whose process may end just before or just after any append."""

    def __init__(self, log: Log, fate: Fate) -> None:
        self._log = log
        self._fate = fate

    def append(self, records: Iterable[Outgoing]) -> None:
        """Append with a boundary on either side."""
        self._fate.boundary("before an append")
        self._log.append(records)
        self._fate.boundary("after an append")

    def subscribe(self, topics: Iterable[Topic], **rest: Any) -> Subscription:
        """Read as the log does."""
        return self._log.subscribe(topics, **rest)

    def end_offsets(self, topic: Topic) -> dict[Any, int]:
        """Count as the log does."""
        return self._log.end_offsets(topic)

    def close(self) -> None:
        """Close the log."""
        self._log.close()


@dataclass(frozen=True)
class Bench:
    """What every life of a process would compute again, to the same bits: made once for all."""

    base: BaseModel
    backend: Backend
    gate: Gate
    artefacts: Path


class Workshop:
    """A home on disk, and learners that come and go in it."""

    def __init__(
        self,
        home: Path,
        bench: Bench,
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
        self.base, self.backend = bench.base, bench.backend
        self.settings = settings
        self._bench = bench
        self._wait_s = 0.0 if self.streams.log == "sqlite" else 0.2  # a group joins while it waits
        self._starts = itertools.count(life)
        shutil.copytree(bench.artefacts, home / "artefacts", dirs_exist_ok=True)
        open_store(self.streams).close()

    def say(self, records: Iterable[tuple[Topic, Record]]) -> None:
        """Append what agents would append."""
        log = open_log(self.streams)
        log.append(outgoing(topic, "session", record) for topic, record in records)
        log.close()

    def learn(self, fate: Fate | None = None, *, most: int = 100) -> int:
        """Run a learner as a fresh process until it has nothing to do; give its generations.

        raises: KilledError when its fate is to end earlier
        """
        fate = fate or Fate()
        store = MortalStore(reach_store(self.streams).url.render_as_string(False), fate)
        log = MortalLog(open_impatient(self.streams), fate)
        try:
            return self._learn(store, log, most)
        finally:  # what the kernel does when a process ends
            log.close()
            store.close()

    def _learn(self, store: Store, log: Log, most: int) -> int:
        # Each start finds the lease of a dead one expired: the wall clock has moved on.
        start = next(self._starts)
        clocks = Clocks(wall=lambda: NOW_S + 100.0 * start)
        lease = Lease(store, "learner/main", holder=f"start {start}", clocks=clocks)
        assert lease.acquire()
        learner = Learner(self._parts(store, log, lease))
        done, idle = 0, 0
        try:
            while idle < 2 and done < most:  # the first idle step may bring back our own records
                worked = learner.step(wait_s=self._wait_s)
                done, idle = done + worked, 0 if worked or _waits(store, log) else idle + 1
        finally:
            learner.close()
        lease.release()
        return done

    def _parts(self, store: Store, log: Log, lease: Lease) -> Parts:
        bench, settings, home = self._bench, self.settings, self.streams.home
        mask = line_mask(
            store, lease, bench.base, settings, home=home, backend=bench.backend, pause=_go_on
        )
        num_layers = bench.base.decoder.num_layers
        layers = range(num_layers - settings.last_layers, num_layers)
        return Parts(
            store=store,
            log=log,
            lease=lease,
            serving=Serving(
                bench.base, bench.backend, mask, layers=layers, modules=settings.modules
            ),
            backend=bench.backend,
            gate=bench.gate,
            rules=Rules(
                line="main",
                judges=open_judges(LearnerSettings()),
                idle_close_ms=10**9,
                max_record_bytes=2**20,
            ),
            settings=settings,
            pause=_go_on,
            clock=lambda: NOW_S,
        )

    def state(self) -> dict[str, Any]:
        """Give everything that learning has left, in store and log, in a comparable form."""
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
            # whether a step found nothing due before this one: Kafka's first poll may be empty
            row["horizon"].pop("rested_ms", None)
        # Offsets count what was appended, and a crash may append a record twice.
        tables["offsets"] = [
            row for row in tables["offsets"] if row["topic"] in ("turns", "feedback")
        ]
        return tables | said


def _go_on() -> None:
    pass


def _waits(store: Store, log: Log) -> bool:
    """Whether the log holds something that the learner has not used."""
    with store.reading() as session:
        found = [each for each in lags(session, log) if each.topic in TOPICS]
    return any(each.lag if each.group else each.end for each in found)


def _read(log: Log, topic: Topic) -> list[tuple[str, bytes]]:
    """Give a topic's records in order, each once, as a reader that drops known ids sees them."""
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


def conversation(
    base: BaseModel, number: int, correction: str, principal: str = "anonymous"
) -> list[Turn]:
    """Give two turns: a reply, and the one after the user's correction of it."""
    asked = Message(role="user", content=f"Question {number}: tell me about the number {number}.")
    reply = f"Reply {number}, with far too many words."
    first = turn(base, f"turn-{number}-a", [asked], reply, principal)
    messages = [*first.messages, first.reply, Message(role="user", content=correction)]
    return [first, turn(base, f"turn-{number}-b", messages, "Short.", principal)]


def turn(
    base: BaseModel, name: str, messages: list[Message], reply: str, principal: str = "anonymous"
) -> Turn:
    """Make the turn that an agent would record, at the base version."""
    answer = Message(role="assistant", content=reply)
    keys = chain.keys([*messages, answer])
    tokens = base.tokenizer.encode(reply, add_special_tokens=False)
    place = len(messages)
    return Turn(
        id=name,
        line="main",
        version=base.name,
        principal=principal,
        session=chain.session_of(messages, principal),
        prefix_key=keys[-2],
        key=keys[-1],
        messages=messages,
        reply=answer,
        prompt_token_ids=base.render(messages),
        token_ids=tokens,
        logprobs=[-3.0] * len(tokens),
        sampling_logprobs=[-3.0] * len(tokens),
        sampling=Sampling(temperature=1, top_p=1, max_tokens=64, seed=0),
        finish_reason="stop",
        learn=True,
        purpose="main",
        created_ms=int(NOW_S * 1000) - 100_000 + place,
    )


@pytest.fixture(scope="session")
def bench(tiny_base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The tiny base with its gate and its unit map."""
    backend, home = open_backend("cpu"), tmp_path_factory.mktemp("bench")
    load_unit_map(tiny_base, SETTINGS, home, _go_on, backend=backend)
    gate = Gate(tiny_base, SETTINGS, backend=backend, pause=_go_on)
    return Bench(tiny_base, backend, gate, home / "artefacts")


@pytest.fixture
def workshop(tmp_path: Path, bench: Bench) -> Callable[[str], Workshop]:
    """Give new homes by name, each with the same two corrected conversations in its log."""

    def make(name: str) -> Workshop:
        shop = Workshop(tmp_path / name, bench)
        for number in (1, 2):
            turns = conversation(bench.base, number, "That was too long. Shorter, please.")
            shop.say(("turns", each) for each in turns)
        return shop

    return make
