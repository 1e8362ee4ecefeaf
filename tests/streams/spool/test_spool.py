"""The spool: durable at once, drained in order, bounded, and it never loses count."""

import multiprocessing
import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from streams.errors import LogUnavailableError, RecordTooLargeError, SpoolUnavailableError
from streams.log import dead_letters
from streams.log.contract import Log, Outgoing
from streams.log.sqlite import SqliteLog
from streams.open import open_log, open_spool
from streams.records import DeadLetter, decode
from streams.settings import StreamsSettings
from streams.spool.spool import QUEUE_RECORDS, Spool
from tests.files import on_disk
from tests.sqlite_disk import Disk


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


def opened(folder: Path, log: GatedLog, *, direct: bool = False, **values: object) -> Spool:
    append = log.append if direct else None
    return Spool(folder, log, settings(**values), direct=append)  # type: ignore[arg-type]


both_ways = pytest.mark.parametrize("direct", [False, True], ids=["by way of the file", "directly"])


@both_ways
def test_records_reach_the_log_in_order(tmp_path: Path, direct: bool) -> None:
    """With the log there, everything is drained in the order of the calls."""
    log = GatedLog()
    log.here.set()
    spool = opened(tmp_path, log, direct=direct)
    kept = [spool.put([made(number), made(number + 1)]) for number in range(0, 500, 2)]
    assert all(future.result(30) for future in kept)
    assert spool.wait_drained(30)
    assert log.ids() == [f"id-{number}" for number in range(500)]
    assert (spool.depth().records, spool.depth().drained, spool.depth().dropped) == (0, 500, 0)
    spool.close()


@both_ways
def test_a_record_is_safe_while_the_log_is_away(tmp_path: Path, direct: bool) -> None:
    """The future says so at once, the depth says why it waits, and it arrives later."""
    log = GatedLog()
    spool = opened(tmp_path, log, direct=direct)
    assert spool.put([made(0)]).result(30)
    assert log.asked.wait(30)
    assert spool.depth().records == 1
    assert not spool.wait_drained(0.01)
    log.here.set()
    assert spool.wait_drained(30)
    assert log.ids() == ["id-0"]
    assert spool.depth().log_away is None
    spool.close()


@both_ways
def test_a_caller_that_gives_up_stops_nothing(tmp_path: Path, direct: bool) -> None:
    """What it handed over is kept, and so is what others hand over after it."""
    log = GatedLog()
    spool = opened(tmp_path, log, direct=direct)
    left = spool.put([made(0)])
    assert not left.cancel()
    assert left.result(30)
    assert spool.put([made(1)]).result(30)
    log.here.set()
    assert spool.wait_drained(30)
    assert log.ids() == ["id-0", "id-1"]
    spool.close()


def test_a_caller_that_settles_its_future_itself_stops_nothing(tmp_path: Path) -> None:
    """The next records are kept, and what shared its way to the disk, too."""
    log, writing, go_on = GatedLog(), threading.Event(), threading.Event()
    log.here.set()

    def slowly(records: Iterable[Outgoing]) -> None:
        writing.set()
        assert go_on.wait(30)
        log.append(records)

    spool = Spool(tmp_path, log, settings(), direct=slowly)  # type: ignore[arg-type]
    first = spool.put([made(0)])
    assert writing.wait(30)
    first.set_result(False)
    others = [spool.put([made(number)]) for number in (1, 2)]
    go_on.set()
    assert all(each.result(30) for each in others)
    assert log.ids() == ["id-0", "id-1", "id-2"]
    spool.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_spool_whose_writer_has_died_refuses_and_counts(tmp_path: Path) -> None:
    """Nobody waits for what will never be kept, and the depth says that it was dropped."""

    class Died(BaseException):
        pass

    def die(_: Iterable[Outgoing]) -> None:
        raise Died

    spool = Spool(tmp_path, GatedLog(), settings(), direct=die)  # type: ignore[arg-type]
    spool.put([made(0)])
    for thread in threading.enumerate():
        if thread.name == "spool-write":
            thread.join(30)
    assert spool.put([made(1), made(2)]).result(30) is False
    assert spool.depth().dropped == 2
    spool.close(drain_s=0)


