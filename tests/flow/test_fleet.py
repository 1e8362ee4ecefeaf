"""Agents and one learner as separate processes reach the same bits, however late they start."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from streams.open import init_streams
from streams.settings import StreamsSettings
from streams.store.store import open_store
from tests.flow.fleet import LIMIT_S, Process, fleet
from tests.kafka_broker import KafkaBroker
from tests.postgres_server import PostgresServer, fresh_database

pytestmark = pytest.mark.timeout(600)  # starts torch in several processes, on few cores

NAMES = {"first": "agent", "second": "agent", "learner": "learner"}
CORRECTION = "That was far too long. Shorter, please."


def teach(agent: Process, question: str) -> str:
    """Correct a reply until a version comes of it, and return that version's name."""
    before = agent.correct(question, CORRECTION)
    return agent.said(rf"swap: (\w+) serves after {before}")[0]


def damage(snapshot: Path) -> None:
    """Flip one bit of a file."""
    content = bytearray(snapshot.read_bytes())
    content[-3] ^= 1
    snapshot.write_bytes(content)


def newest(folder: Path) -> Path:
    """Return the snapshot that was written last."""
    return max(folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime_ns)


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited until {what}"
        time.sleep(0.05)


def show_how_they_are(agent: Process) -> None:
    """`streams status` and the console tell lag, lease, spools and dead letters alike."""
    status = agent.quickset("streams", "status")
    assert {row["topic"] for row in status["lags"] if row["group"] == "learner/main"} >= {"turns"}
    assert [lease["name"] for lease in status["leases"]] == ["learner/main"]
    assert status["dead_letters"] == 0
    assert sum(spool["dropped"] for spool in status["spools"]) == 0
    # A page is answered within a second, with or without a store or log that takes longer.
    until(lambda: "learner" in agent.operator("state"), "the console has read store and log")
    shown = agent.operator("state")
    assert shown["learner"]["lag"]["learner/main"]["turns"] >= 0
    assert [lease["name"] for lease in shown["learner"]["leases"]] == ["learner/main"]
    assert shown["learner"]["dead_letters"] == 0
    assert (shown["spool"]["dropped"], shown["spool"]["log_away"]) == (0, None)


def live_through_it(members: dict[str, Process], snapshots: Path) -> None:
    """Teach, start an agent late, kill and damage, and compare the bits at each step."""
    first, second, learner = members["first"], members["second"], members["learner"]
    first.start()
    learner.start()
    one = teach(first, "What is the capital of France?")
    two = teach(first, "Tell me about the weather.")
    assert two != one
    until(lambda: (snapshots / f"{two}.safetensors").exists(), "the snapshot is written")

    second.start()  # late: it has seen neither version come
    assert second.serves(two) == first.serves(two)

    second.stop(signal.SIGKILL)
    learner.stop(signal.SIGKILL)
    learner.start()
    three = teach(first, "Say something.")
    until(lambda: (snapshots / f"{three}.safetensors").exists(), "the snapshot is written")
    damage(newest(snapshots))
    second.start()  # it was away, and the newest snapshot is not what it was
    assert second.serves(three) == first.serves(three)
    assert "it is not used, and the ledger is" in second.text

    show_how_they_are(first)
    learner.stop(signal.SIGKILL)
    learner.start()  # begins at a snapshot, too
    four = teach(second, "Something else.")
    assert second.serves(four) == first.serves(four)
    assert [member.stop() for member in members.values()] == [0, 0, 0]


@pytest.mark.slow
def test_an_embedded_fleet_reaches_the_same_bits(tiny_dir: Path, tmp_path: Path) -> None:
    """Two agents and a learner over one folder: a late one, a killed one, a damaged snapshot."""
    home = tmp_path / "home"
    settings = {
        "streams.home": str(home),
        "streams.snapshot_every": "1",
        "model.path": str(tiny_dir),
    }
    with fleet(tmp_path, NAMES, settings) as members:
        live_through_it(members, home / "snapshots")


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.slow
def test_a_fleet_on_kafka_and_postgresql_reaches_the_same_bits(
    tiny_dir: Path, tmp_path: Path, broker: KafkaBroker, server: PostgresServer
) -> None:
    """The same, with a home each, as on machines of their own; snapshots are on a shared volume."""
    database, prefix = fresh_database(server.url), f"{uuid4().hex[:8]}."
    streams = StreamsSettings(
        home=tmp_path, log=broker.url, store=database, topic_prefix=prefix, partitions=4
    )
    init_streams(streams)
    open_store(streams).close()
    settings = {
        "streams.home": str(tmp_path / "{name}" / "home"),
        "streams.log": broker.url,
        "streams.store": database,
        "streams.topic_prefix": prefix,
        "streams.partitions": "4",
        "streams.snapshots": str(tmp_path / "shared"),
        "streams.snapshot_every": "1",
        "model.path": str(tiny_dir),
    }
    with fleet(tmp_path, NAMES, settings) as members:
        live_through_it(members, tmp_path / "shared")
