"""What the embedded log adds to the contract: many processes, refusal, full disk, torn writes."""

import multiprocessing
import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.errors import LogUnavailableError, SchemaError, StoreUnavailableError
from streams.log.contract import Entry, Log, Outgoing, Partition
from streams.log.file import SCHEMA_VERSION, connect
from streams.log.sqlite import WAKE_S, SqliteLog, SqliteSubscription
from streams.settings import StreamsSettings
from streams.store.store import open_store
from tests.files import digest, on_disk
from tests.sqlite_disk import Disk


def made(number: int, key: str = "a", size: int = 10) -> Outgoing:
    return Outgoing(topic="turns", key=key, id=f"{key}-{number}", value=b"x" * size)


def read_all(log: Log) -> list[Entry]:
    subscription = log.subscribe(["turns"], group=None, positions=lambda _: {})
    entries: list[Entry] = []
    while batch := subscription.poll(wait_s=0):
        entries += batch
    subscription.close()
    return entries


def append_for_ever(
    path: Path, key: str, at_once: int, acknowledged: "multiprocessing.Queue[int]"
) -> None:
    log = SqliteLog(path)
    number = 0
    while True:
        log.append([made(number + place, key) for place in range(at_once)])
        number += at_once
        acknowledged.put(number - 1)


@pytest.mark.fault("kill -9 of a writer of the log")
@pytest.mark.parametrize("at_once", [1, 2])
def test_many_processes_append_and_one_is_killed(tmp_path: Path, at_once: int) -> None:
    """What was acknowledged before kill −9 is there, in order; a pair is there whole or not."""
    path = tmp_path / "log.db"
    context = multiprocessing.get_context("spawn")
    queues = {key: context.Queue() for key in ("a", "b")}
    writers = [
        context.Process(target=append_for_ever, args=(path, key, at_once, queue), daemon=True)
        for key, queue in queues.items()
    ]
    for writer in writers:
        writer.start()
    last = {key: [queue.get(timeout=60) for _ in range(20)][-1] for key, queue in queues.items()}
    for writer in writers:
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
    log = SqliteLog(path)
    entries = read_all(log)
    log.append([made(0, "after")])
    assert len(read_all(log)) == len(entries) + 1
    log.close()
    assert [e.offset for e in entries] == list(range(len(entries)))
    for key in queues:
        ids = [e.id for e in entries if e.key == key]
        assert ids == [f"{key}-{number}" for number in range(len(ids))]
        assert len(ids) % at_once == 0
        assert len(ids) > last[key]


def read_as_group(path: Path, ready: "multiprocessing.Queue[int]") -> None:
    log = SqliteLog(path)
    subscription = log.subscribe(["turns"], group="g", positions=lambda _: {})
    ready.put(len(subscription.poll(wait_s=30)))
    while True:
        subscription.poll(wait_s=30)


def test_a_group_goes_on_at_once_when_its_reader_is_killed(tmp_path: Path) -> None:
    """The lock of a dead process is gone with it: no timeout, no clean-up by hand."""
    path = tmp_path / "log.db"
    log = SqliteLog(path)
    log.append([made(0)])
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    reader = context.Process(target=read_as_group, args=(path, ready), daemon=True)
    reader.start()
    assert ready.get(timeout=60) == 1
    successor = log.subscribe(["turns"], group="g", positions=lambda _: {})
    assert successor.poll(wait_s=0.05) == []
    assert successor.assigned() == frozenset()
    assert reader.pid is not None
    os.kill(reader.pid, signal.SIGKILL)
    reader.join()
    assert [e.id for e in successor.poll(wait_s=30)] == ["a-0"]
    successor.close()
    log.close()


def append_some(log: SqliteLog) -> None:
    for number in range(20):
        log.append([made(number)])
        time.sleep(0.03)


def test_what_is_pruned_is_in_no_gap_of_the_file(tmp_path: Path) -> None:
    """However SQLite was built: every connection overwrites what it deletes."""
    log = SqliteLog(tmp_path / "log.db")
    said = Outgoing("turns", "k", "old", b"the-blue-heron " * 500)
    log.append([said, *(made(number) for number in range(9))])
    assert log.prune(Partition("turns", 0), before_ms=2**62, below=1, most=9) == 1
    log.close()
    assert b"the-blue-heron" not in on_disk(tmp_path)
    with closing(connect(tmp_path / "log.db")) as connection:
        assert connection.execute("PRAGMA secure_delete").fetchone() == (1,)


