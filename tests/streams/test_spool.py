"""The spool: durable at once, drained in order, bounded, and it never loses count."""

import errno
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from streams.errors import LogUnavailableError, RecordTooLargeError
from streams.log import dead_letters
from streams.log.contract import Log, Outgoing
from streams.log.sqlite import SqliteLog
from streams.settings import StreamsSettings
from streams.spool import Spool
from streams.spool_files import SpoolFiles


def made(number: int, size: int = 100) -> Outgoing:
    return Outgoing(topic="turns", key=f"key {number % 3}", id=f"id-{number}", value=b"v" * size)


class GatedLog:
    """A log that is away until it is let in, and remembers what it was given."""

    def __init__(self, *, max_record_bytes: int = 2**20) -> None:
        self.taken: list[Outgoing] = []
        self.here = threading.Event()
        self.asked = threading.Event()
        self._max_record_bytes = max_record_bytes

    def append(self, records: Iterable[Outgoing]) -> None:
        self.asked.set()
        if not self.here.is_set():
            raise LogUnavailableError("the broker is away")
        batch = list(records)
        if any(len(record.value) > self._max_record_bytes for record in batch):
            raise RecordTooLargeError("too large")
        self.taken += batch

    def ids(self) -> list[str]:
        return [record.id for record in self.taken]


def settings(**values: object) -> StreamsSettings:
    return StreamsSettings.model_validate({"max_record_bytes": 2**16, **values})


def opened(folder: Path, log: GatedLog, **values: object) -> Spool:
    return Spool(folder, log, settings(**values))  # type: ignore[arg-type]


def test_records_reach_the_log_in_order(tmp_path: Path) -> None:
    """With the log there, everything is drained in the order of the calls."""
    log = GatedLog()
    log.here.set()
    spool = opened(tmp_path, log)
    kept = [spool.put([made(number), made(number + 1)]) for number in range(0, 500, 2)]
    assert all(future.result(30) for future in kept)
    assert spool.wait_drained(30)
    assert log.ids() == [f"id-{number}" for number in range(500)]
    assert (spool.depth().records, spool.depth().drained, spool.depth().dropped) == (0, 500, 0)
    spool.close()


def test_a_record_is_safe_while_the_log_is_away(tmp_path: Path) -> None:
    """The future says so at once, the depth says why it waits, and it arrives later."""
    log = GatedLog()
    spool = opened(tmp_path, log)
    assert spool.put([made(0)]).result(30)
    assert log.asked.wait(30)
    assert spool.depth().records == 1
    assert not spool.wait_drained(0.01)
    log.here.set()
    assert spool.wait_drained(30)
    assert log.ids() == ["id-0"]
    assert spool.depth().log_away is None
    spool.close()


def test_what_is_spooled_survives_a_restart(tmp_path: Path) -> None:
    """A second process drains what the first could not, before what comes new."""
    away = GatedLog()
    spool = opened(tmp_path, away)
    assert spool.put([made(number) for number in range(10)]).result(30)
    spool.close(drain_s=0)
    assert away.ids() == []
    log = GatedLog()
    log.here.set()
    spool = opened(tmp_path, log)
    assert spool.put([made(10)]).result(30)
    assert spool.wait_drained(30)
    assert log.ids() == [f"id-{number}" for number in range(11)]
    spool.close()


def test_two_processes_have_a_spool_each_and_leftovers_are_drained(tmp_path: Path) -> None:
    """A second spool takes another folder; when both are gone, one successor drains both."""
    first, second = opened(tmp_path, GatedLog()), opened(tmp_path, GatedLog())
    assert first.put([made(1)]).result(30)
    assert second.put([made(2)]).result(30)
    first.close(drain_s=0)
    second.close(drain_s=0)
    log = GatedLog()
    log.here.set()
    successor = opened(tmp_path, log)
    assert successor.wait_drained(30)
    assert sorted(log.ids()) == ["id-1", "id-2"]
    successor.close()


def put_for_ever(folder: Path, log_path: Path, kept: "multiprocessing.Queue[int]") -> None:
    spool = Spool(folder, SqliteLog(log_path), settings())
    number = 0
    while True:
        if spool.put([made(number)]).result():
            kept.put(number)
        number += 1


@pytest.mark.fault("kill -9 of an agent's spool")
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """After a kill at any moment, each acknowledged record is in the log once its successor ran."""
    path = tmp_path / "log.db"
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    writer = context.Process(target=put_for_ever, args=(tmp_path / "spool", path, queue))
    writer.start()
    last = [queue.get(timeout=60) for _ in range(200)][-1]
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    log = SqliteLog(path)
    spool = Spool(tmp_path / "spool", log, settings())
    assert spool.wait_drained(30)
    spool.close()
    ids = first_deliveries(log)
    log.close()
    assert ids == [f"id-{number}" for number in range(len(ids))]
    assert len(ids) > last