@both_ways
def test_what_is_spooled_survives_a_restart(tmp_path: Path, direct: bool) -> None:
    """A second process drains what the first could not, before what comes new."""
    away = GatedLog()
    spool = opened(tmp_path, away, direct=direct)
    assert spool.put([made(number) for number in range(10)]).result(30)
    spool.close(drain_s=0)
    assert away.ids() == []
    log = GatedLog()
    log.here.set()
    spool = opened(tmp_path, log, direct=direct)
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


def open_one(home: Path, direct: bool) -> tuple[SqliteLog, Spool]:
    log = open_log(settings(home=home))
    assert isinstance(log, SqliteLog)
    if direct:
        return log, open_spool(settings(home=home), log)
    return log, Spool(home / "spool", log, settings())


def put_for_ever(home: Path, direct: bool, kept: "multiprocessing.Queue[int]") -> None:
    _, spool = open_one(home, direct)
    number = 0
    while True:
        if spool.put([made(number)]).result():
            kept.put(number)
        number += 1


@pytest.mark.fault("kill -9 of an agent's spool")
@both_ways
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, direct: bool) -> None:
    """After a kill at any moment, each acknowledged record is in the log once its successor ran."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    writer = context.Process(target=put_for_ever, args=(tmp_path, direct, queue))
    writer.start()
    last = [queue.get(timeout=60) for _ in range(200)][-1]
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    log, spool = open_one(tmp_path, direct)
    assert spool.wait_drained(30)
    spool.close()
    ids = first_deliveries(log)
    log.close()
    assert ids == [f"id-{number}" for number in range(len(ids))]
    assert len(ids) > last


def first_deliveries(log: Log) -> list[str]:
    """Return the ids in the log, a repeated one only once."""
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
        # The newest are there without a gap; before them, at most the batch that was on its way to
        # the log when its turn to be dropped came.
        gaps = sum(later != earlier + 1 for earlier, later in pairwise(numbers))
        assert numbers[-1] == 199
        assert gaps <= 1
    else:
        assert numbers == [number for number in range(200) if kept[number]]
        assert numbers == list(range(len(numbers)))
    spool.close()


@pytest.mark.fault("full disk")
@both_ways
def test_a_full_disk_is_counted_and_said_and_passes(tmp_path: Path, direct: bool) -> None:
    """No space left: the future says False; with space again, records are kept again."""
    disk = Disk()
    with disk.installed():
        log, spool = open_one(tmp_path, direct)
        assert spool.put([made(0)]).result(30)
        assert spool.wait_drained(30)
        disk.room = 1000  # a full disk takes a part first
        assert not spool.put([made(1)]).result(30)
        disk.room = None
        assert spool.put([made(2)]).result(30)
        assert spool.depth().dropped == 1
        assert spool.wait_drained(30)
        assert first_deliveries(log) == ["id-0", "id-2"]
        spool.close()
        log.close()


@both_ways
def test_a_disk_that_cannot_sync_promises_nothing(tmp_path: Path, direct: bool) -> None:
    """After a failed sync nobody knows what is on the disk: the future says False."""
    disk = Disk()
    with disk.installed():
        log, spool = open_one(tmp_path, direct)
        disk.broken = True
        assert not spool.put([made(0)]).result(30)
        assert spool.depth().dropped == 1
        disk.broken = False
        spool.close(drain_s=0)
        log.close()


def test_before_the_embedded_log_a_record_lies_on_disk_once(tmp_path: Path) -> None:
    """It is in the log's files, and never was in the spool's."""
    log, spool = open_one(tmp_path, direct=True)
    record = Outgoing("turns", "k", "id", b"the-blue-heron")
    assert spool.put([record]).result(30)
    assert on_disk(tmp_path / "spool").count(record.value) == 0
    assert on_disk(tmp_path).count(record.value) == 1
    assert (spool.depth().records, spool.depth().drained) == (0, 1)
    spool.close()
    log.close()


@contextmanager
def writing(log: SqliteLog) -> Iterator[None]:
    """Write to a log's file, as another process would, without an end."""
    with closing(sqlite3.connect(log.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def test_a_log_that_somebody_writes_to_for_long_holds_up_nobody(tmp_path: Path) -> None:
    """Records are kept aside meanwhile, and nothing that comes later overtakes them."""
    log, ids = SqliteLog(tmp_path / "log.db"), [f"id-{number}" for number in range(30)]
    direct: Callable[[Iterable[Outgoing]], None] = partial(log.append, busy_s=0.05)
    spool = Spool(tmp_path / "spool", log, settings(), direct=direct)
    assert spool.put([made(number) for number in range(10)]).result(30)
    with writing(log):
        assert spool.put([made(number) for number in range(10, 20)]).result(30)
        assert first_deliveries(log) == ids[:10]
        assert "cannot be used now" in str(spool.depth().log_away)
    futures = [spool.put([made(number)]) for number in range(20, 30)]
    assert all(future.result(30) for future in futures)
    assert spool.wait_drained(30)
    assert first_deliveries(log) == ids
    assert spool.depth().log_away is None
    spool.close()
    log.close()


def test_what_comes_faster_than_the_disk_takes_it_is_refused_and_counted(tmp_path: Path) -> None:
    """So that a disk that hangs does not fill the memory."""
    log = SqliteLog(tmp_path / "log.db")
    spool = Spool(tmp_path / "spool", log, settings(), direct=log.append)
    with writing(log):
        first = spool.put([made(0)])
        waiting = spool.put([made(1)] * (QUEUE_RECORDS - 1))
        assert not spool.put([made(2)]).result(0)
        assert spool.depth().records == QUEUE_RECORDS
    assert first.result(30)
    assert waiting.result(30)
    assert spool.depth().dropped == 1
    spool.close()
    log.close()


@both_ways
def test_a_record_that_is_too_large_becomes_a_dead_letter_and_holds_up_nobody(
    tmp_path: Path, direct: bool
) -> None:
    """Its dead letter takes its place, and the records round it arrive."""
    log = GatedLog(max_record_bytes=2**16)
    log.here.set()
    spool = opened(tmp_path, log, direct=direct)
    assert spool.put([made(0), made(1, size=2**16 + 1), made(2)]).result(30)
    assert spool.wait_drained(30)
    topics = [(record.topic, record.id) for record in log.taken]
    assert [id for topic, id in topics if topic == "turns"] == ["id-0", "id-2"]
    assert [topic for topic, _ in topics].count(dead_letters.TOPIC) == 1
    assert all(len(record.value) <= 2**16 for record in log.taken)
    spool.close()


@both_ways
def test_a_record_that_only_the_broker_refuses_holds_up_nobody(
    tmp_path: Path, direct: bool
) -> None:
    """Its topics take less than our settings say: its letter is cut until it is taken."""
    log = GatedLog(max_record_bytes=5_000)
    log.here.set()
    spool = opened(tmp_path, log, direct=direct)
    assert spool.put([made(0), made(1, size=30_000), made(2)]).result(30)
    assert spool.wait_drained(30)
    assert [record.id for record in log.taken if record.topic == "turns"] == ["id-0", "id-2"]
    [letter] = (decode(each.value) for each in log.taken if each.topic == dead_letters.TOPIC)
    assert isinstance(letter, DeadLetter)
    assert (letter.record_id, letter.payload_bytes) == ("id-1", 30_000)
    assert len(dead_letters.payload(letter)) > 1_000
    spool.close()


def test_a_closed_spool_refuses_and_counts(tmp_path: Path) -> None:
    """What comes after close is not silently lost."""
    spool = opened(tmp_path, GatedLog())
    spool.close(drain_s=0)
    assert not spool.put([made(0)]).result(0)
    assert spool.depth().dropped == 1


def test_a_start_says_which_rollouts_earlier_processes_left(tmp_path: Path) -> None:
    """In order, of every folder, also when the log takes them at once."""
    away = GatedLog()
    first, second = opened(tmp_path, away), opened(tmp_path, away)
    assert (first.left, second.left) == ([], [])
    for number, (spool, topic) in enumerate(
        [(first, "turns"), (first, "rollouts"), (first, "rollouts"), (second, "rollouts")]
    ):
        record = Outgoing(topic=topic, key="main", id=f"id-{number}", value=b"v")  # type: ignore[arg-type]
        assert spool.put([record]).result(30)
    for spool in (first, second):
        spool.close(drain_s=0)
    here = GatedLog()
    here.here.set()
    later = opened(tmp_path, here)
    assert sorted(record.id for record in later.left) == ["id-1", "id-2", "id-3"]
    assert later.wait_drained(30)
    later.close()
    after = opened(tmp_path, here)
    assert after.left == []
    after.close()


@contextmanager
def full(*folders: Path) -> Iterator[None]:
    """Leave no room beside a spool's file, which it needs to be opened."""
    places = [folder / "waiting.db-shm" for folder in folders]
    for place in places:
        place.symlink_to(place.with_name("nowhere"))
    yield
    for place in places:
        place.unlink()


@both_ways
def test_what_waits_where_nothing_can_be_opened_is_known_and_not_overtaken(
    tmp_path: Path, direct: bool
) -> None:
    """It is drained when there is room again, before what comes then, and without a put."""
    before = [opened(tmp_path, GatedLog()) for _ in range(2)]
    for number, (each, verb) in enumerate(zip(before, ("rollback", "reset"), strict=True)):
        assert each.put([made(number), Outgoing("rollouts", "main", verb, b"v")]).result(30)
    for each in before:
        each.close(drain_s=0)
    log = GatedLog()
    log.here.set()
    with full(tmp_path / "0", tmp_path / "1"):
        spool = opened(tmp_path, log, direct=direct)
        assert [record.id for record in spool.left] == ["reset", "rollback"]
        assert spool.depth().records == 4
        assert not spool.put([made(2)]).result(30)
        assert not spool.wait_drained(0.3)
        assert "the spool cannot be read" in str(spool.depth().log_away)
        assert log.ids() == []
    assert spool.wait_drained(30)
    assert log.ids() == ["id-1", "reset", "id-0", "rollback"]
    assert spool.put([made(3)]).result(30)
    assert spool.wait_drained(30)
    assert log.ids()[4:] == ["id-3"]
    assert (spool.depth().dropped, spool.depth().drained) == (1, 5)
    spool.close()


@pytest.mark.parametrize("whose", ["ours", "another's"])
def test_a_start_that_cannot_read_what_waits_ends(tmp_path: Path, whose: str) -> None:
    """It would know nothing of what an operator took back; once it can be read, all is there."""
    before = opened(tmp_path, GatedLog())
    assert before.put([made(0)]).result(30)
    before.close(drain_s=0)
    left = tmp_path / "0" / "waiting.db"
    aside = left.rename(tmp_path / "aside")
    left.mkdir()
    if whose == "another's":
        left = left.parent.rename(tmp_path / "1") / "waiting.db"
    for _ in range(2):
        with pytest.raises(SpoolUnavailableError, match="cannot be read now"):
            opened(tmp_path, GatedLog())
    left.rmdir()
    aside.rename(left)
    log = GatedLog()
    log.here.set()
    spool = opened(tmp_path, log)
    assert spool.wait_drained(30)
    assert log.ids() == ["id-0"]
    spool.close()