@pytest.mark.fault("clock jump")
def test_a_clock_that_is_behind_dates_nothing_before_what_came_earlier(tmp_path: Path) -> None:
    """Never set, or a little behind another's; in each topic by itself, alone or with others."""
    now_s = [2e9]
    log = SqliteLog(tmp_path / "log.db", clock=lambda: now_s[0])
    other = Outgoing("feedback", "k", "f", b"x")
    log.append([made(0)])
    for now_s[0] in (5.0, 2e9 - 3600, 2e9 + 1):
        log.append([made(1)])
        log.append([made(2), other, made(3)])
    assert [each.time_ms // 1000 for each in read_all(log)] == [2_000_000_000] * 7 + [
        2_000_000_001
    ] * 3
    log.close()


@pytest.mark.fault("clock jump")
def test_a_clock_that_was_years_ahead_dates_only_its_own(tmp_path: Path) -> None:
    """What comes when it has been set right, or from another process, is dated as it is."""
    now_s = [2e9]
    log = SqliteLog(tmp_path / "log.db", clock=lambda: now_s[0])
    for now_s[0] in (2e9, 2.2e9, 2e9 + 1):
        log.append([made(0)])
    times_s = [each.time_ms // 1000 for each in read_all(log)]
    assert times_s == [2_000_000_000, 2_200_000_000, 2_000_000_001]
    log.close()


@pytest.mark.fault("clock jump")
def test_what_stands_behind_a_young_record_is_not_pruned(tmp_path: Path) -> None:
    """A clock that was a month behind has dated it; one that was ahead makes nothing young."""
    now_s, month_s = [2e9], 30 * 24 * 3600
    log = SqliteLog(tmp_path / "log.db", clock=lambda: now_s[0])
    dated = (2e9 - month_s, 2e9 + month_s, 2e9 - month_s, 2e9, 2e9 - month_s, 2e9 + 1)
    for number, now_s[0] in enumerate(dated):
        log.append([made(number)])
    bounds = {"before_ms": int(2e12) - 1, "newest_ms": int(2e12) + 1000}
    assert log.prune(Partition("turns", 0), below=6, most=9, **bounds) == 2
    assert [each.id for each in read_all(log)] == ["a-1", "a-3", "a-4", "a-5"]
    log.close()


def test_a_waiting_reader_looks_at_a_counter_and_reads_nothing(tmp_path: Path) -> None:
    """Some dozens of times a second, however much is in the log, or comes into other topics."""
    log, looked, read = SqliteLog(tmp_path / "log.db"), list[str](), list[str]()
    subscription = log.subscribe(["feedback", "notes"], group="g", positions=lambda _: {})
    assert subscription.poll(wait_s=0) == []
    subscription._connection.set_trace_callback(read.append)
    log._connection.set_trace_callback(looked.append)
    with ThreadPoolExecutor(1) as other:
        other.submit(append_some, log)
        assert subscription.poll(wait_s=1.0) == []
    assert 1 < looked.count("PRAGMA data_version") <= 1.0 / WAKE_S + 2
    assert len(read) == 2  # at the beginning and at the end: how far the topics go
    log._connection.set_trace_callback(None)
    subscription.close()
    log.close()


def test_a_poll_that_fails_half_way_loses_nothing(tmp_path: Path) -> None:
    """Wherever it stops, the next one gives all that the failed one had read."""
    log = SqliteLog(tmp_path / "log.db")
    log.append([Outgoing("turns", "k", "t", b"{}"), Outgoing("feedback", "k", "f", b"{}")])
    left, failed = 0, 0

    def stops() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    whole = False
    while not whole:
        reader = log.subscribe(["turns", "feedback"], group=None, positions=lambda _: {})
        assert isinstance(reader, SqliteSubscription)
        left = failed
        reader._connection.set_progress_handler(stops, 1)
        try:
            found = reader.poll(wait_s=0)
            whole = True
        except LogUnavailableError:
            failed += 1
            reader._connection.set_progress_handler(None, 1)
            found = reader.poll(wait_s=0)
        assert sorted(entry.id for entry in found) == ["f", "t"]
        reader.close()
    assert failed > 10
    log.close()


def test_a_waiting_reader_that_could_not_ask_for_its_place_asks_again(tmp_path: Path) -> None:
    """It holds the topic from then on, and does not shut itself out."""
    log = SqliteLog(tmp_path / "log.db")
    away = [False]

    def positions(_: frozenset[Partition]) -> dict[Partition, int]:
        if away[0]:
            raise StoreUnavailableError("busy")
        return {}

    first, second = (log.subscribe(["turns"], group="g", positions=positions) for _ in range(2))
    log.append([Outgoing("turns", "k", "t", b"{}")])
    assert second.poll(wait_s=0) == []
    first.close()
    away[0] = True
    with pytest.raises(StoreUnavailableError):
        second.poll(wait_s=0)
    away[0] = False
    assert [entry.id for entry in second.poll(wait_s=0)] == ["t"]
    third = log.subscribe(["turns"], group="g", positions=positions)
    assert third.assigned() == frozenset()
    third.close()
    second.close()
    log.close()


def test_a_waiting_reader_is_woken_by_another_process_amid_our_own_appends(tmp_path: Path) -> None:
    """What comes from elsewhere is told from what we append ourselves to other topics."""
    log, elsewhere = SqliteLog(tmp_path / "log.db"), SqliteLog(tmp_path / "log.db")
    subscription = log.subscribe(["notes"], group=None, positions=lambda _: {})
    with ThreadPoolExecutor(1) as others:
        for number in range(20):
            waiting = others.submit(subscription.poll, wait_s=60)
            for place in range(number % 4):
                log.append([made(place)])
            note = Outgoing(topic="notes", key="a", id=f"n{number}", value=b"x")
            elsewhere.append([note])
            log.append([made(number)])
            assert [entry.id for entry in waiting.result(timeout=60)] == [note.id]
    subscription.close()
    elsewhere.close()
    log.close()


@pytest.mark.fault("power cut")
@given(
    batches=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 6_000)), max_size=12),
    failing=st.sets(st.integers(1, 40), max_size=5),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=40, deadline=None)