def first_deliveries(log: Log) -> list[str]:
    """Give the ids in the log, a repeated one only once."""
    subscription = log.subscribe(["turns"], group=None, positions=lambda _: {})
    ids: dict[str, None] = {}
    while entries := subscription.poll(wait_s=0):
        ids |= dict.fromkeys(entry.id for entry in entries)
    subscription.close()
    return list(ids)


@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest"])
def test_a_full_spool_drops_as_settings_say_and_counts(tmp_path: Path, policy: str) -> None:
    """What arrives and what was dropped add up to what was put; the order is kept."""
    log = GatedLog()
    spool = opened(tmp_path, log, spool_bytes=2**16, spool_when_full=policy)
    futures = [spool.put([made(number, size=1000)]) for number in range(200)]
    kept = [future.result(30) for future in futures]
    depth = spool.depth()
    assert depth.num_bytes <= 2**16
    assert depth.records + depth.dropped == 200
    assert depth.dropped > 100
    log.here.set()
    assert spool.wait_drained(30)
    numbers = [int(id.removeprefix("id-")) for id in log.ids()]
    assert numbers == sorted(numbers)
    assert len(numbers) + depth.dropped == 200
    if policy == "drop-oldest":
        assert all(kept)
        # The newest are there without a gap; before them, at most the segment that was on its way
        # to the log when its turn to be dropped came.
        gaps = sum(later != earlier + 1 for earlier, later in pairwise(numbers))
        assert numbers[-1] == 199
        assert gaps <= 1
    else:
        assert numbers == [number for number in range(200) if kept[number]]
        assert numbers == list(range(len(numbers)))
    spool.close()


