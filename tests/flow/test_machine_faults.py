"""Faults of the machines below: a disk that is really full, clocks that really jump."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from streams.kafka_client import Patience
from streams.kafka_log import KafkaLog
from streams.open import init_streams, open_log
from streams.settings import StreamsSettings
from streams.spool import Spool
from streams.store import Store, open_store
from tests.flow.applier import Applier, applied, num_applied
from tests.flow.conftest import IMPATIENT, Stack
from tests.flow.disk import SmallDisk, small_disk
from tests.flow.fleet import Member, fleet
from tests.flow.history import violations
from tests.flow.load import LIMIT_S, SpooledLoad, Working, drain, until
from tests.kafka_broker import KafkaBroker, kafka_home
from tests.postgres_server import PostgresServer, fresh_database, postgres_programs

FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
YEAR_S = 365 * 24 * 3600
# Sockets of lost connections are left to the garbage collector by kafka-python.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning"),
    pytest.mark.timeout(600),
]


@pytest.fixture(autouse=True)
def _collect_lost_connections() -> Iterator[None]:
    """Collect them while the filter above is in force."""
    yield
    gc.collect()


def used_further(store: Store, by: int = 50) -> Callable[[], bool]:
    """Give a condition: so many turns more than now have been used."""
    enough = num_applied(store) + by
    return lambda: num_applied(store) > enough


@pytest.mark.fault("full disk")
def test_a_full_disk_under_log_store_and_spool(tmp_path: Path) -> None:
    """What was refused is counted, what was acknowledged is used once, room again is enough."""
    with small_disk(tmp_path / "disk", 24) as disk:
        settings = StreamsSettings(home=disk.folder)
        store, log = open_store(settings), open_log(settings)
        spool = Spool(disk.folder / "spool", log, settings)
        load, applier = SpooledLoad(spool), Applier(open_log(settings), store)
        traffic, learner = Working(load.step), Working(applier.step)
        used = used_further(store)
        for _ in range(2):
            until(used, "the load is used")
            refused = spool.depth().dropped
            disk.fill()
            until(
                lambda refused=refused: spool.depth().dropped > refused + 5,  # type: ignore[misc]
                "records are refused",
            )
            disk.free()
            used = used_further(store)
        until(used, "the load is used again")
        traffic.stop()
        assert spool.wait_drained(LIMIT_S)
        learner.stop()
        drain(applier, store, load.history)
        assert spool.depth().log_away is None
        assert spool.depth().dropped == sum(a.outcome == "unknown" for a in load.history)
        spool.close()
        assert violations(load.history, applied(store)) == []
        log.close()
        store.close()


@pytest.mark.fault("full disk")
@pytest.mark.kafka
def test_a_full_disk_under_kafka(tmp_path: Path) -> None:
    """Kafka ends itself when its disk is full; with room and a start again, nothing is missing."""
    if kafka_home() is None:
        pytest.skip("no Kafka: set KAFKA_HOME to the folder of an Apache Kafka 4")
    with small_disk(tmp_path / "disk", 96) as disk:
        broker = KafkaBroker(disk.folder / "kafka")
        broker.start()
        try:
            _fill_under_kafka(broker, disk, tmp_path)
        finally:
            broker.kill()


def _fill_under_kafka(broker: KafkaBroker, disk: SmallDisk, home: Path) -> None:
    settings = StreamsSettings(home=home, log=broker.url, partitions=4)
    init_streams(settings)
    store, patience = open_store(settings), Patience(**IMPATIENT)
    log = KafkaLog(settings, patience=patience)
    spool = Spool(home / "spool", log, settings)
    load, applier = SpooledLoad(spool), Applier(KafkaLog(settings, patience=patience), store)
    traffic, learner = Working(load.step), Working(applier.step)
    until(lambda: num_applied(store) > 100, "the load is used")
    disk.fill()
    until(lambda: spool.depth().log_away is not None, "the spool notices")
    until(lambda: spool.depth().records > 200, "the spool grows")
    disk.free()
    broker.kill()  # what is left of it
    broker.start()
    until(lambda: spool.depth().log_away is None, "the spool finds the broker")
    traffic.stop()
    assert spool.wait_drained(LIMIT_S)
    learner.stop()
    drain(applier, store, load.history)
    spool.close()
    log.close()
    assert all(attempt.outcome == "acknowledged" for attempt in load.history)
    assert violations(load.history, applied(store)) == []
    store.close()


@pytest.mark.fault("full disk")
@pytest.mark.postgres
def test_a_full_disk_under_postgresql(tmp_path: Path) -> None:
    """A transaction that does not fit is taken back and tried again until there is room."""
    if postgres_programs() is None:
        pytest.skip("no PostgreSQL programs: install PostgreSQL")
    with (
        TemporaryDirectory(prefix="quickset-disk-") as outer,
        small_disk(Path(outer) / "disk", 160) as disk,
    ):
        Path(outer).chmod(0o755)  # PostgreSQL runs as another user
        server = PostgresServer(disk.folder / "postgres")
        server.start()
        try:
            _fill_under_postgresql(server, disk, tmp_path)
        finally:
            server.stop()


def _fill_under_postgresql(server: PostgresServer, disk: SmallDisk, home: Path) -> None:
    settings = StreamsSettings(home=home, store=fresh_database(server.url))
    store, log = open_store(settings), open_log(settings)
    spool = Spool(home / "spool", log, settings)
    load, applier = SpooledLoad(spool), Applier(open_log(settings), store)
    traffic = Working(load.step)
    learner = Working(lambda: applier.step(max_records=10))
    until(lambda: num_applied(store) > 100, "the load is used")
    disk.fill()
    ahead = len(load.history)
    until(lambda: applier.refused > 2, "the database refuses")
    until(lambda: len(load.history) > ahead + 100, "the agent goes on")
    disk.free()
    server.start()  # if it gave up; otherwise it runs on
    until(used_further(store), "the load is used again")
    traffic.stop()
    assert spool.wait_drained(LIMIT_S)
    learner.stop()
    drain(applier, store, load.history)
    spool.close()
    log.close()
    assert violations(load.history, applied(store)) == []
    store.close()


class WallClock:
    """The wall clock of another process, which can be set while it runs (libfaketime)."""

    def __init__(self, member: Member, file: Path) -> None:
        """Put it into a process that starts later; it is right at first."""
        self._file = file
        self.jump(0)
        member.environ |= {
            "LD_PRELOAD": str(FAKETIME[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, by_s: int) -> None:
        """Set it so far from the true time."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{by_s:+d}\n")
        new.replace(self._file)  # never half written


