"""Real faults of real servers: Kafka stopped, killed and rebalanced, PostgreSQL killed, processes
killed at every boundary. After each, the history of the run is judged."""

import gc
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from streams.errors import LogUnavailableError
from streams.keeping.forgotten import read_all
from streams.log.contract import Log, Outgoing, entries_now, outgoing
from streams.log.kafka.client import Patience
from streams.log.kafka.log import KafkaLog
from streams.open import init_streams, open_log
from streams.records import Forgotten
from streams.settings import StreamsSettings
from streams.spool.spool import Spool
from streams.store.store import Store, open_store
from tests.flow.conftest import IMPATIENT as SHORT
from tests.flow.conftest import open_impatient
from tests.flow.history import Appended
from tests.flow.listening import Listener, num_used, spoken, wrong
from tests.flow.load import LIMIT_S, DirectLoad, SpooledLoad, Traffic, Working, until, use_all
from tests.kafka_broker import KafkaBroker
from tests.postgres_server import PostgresServer, fresh_database

IMPATIENT = Patience(**SHORT)

# kafka-python leaves the sockets of lost connections to the garbage collector.
pytestmark = [
    pytest.mark.timeout(600),  # brokers start and stop, on few cores
    pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning"),
]


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


class CountedLog(KafkaLog):
    """A log that counts the appends which it refused."""

    refused = 0

    def append(self, records: Iterable[Outgoing]) -> None:
        try:
            super().append(records)
        except LogUnavailableError:
            self.refused += 1
            raise


@pytest.mark.fault("broker stopped and started")
@pytest.mark.kafka
def test_the_broker_is_stopped_for_long_and_started_again_under_load(
    broker: KafkaBroker, on_kafka: StreamsSettings
) -> None:
    """The agent goes on, its spool grows, and everything arrives once when the broker is back."""
    traffic = Traffic(on_kafka, lambda settings: CountedLog(settings, patience=IMPATIENT))
    log = traffic.log
    assert isinstance(log, CountedLog)
    until(traffic.used(100), "the load is used")
    broker.stop()
    # Batches are given up, not only delayed.
    until(lambda: log.refused > 3, "appends have failed again and again")
    until(lambda: traffic.spool.depth().records > 200, "the spool grows")
    broker.start()
    until(lambda: traffic.spool.depth().log_away is None, "the spool finds the broker")
    assert traffic.settle() == []
    assert all(attempt.outcome == "acknowledged" for attempt in traffic.load.history)


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
        until(lambda size=size: len(load.history) > size + 200, "batches flow")  # type: ignore[misc]
        broker.kill()
        tried = load.retries
        until(lambda tried=tried: load.retries > tried, "an append fails")  # type: ignore[misc]
        broker.start()
    size = len(load.history)
    until(lambda: len(load.history) > size + 200, "batches flow again")
    traffic.stop()
    listener = Listener(log, store)
    use_all(listener, store, load.history)
    log.close()
    assert wrong(store, load.history) == []


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
    listener = Listener(log, store)
    assert listener.step() == 0
    with pytest.raises(LogUnavailableError):
        log.end_offsets("turns")
    before = set(threading.enumerate())
    for _ in range(3):
        listener.step()
    until(lambda: before.issuperset(threading.enumerate()), "no failed try has left a thread")
    broker.start()
    assert spool.wait_drained(LIMIT_S)
    use_all(listener, store, load.history)
    spool.close()
    log.close()
    assert wrong(store, load.history) == []


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
    """What is forgotten is read before turns are: a slow broker must not mean that nothing is."""
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
    """Readers that come and go take partitions from each other; every turn is used once."""
    log = KafkaLog(on_kafka, patience=IMPATIENT)
    load = DirectLoad(log)
    other_store = open_store(StreamsSettings(home=tmp_path))
    first = Listener(KafkaLog(on_kafka, patience=IMPATIENT), store)
    second = Listener(KafkaLog(on_kafka, patience=IMPATIENT), other_store)

    def append_what_is_used() -> None:
        # Far ahead of the readers, the load would only make the end of the test longer.
        if len(load.history) < num_used(store) + 200:
            load.step()
        else:
            time.sleep(0.02)

    traffic = Working(append_what_is_used)
    one = Working(lambda: first.step(max_records=7))
    for _ in range(3):
        # Only a reader that holds partitions can lose them: two that join at once do not.
        used = num_used(store)
        until(lambda used=used: num_used(store) > used, "the first reader uses some alone")  # type: ignore[misc]
        revoked = len(first.revoked)
        two = Working(lambda: second.step(max_records=7))
        until(
            lambda revoked=revoked: len(first.revoked) > revoked,  # type: ignore[misc]
            "the second reader takes partitions away",
        )
        used = num_used(store)
        until(lambda used=used: num_used(store) > used + 50, "both use some")  # type: ignore[misc]
        two.stop()
        second.close()
    traffic.stop()
    one.stop()
    use_all(first, store, load.history)
    log.close()
    other_store.close()
    assert wrong(store, load.history) == []


@pytest.mark.slow
@pytest.mark.fault("database gone and back")
@pytest.mark.postgres
def test_the_database_is_killed_and_comes_back(server: PostgresServer, tmp_path: Path) -> None:
    """Killed in the middle of transactions: what committed is there, the rest is used again."""
    url = fresh_database(server.url)
    settings = StreamsSettings(home=tmp_path, store=url)
    store, log = open_store(settings), open_log(settings)
    history = append_some(log, 800)
    listener = Listener(log, store)
    learner = Working(lambda: listener.step(max_records=10))
    for wanted in (100, 300):
        until(lambda wanted=wanted: num_used(store) > wanted, "turns are used")  # type: ignore[misc]
        server.kill()
        server.start()
    learner.stop()
    use_all(listener, store, history)
    assert wrong(store, history) == []
    store.close()
    log.close()


def append_some(log: Log, count: int) -> list[Appended]:
    """Append turns and give their history."""
    records = [spoken(number) for number in range(count)]
    log.append(records)
    return [Appended(record.key, record.id, "acknowledged") for record in records]


def use_and_die(settings: StreamsSettings, boundary: str, times: int) -> None:
    """Use turns, and be killed the n-th time that a boundary is reached."""
    reached = 0

    def die(name: str) -> None:
        nonlocal reached
        reached += name == boundary
        if reached >= times:
            os.kill(os.getpid(), signal.SIGKILL)

    listener = Listener(open_impatient(settings), open_store(settings), boundary=die)
    while True:
        listener.step(max_records=10)


def kill_at_every_boundary(settings: StreamsSettings) -> None:
    """Append turns, let a process die at each boundary in turn, and judge what came of them."""
    log, store = open_impatient(settings), open_store(settings)
    history = append_some(log, 200)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    for boundary in ("read", "written", "committed"):
        process = context.Process(target=use_and_die, args=(settings, boundary, 2))
        process.start()
        process.join(LIMIT_S)
        assert process.exitcode == -signal.SIGKILL
        assert 0 < num_used(store) < len(history)
    use_all(Listener(log, store), store, history)
    assert wrong(store, history) == []
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