@pytest.mark.fault("full disk")
def test_a_full_disk_is_counted_and_said_and_passes(tmp_path: Path) -> None:
    """No space left: the future says False; with space again, records are kept again."""
    full = threading.Event()

    def write(file: int, data: bytes) -> int:
        if full.is_set():
            os.write(file, data[: len(data) // 2])  # a full disk takes a part first
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(file, data)

    log = GatedLog()
    values = settings(spool_when_full="drop-newest")
    spool = Spool(tmp_path, log, values, write=write)  # type: ignore[arg-type]
    assert spool.put([made(0)]).result(30)
    full.set()
    assert not spool.put([made(1)]).result(30)
    full.clear()
    assert spool.put([made(2)]).result(30)
    assert spool.depth().dropped == 1
    log.here.set()
    assert spool.wait_drained(30)
    assert log.ids() == ["id-0", "id-2"]
    spool.close()


def test_a_disk_that_cannot_sync_promises_nothing(tmp_path: Path) -> None:
    """After a failed sync nobody knows what is on the disk: the future says False."""

    def sync(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    spool = Spool(tmp_path, GatedLog(), settings(), sync=sync)  # type: ignore[arg-type]
    assert not spool.put([made(0)]).result(30)
    assert spool.depth().dropped == 1
    spool.close(drain_s=0)


class Disk:
    """A disk that keeps what was synced, and whose syncs may fail; seen through one's calls."""

    def __init__(self, failing: set[int]) -> None:
        self._failing = failing
        self._syncs = 0
        self._synced: dict[str, int] = {}  # up to where a sync has tried
        self._lost: dict[str, list[tuple[int, int]]] = {}  # what a failed sync threw away
        self.durable: dict[str, bytes] = {}

    def sync(self, file: int) -> None:
        """Make a file durable; or lose what was new, as Linux does, and say so this once."""
        path = Path(f"/proc/self/fd/{file}").readlink()
        content, before = path.read_bytes(), self._synced.get(path.name, 0)
        self._syncs += 1
        self._synced[path.name] = len(content)
        if self._syncs in self._failing:
            self._lost.setdefault(path.name, []).append((before, len(content)))
            raise OSError(errno.EIO, "the disk failed")
        kept = bytearray(content)
        for start, end in self._lost.get(path.name, []):
            kept[start:end] = bytes(len(kept[start:end]))
        self.durable[path.name] = bytes(kept)

    def cut_power(self, folder: Path) -> None:
        """Leave in a folder what the disk has kept."""
        for path in folder.glob("*.spool"):
            path.write_bytes(self.durable.get(path.name, b""))


@given(
    batches=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    size=st.integers(0, 400),
    failing=st.sets(st.integers(1, 40), max_size=6),
)
@example(batches=[1, 1, 1, 9, 9, 9, 9, 9, 1], size=299, failing={19})  # a hole of zeros
@examples(max_examples=200, deadline=None)
def test_a_power_cut_loses_nothing_that_was_promised(
    tmp_path_factory: pytest.TempPathFactory, batches: list[int], size: int, failing: set[int]
) -> None:
    """Over however many files a batch goes, and whichever syncs failed before or between."""
    folder = tmp_path_factory.mktemp("spool")
    disk, numbers, promised = Disk(failing), iter(range(1000)), []
    files = SpoolFiles(folder, max_bytes=16 * 1024, drop_oldest=False, sync=disk.sync)
    for count in batches:
        records = [made(next(numbers), size) for _ in range(count)]
        kept = files.append(records)
        promised += [record.id for record, safe in zip(records, kept, strict=True) if safe]
    assert files.dropped == sum(batches) - len(promised)
    files.close()
    disk.cut_power(folder)
    assert [id for id in ids_in(folder) if id in promised] == promised


def ids_in(folder: Path) -> list[str]:
    """Read the spool of a folder to its end."""
    files, ids = SpoolFiles(folder, max_bytes=2**20, drop_oldest=False), []
    while (batch := files.peek(max_records=7, max_bytes=2**20)) is not None:
        ids += [record.id for record in batch.records]
        files.release(batch, drained=True)
    files.close()
    return ids


@given(room=st.integers(0, 6000))
@examples(max_examples=50, deadline=None)
def test_a_disk_that_fills_while_somebody_is_forgotten_loses_nobody_else(
    tmp_path_factory: pytest.TempPathFactory, room: int
) -> None:
    """Either all of theirs is gone, or everything is as it was; what comes then is kept, too."""
    folder, left = tmp_path_factory.mktemp("spool"), None

    def write(file: int, data: bytes) -> int:
        nonlocal left
        if left is not None:
            if left < len(data):
                raise OSError(errno.ENOSPC, "no space left on device")
            left -= len(data)
        return os.write(file, data)

    files = SpoolFiles(folder, max_bytes=16 * 512, drop_oldest=False, write=write)
    assert all(files.append([made(number) for number in range(30)]))
    before, left = files.num_records, room
    try:
        gone = files.forget(lambda record: record.key == "key 1")
    except OSError:
        gone = 0
    left = None
    assert files.num_records == before - gone
    assert all(files.append([made(number) for number in range(30, 40)]))
    files.close()
    kept = [number for number in range(40) if not gone or number >= 30 or number % 3 != 1]
    assert ids_in(folder) == [f"id-{number}" for number in kept]


def test_a_record_that_is_too_large_is_buried_and_holds_up_nobody(tmp_path: Path) -> None:
    """Its dead letter takes its place, and the records round it arrive."""
    log = GatedLog(max_record_bytes=2**16)
    log.here.set()
    spool = opened(tmp_path, log)
    assert spool.put([made(0), made(1, size=2**16 + 1), made(2)]).result(30)
    assert spool.wait_drained(30)
    topics = [(record.topic, record.id) for record in log.taken]
    assert [id for topic, id in topics if topic == "turns"] == ["id-0", "id-2"]
    assert [topic for topic, _ in topics].count(dead_letters.TOPIC) == 1
    assert all(len(record.value) <= 2**16 for record in log.taken)
    spool.close()


def test_a_closed_spool_refuses_and_counts(tmp_path: Path) -> None:
    """What comes after close is not silently lost."""
    spool = opened(tmp_path, GatedLog())
    spool.close(drain_s=0)
    assert not spool.put([made(0)]).result(0)
    assert spool.depth().dropped == 1


@examples(deadline=None)
@given(cut=st.integers(0, 400), flip=st.integers(0, 399))
def test_whatever_a_crash_does_to_the_end_the_rest_is_read(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int
) -> None:
    """A segment that is cut or flipped anywhere gives its whole frames up to there, in order."""
    folder = tmp_path_factory.mktemp("spool")
    files = SpoolFiles(folder, max_bytes=2**20, drop_oldest=True)
    files.append([made(number, size=30) for number in range(6)])
    files.close()
    [segment] = folder.glob("*.spool")
    content = bytearray(segment.read_bytes())
    content = content[: max(0, len(content) - cut)]
    if flip < len(content):
        content[flip] ^= 0xFF
    segment.write_bytes(content)
    files = SpoolFiles(folder, max_bytes=2**20, drop_oldest=True)
    files.append([made(99)])
    batch = files.peek(max_records=100, max_bytes=2**20)
    files.close()
    assert batch is not None
    *whole, last = [record.id for record in batch.records]
    assert last == "id-99"
    assert whole == [f"id-{number}" for number in range(len(whole))]


def test_a_position_that_was_not_written_only_repeats(tmp_path: Path) -> None:
    """A crash between log and position drains again; nothing is skipped."""
    files = SpoolFiles(tmp_path, max_bytes=2**20, drop_oldest=True)
    files.append([made(number) for number in range(4)])
    batch = files.peek(max_records=2, max_bytes=2**20)
    assert batch is not None
    files.release(batch, drained=True)
    files.close()
    files = SpoolFiles(tmp_path, max_bytes=2**20, drop_oldest=True)
    again = files.peek(max_records=10, max_bytes=2**20)
    assert again is not None
    assert [record.id for record in again.records] == ["id-2", "id-3"]
    files.close()
    (tmp_path / "drained").write_bytes(b"torn")
    files = SpoolFiles(tmp_path, max_bytes=2**20, drop_oldest=True)
    assert files.num_records == 4
    files.close()