def test_a_power_cut_loses_nothing_that_was_acknowledged(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[tuple[int, int]],
    failing: set[int],
    seed: int,
) -> None:
    """Whichever syncs failed before, and whatever else of the files is there or not."""
    folder, disk, acknowledged = tmp_path_factory.mktemp("log"), Disk(), list[str]()
    with disk.installed():
        log, number = SqliteLog(folder / "log.db"), 0
        disk.failing = {disk.syncs + each for each in failing}
        for count, size in batches:
            records = [made(number + n, size=size) for n in range(count)]
            number += count
            with suppress(LogUnavailableError):
                log.append(records)
                acknowledged += [record.id for record in records]
        disk.cut_power(folder / "after", random.Random(seed))
        log.close()
        after = SqliteLog(folder / "after" / "log.db")
        assert [e.id for e in read_all(after) if e.id in acknowledged] == acknowledged
        after.close()


@pytest.mark.fault("full disk")
def test_a_full_disk_refuses_the_append_whole_and_recovers(tmp_path: Path) -> None:
    """No record of an append that did not fit is there; with room again, the next one is."""
    log = SqliteLog(tmp_path / "log.db")
    log.append([made(0)])
    limit_pages(log, 4)
    with pytest.raises(LogUnavailableError, match="full"):
        log.append([made(number, size=4000) for number in range(1, 20)])
    assert [e.id for e in read_all(log)] == ["a-0"]
    limit_pages(log, 100_000)
    log.append([made(1)])
    assert [(e.id, e.offset) for e in read_all(log)] == [("a-0", 0), ("a-1", 1)]
    log.close()