@pytest.mark.fault("clock jump")
def test_clocks_that_jump_cost_nothing(stack: Stack, tiny_dir: Path, tmp_path: Path) -> None:
    """Agent and learner, years ahead or behind, together or apart: corrections make versions."""
    if not FAKETIME:
        pytest.skip("setting a process's clock needs libfaketime: install Debian's faketime")
    streams = stack("jumps")
    settings = {f"streams.{k}": str(v) for k, v in streams.model_dump(exclude_none=True).items()}
    settings |= {"model.path": str(tiny_dir), "streams.retention_days": "30"}
    with fleet(tmp_path, {"agent": "agent", "learner": "learner"}, settings) as members:
        agent, learner = members["agent"], members["learner"]
        clocks = [WallClock(m, tmp_path / f"{name}.clock") for name, m in members.items()]
        agent.start()
        learner.start()
        versions: list[str] = []
        for jumps in ((0, 0), (3, 0), (3, -3), (-5, 5), (0, 0)):
            for clock, years in zip(clocks, jumps, strict=True):
                clock.jump(years * YEAR_S)
            corrected = agent.correct(f"What is {jumps}?", "That was too long. Shorter, please.")
            versions += agent.said(rf"swap: (\w+) serves after {corrected}")
        status = agent.quickset("streams", "status")
        turns = agent.quickset("turns")
        assert len(set(versions)) == 5
        assert status["dead_letters"] == 0
        assert status["leases"][0]["epoch"] == 1, "the learner kept its lease"
        assert len(turns) == 10
        assert [member.stop() for member in members.values()] == [0, 0]
