"""Faults of the machines below: a disk that is really full, clocks that really jump."""

import gc
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from streams.log.contract import Outgoing
from streams.open import init_streams, open_log
from streams.settings import StreamsSettings
from streams.spool.spool import Spool
from tests.flow.conftest import Stack, open_impatient
from tests.flow.disk import SmallDisk, small_disk
from tests.flow.fleet import Process, fleet
from tests.flow.load import Traffic, until
from tests.kafka_broker import KafkaBroker, kafka_home
from tests.postgres_server import PostgresServer, fresh_database, postgres_programs
from tests.streams.spool.test_spool import GatedLog

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


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.fault("full disk")
def test_a_full_disk_under_log_store_and_spool(tmp_path: Path) -> None:
    """What was refused is counted, what was acknowledged is used once, room again is enough."""
    with small_disk(tmp_path / "disk", 24) as disk:
        traffic = Traffic(StreamsSettings(home=disk.folder), open_log)
        used, depth = traffic.used(50), traffic.spool.depth
        for _ in range(2):
            until(used, "the load is used")
            refused = depth().dropped
            disk.fill()
            until(
                lambda refused=refused: depth().dropped > refused + 5,  # type: ignore[misc]
                "records are refused",
            )
            disk.free()
            used = traffic.used(50)
        until(used, "the load is used again")
        assert traffic.settle() == []
        assert depth().dropped == sum(a.outcome == "unknown" for a in traffic.load.history)


@pytest.mark.fault("full disk")
def test_a_spool_is_opened_on_a_full_disk(tmp_path: Path) -> None:
    """What waits in it is known, an operator's rollback too, and reaches the log when it can."""
    records = [Outgoing("turns", "s", "turn", b"v"), Outgoing("rollouts", "main", "back", b"v")]
    with small_disk(tmp_path / "disk", 4) as disk:
        settings, away = StreamsSettings(home=disk.folder), GatedLog()
        spool = Spool(disk.folder, away, settings)  # type: ignore[arg-type]
        assert spool.put(records).result(30)
        spool.close(drain_s=0)
        disk.fill()
        here = GatedLog()
        here.here.set()
        spool = Spool(disk.folder, here, settings)  # type: ignore[arg-type]
        assert (spool.left, spool.depth().records) == (records[1:], 2)
        assert not spool.put([Outgoing("turns", "s", "next", b"v")]).result(30)
        disk.free()
        assert spool.wait_drained(30)
        assert here.taken == records
        spool.close()


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
    traffic = Traffic(settings, open_impatient)
    until(traffic.used(100), "the load is used")
    disk.fill()
    until(lambda: traffic.spool.depth().log_away is not None, "the spool notices")
    until(lambda: traffic.spool.depth().records > 200, "the spool grows")
    disk.free()
    broker.kill()  # what is left of it
    broker.start()
    until(lambda: traffic.spool.depth().log_away is None, "the spool finds the broker")
    assert traffic.settle() == []
    assert all(attempt.outcome == "acknowledged" for attempt in traffic.load.history)


@pytest.mark.slow
@pytest.mark.timeout(600)
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
    traffic = Traffic(StreamsSettings(home=home, store=fresh_database(server.url)), open_log)
    until(traffic.used(100), "the load is used")
    disk.fill()
    ahead = len(traffic.load.history)
    until(lambda: traffic.listener.refused > 2, "the database refuses")
    until(lambda: len(traffic.load.history) > ahead + 100, "the agent goes on")
    disk.free()
    server.start()  # if it gave up; otherwise it runs on
    until(traffic.used(50), "the load is used again")
    assert traffic.settle() == []


class WallClock:
    """The wall clock of another process, which can be set while it runs (libfaketime)."""

    def __init__(self, member: Process, file: Path) -> None:
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


@pytest.mark.slow
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
