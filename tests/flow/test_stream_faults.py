"""Real faults of real servers: Kafka stopped, killed and rebalanced, PostgreSQL killed, processes
killed at every boundary. After each, the history of the run is judged."""

import gc
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import select

from learner.intake import TOPICS as INTAKE_TOPICS
from learner.intake import Rules, take
from learner.judges.open import open_judges
from learner.settings import LearnerSettings
from streams.errors import LogUnavailableError
from streams.keeping.forgotten import read_all
from streams.log.contract import entries_now, outgoing
from streams.log.kafka.client import Patience
from streams.log.kafka.log import KafkaLog
from streams.open import init_streams, open_log
from streams.records import Feedback, Forgotten, Message
from streams.settings import StreamsSettings
from streams.spool import Spool
from streams.store.store import Store, open_store
from streams.store.tables import JudgementRow, OutboxRow, TurnRow
from tests.flow.applier import Applier, applied, num_applied, turn
from tests.flow.conftest import IMPATIENT as SHORT
from tests.flow.conftest import open_impatient
from tests.flow.history import Appended, Applied, violations
from tests.flow.load import LIMIT_S, DirectLoad, SpooledLoad, Town, Working, drain, until
from tests.kafka_broker import KafkaBroker
from tests.learner.turns import turn as talk
from tests.postgres_server import PostgresServer, fresh_database

IMPATIENT = Patience(**SHORT)

# kafka-python leaves the sockets of lost connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")


@pytest.fixture(autouse=True)
def _collect_lost_connections() -> Iterator[None]:
    """Collect them while the filter above is in force."""
    yield
    gc.collect()