def limit_pages(log: SqliteLog, more: int) -> None:
    """Let the file grow by so many pages only (SQLite counts them for each connection)."""
    pages = log._connection.execute("PRAGMA page_count").fetchone()[0]
    log._connection.execute(f"PRAGMA max_page_count = {pages + more}")


def test_a_torn_write_ahead_log_loses_only_what_was_not_acknowledged(tmp_path: Path) -> None:
    """Bytes cut off the journal's end take away whole appends from the end, nothing else."""
    path, copy = tmp_path / "log.db", tmp_path / "copy.db"
    log = SqliteLog(path)
    for number in range(5):
        log.append([made(number)])
    journal = path.with_name("log.db-wal").read_bytes()
    for cut in range(0, len(journal), 997):
        copy.write_bytes(path.read_bytes())
        copy.with_name("copy.db-wal").write_bytes(journal[: len(journal) - cut])
        try:
            torn = SqliteLog(copy)
        except SchemaError:  # the cut reached the transaction that made the tables
            copy.with_name("copy.db-wal").unlink()
            continue
        ids = [e.id for e in read_all(torn)]
        assert ids == [f"a-{number}" for number in range(len(ids))]
        torn.close()
        for leftover in tmp_path.glob("copy.db*"):
            leftover.unlink()
    log.close()


def refused(path: Path, match: str) -> None:
    """Prove that opening raises and leaves every byte."""
    before = {each.name: digest(each) for each in path.parent.iterdir()}
    with pytest.raises(SchemaError, match=match):
        SqliteLog(path)
    assert digest(path) == before[path.name]


def set_pragmas(path: Path, statements: Iterable[str]) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in (*statements, "PRAGMA journal_mode = DELETE"):
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_topic_that_the_file_has_lost_takes_nothing_in_silence(
    tmp_path: Path, at_once: int
) -> None:
    log = SqliteLog(tmp_path / "log.db")
    with sqlite3.connect(tmp_path / "log.db") as other:
        other.execute("DELETE FROM topics WHERE name = 'turns'")
    with pytest.raises(LogUnavailableError, match="the topic is not in the file"):
        log.append([made(number) for number in range(at_once)])
    log.close()


def test_a_newer_log_is_refused_untouched(tmp_path: Path) -> None:
    """The file of a later build says so, and keeps every byte."""
    path = tmp_path / "log.db"
    SqliteLog(path).close()
    set_pragmas(path, [f"PRAGMA user_version = {SCHEMA_VERSION + 1}"])
    refused(path, r"schema 2, this build reads up to 1: upgrade")


def test_a_damaged_log_is_refused_untouched(tmp_path: Path) -> None:
    """A missing table, an overwritten page and a file that is no database are each told."""
    path = tmp_path / "log.db"
    SqliteLog(path).close()
    set_pragmas(path, ["DROP TABLE entries"])
    refused(path, "damaged")
    path.write_bytes(path.read_bytes()[:100] + os.urandom(1000))
    refused(path, "damaged")
    path.write_bytes(b"not a database at all" * 100)
    refused(path, "damaged")


def test_another_programs_database_is_refused_untouched(tmp_path: Path) -> None:
    """A file that somebody else made is not appended to."""
    path = tmp_path / "log.db"
    set_pragmas(path, ["CREATE TABLE turns (score INTEGER)"])
    refused(path, "another program")


def test_a_log_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    """A folder in its place is an error that names the path."""
    (tmp_path / "log.db").mkdir()
    with pytest.raises(LogUnavailableError, match=r"log\.db"):
        SqliteLog(tmp_path / "log.db")


@pytest.mark.parametrize("name", ["log.db", "store.db"])
def test_who_opens_a_new_file_waits_for_who_makes_it(tmp_path: Path, name: str) -> None:
    """Agent and learner start together in an empty home: SQLite refuses the later one at once."""
    maker = sqlite3.connect(tmp_path / name, isolation_level=None, check_same_thread=False)
    maker.execute("BEGIN IMMEDIATE")
    done = threading.Timer(0.2, lambda: maker.execute("COMMIT"))
    done.start()
    if name == "log.db":
        SqliteLog(tmp_path / name).close()
    else:
        open_store(StreamsSettings(home=tmp_path)).close()
    done.join()
    maker.close()