@pytest.fixture
def on_kafka(broker: KafkaBroker, tmp_path: Path) -> StreamsSettings:
    """Fresh topics on the broker, four partitions of turns."""
    prefix = f"{uuid4().hex[:8]}."
    settings = StreamsSettings(home=tmp_path, log=broker.url, topic_prefix=prefix, partitions=4)
    init_streams(settings)
    return settings


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An embedded store."""
    opened = open_store(StreamsSettings(home=tmp_path))
    yield opened
    opened.close()


@pytest.mark.fault("broker stopped and started")
@pytest.mark.kafka
def test_the_broker_is_stopped_for_long_and_started_again_under_load(
    broker: KafkaBroker, on_kafka: StreamsSettings
) -> None:
    """The agent goes on, its spool grows, and everything arrives once when the broker is back."""
    town = Town(on_kafka, open_impatient)
    until(town.used(100), "the load is applied")
    broker.stop()
    away_s = time.monotonic()
    until(lambda: town.spool.depth().log_away is not None, "the spool notices")
    # Longer than any client tries by itself, so that batches are given up, not only delayed.
    until(lambda: time.monotonic() - away_s > 10, "the outage has been long")
    assert town.spool.depth().records > 200
    broker.start()
    until(lambda: town.spool.depth().log_away is None, "the spool finds the broker")
    assert town.settle() == []
    assert all(attempt.outcome == "acknowledged" for attempt in town.load.history)


@pytest.mark.fault("broker killed in mid-batch")
@pytest.mark.kafka
def test_the_broker_is_killed_in_the_middle_of_batches(
    broker: KafkaBroker, on_kafka: StreamsSettings, store: Store
) -> None:
    """Killed again and again while batches are on their way: none lost, doubled or overtaken."""
    log = KafkaLog(on_kafka, patience=IMPATIENT)
    load = DirectLoad(log)
    traffic = Working(load.step)
    for _ in range(3):
        size = len(load.history)
        until(lambda size=size: len(load.history) > size + 400, "batches flow")  # type: ignore[misc]
        broker.kill()
        tried = load.retries
        until(lambda tried=tried: load.retries > tried, "an append fails")  # type: ignore[misc]
        broker.start()
    size = len(load.history)
    until(lambda: len(load.history) > size + 400, "batches flow again")
    traffic.stop()
    applier = Applier(log, store)
    drain(applier, store, load.history)
    log.close()
    assert violations(load.history, applied(store)) == []


@pytest.mark.fault("broker stopped and started")
@pytest.mark.kafka
def test_a_process_starts_while_the_broker_is_away(
    broker: KafkaBroker, on_kafka: StreamsSettings, store: Store, tmp_path: Path
) -> None:
    """Opening, spooling and reading wait for no broker; they find it when it comes."""
    broker.stop()
    log = KafkaLog(on_kafka, patience=IMPATIENT)
    spool = Spool(tmp_path / "spool", log, on_kafka)
    load = SpooledLoad(spool)
    load.step()
    applier = Applier(log, store)
    assert applier.step() == 0
    with pytest.raises(LogUnavailableError):
        log.end_offsets("turns")
    threads = threading.active_count()
    for _ in range(3):
        applier.step()
    assert threading.active_count() <= threads + 1, "a failed try leaves no thread behind"
    broker.start()
    assert spool.wait_drained(LIMIT_S)
    drain(applier, store, load.history)
    spool.close()
    log.close()
    assert violations(load.history, applied(store)) == []


class Hushed(KafkaLog):
    """A log whose broker falls silent between the count of what it holds and the reading of it."""

    broker: KafkaBroker

    def subscribe(self, *topics: Any, **rest: Any) -> Any:
        """Subscribe, and hear nothing."""
        opened = super().subscribe(*topics, **rest)
        opened.poll(wait_s=0)  # connects
        self.broker.pause()
        return opened


@pytest.mark.fault("broker falls silent")
@pytest.mark.kafka
def test_what_a_silent_broker_keeps_back_is_not_taken_for_nothing(
    broker: KafkaBroker, on_kafka: StreamsSettings
) -> None:
    """Who is forgotten is read before turns are: a slow broker must not mean that nobody is."""
    log = Hushed(on_kafka, patience=IMPATIENT)
    log.broker = broker
    forgotten = [
        Forgotten(id=f"f{n}", principal=f"p{n}", reason="asked", who="op", created_ms=n)
        for n in range(3)
    ]
    log.append(outgoing("forgotten", each.principal, each) for each in forgotten)
    try:
        with pytest.raises(LogUnavailableError, match="gave nothing for 4 s"):
            list(entries_now(log, "forgotten", silence_s=4))
    finally:
        broker.resume()
    log.close()
    again = open_impatient(on_kafka)
    assert read_all(again) == forgotten
    again.close()


@pytest.mark.fault("rebalance in mid-update")
@pytest.mark.kafka
def test_rebalances_in_mid_update(on_kafka: StreamsSettings, store: Store, tmp_path: Path) -> None:
    """Readers that come and go take partitions from each other; every turn is applied once."""
    log = KafkaLog(on_kafka, patience=IMPATIENT)
    load = DirectLoad(log)
    other_store = open_store(StreamsSettings(home=tmp_path))
    first = Applier(KafkaLog(on_kafka, patience=IMPATIENT), store)
    second = Applier(KafkaLog(on_kafka, patience=IMPATIENT), other_store)

    def append_what_is_used() -> None:
        # Far ahead of the readers, the load would only make the end of the test longer.
        if len(load.history) < num_applied(store) + 400:
            load.step()
        else:
            time.sleep(0.02)

    traffic = Working(append_what_is_used)
    one = Working(lambda: first.step(max_records=7))
    for _ in range(3):
        # Only who holds partitions can lose them: two that join an empty group at once do not.
        used = num_applied(store)
        until(lambda used=used: num_applied(store) > used, "the first reader applies alone")  # type: ignore[misc]
        revoked = len(first.revoked)
        two = Working(lambda: second.step(max_records=7))
        until(
            lambda revoked=revoked: len(first.revoked) > revoked,  # type: ignore[misc]
            "the second reader takes partitions away",
        )
        used = num_applied(store)
        until(lambda used=used: num_applied(store) > used + 50, "both apply")  # type: ignore[misc]
        two.stop()
        second.close()
    traffic.stop()
    one.stop()
    drain(first, store, load.history)
    log.close()
    other_store.close()
    assert violations(load.history, applied(store)) == []


@pytest.mark.fault("database gone and back")
@pytest.mark.postgres
def test_the_database_is_killed_and_comes_back(server: PostgresServer, tmp_path: Path) -> None:
    """Killed in the middle of transactions: what committed is there, the rest is applied again."""
    url = fresh_database(server.url)
    settings = StreamsSettings(home=tmp_path, store=url)
    store, log = open_store(settings), open_log(settings)
    history: list[Appended] = []
    for number in range(3000):
        history.append(
            Appended(f"key-{number % 5}", f"key-{number % 5}-{number:06d}", "acknowledged")
        )
    log.append(turn(number, f"key-{number % 5}") for number in range(3000))
    applier = Applier(log, store)
    learner = Working(lambda: applier.step(max_records=10))
    for wanted in (200, 600):
        until(lambda wanted=wanted: num_applied(store) > wanted, "turns are applied")  # type: ignore[misc]
        server.kill()
        server.start()
    learner.stop()
    drain(applier, store, history)
    store.close()
    log.close()
    assert violations(history, applied_at(url)) == []


@pytest.mark.fault("text that a database refuses")
@pytest.mark.postgres
@pytest.mark.parametrize("odd", ["a\0b", "a\ud800b"], ids=["NUL", "half a surrogate pair"])
def test_odd_text_stops_nothing(server: PostgresServer, tmp_path: Path, odd: str) -> None:
    """In a message, a tool's output, a hint: PostgreSQL keeps what SQLite keeps, and nothing less.

    PostgreSQL takes no NUL in a text, and no database half of a surrogate pair.
    """
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": f'{{"{odd}": 1}}'},
    }
    asked = [Message(role="user", content=f"Read the file {odd}.")]
    called = Message(role="assistant", content=odd, tool_calls=[call])
    result = Message(role="tool", content=odd, tool_call_id="c")
    correction = Message(role="user", content=f"That was too long. {odd}")
    answer = Message(role="assistant", content=odd)
    records = [
        talk(asked, called, id="first"),
        talk([*asked, called, result], answer, id="second"),
        talk([*asked, called, result, answer, correction], answer, id="third"),
    ]
    said = Feedback(
        id="f", turn_id="second", line="main", principal="alice", session=records[1].session,
        score=-1, hint=f"Say {odd}.", comment=odd, created_ms=2_000,
    )  # fmt: skip
    kept = []
    for url in (None, fresh_database(server.url)):
        settings = StreamsSettings(home=tmp_path / str(url is None), store=url)
        store, log = open_store(settings), open_log(settings)
        log.append(outgoing("turns", "k", record) for record in records)
        log.append([outgoing("feedback", "k", said)])
        reader = log.subscribe(INTAKE_TOPICS, group=None, positions=lambda _: {})
        rules = Rules(
            "main", open_judges(LearnerSettings()), idle_close_ms=10**9, max_record_bytes=2**20
        )
        while entries := reader.poll(wait_s=0):
            with store.transaction() as session:
                take(session, entries, rules)
        reader.close()
        with store.reading() as session:
            turns = session.exec(select(TurnRow).order_by(TurnRow.id)).all()
            judgements = session.exec(select(JudgementRow).order_by(JudgementRow.id)).all()
            sent = session.exec(select(OutboxRow).order_by(OutboxRow.id)).all()
            for turn in turns:
                turn.taken_ms = 0  # by the clocks of two logs
            kept.append((turns, judgements, sent))
        store.close()
        log.close()
    assert kept[0] == kept[1]
    assert [turn.state for turn in turns] == ["linked", "judged", "open"]
    assert f"Say {odd}." in {judgement.hint for judgement in judgements}


def applied_at(url: str) -> list[Applied]:
    """Read what was applied through fresh connections."""
    store = Store(url)
    try:
        return list(applied(store))
    finally:
        store.close()


def apply_and_die(settings: StreamsSettings, boundary: str, times: int) -> None:
    """Apply turns, and be killed the n-th time that a boundary is reached."""
    reached = 0

    def die(name: str) -> None:
        nonlocal reached
        reached += name == boundary
        if reached >= times:
            os.kill(os.getpid(), signal.SIGKILL)

    applier = Applier(open_impatient(settings), open_store(settings), boundary=die)
    while True:
        applier.step(max_records=10)


def kill_at_every_boundary(settings: StreamsSettings) -> None:
    """Append turns, let a process die at each boundary in turn, and judge what was applied."""
    log, store = open_impatient(settings), open_store(settings)
    keys = [f"key-{number % 5}" for number in range(200)]
    log.append(turn(number, key) for number, key in enumerate(keys))
    history = [Appended(key, f"{key}-{n:06d}", "acknowledged") for n, key in enumerate(keys)]
    context = multiprocessing.get_context("spawn")
    for boundary in ("read", "written", "committed"):
        process = context.Process(target=apply_and_die, args=(settings, boundary, 2))
        process.start()
        process.join(LIMIT_S)
        assert process.exitcode == -signal.SIGKILL
        assert 0 < num_applied(store) < len(keys)
    drain(Applier(log, store), store, history)
    assert violations(history, applied(store)) == []
    log.close()
    store.close()


@pytest.mark.fault("kill -9 at each boundary of a consumer")
def test_kill_9_at_every_boundary_embedded(tmp_path: Path) -> None:
    """Over the embedded log and store."""
    settings = StreamsSettings(home=tmp_path)
    init_streams(settings)
    kill_at_every_boundary(settings)


@pytest.mark.fault("kill -9 at each boundary of a consumer")
@pytest.mark.kafka
@pytest.mark.postgres
def test_kill_9_at_every_boundary_on_kafka_and_postgresql(
    on_kafka: StreamsSettings, server: PostgresServer
) -> None:
    """Over Kafka and PostgreSQL; a dead reader's partitions are given to the next one."""
    kill_at_every_boundary(on_kafka.model_copy(update={"store": fresh_database(server.url)}))
