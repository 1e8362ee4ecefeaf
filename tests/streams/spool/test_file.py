"""The spool's file: bounded, counted, taken over from older builds, put aside when damaged."""

import json
import sqlite3
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from streams.log.contract import Outgoing
from streams.settings import StreamsSettings
from streams.spool.file import SMALL_BYTES, SpoolFile, look, open_free
from streams.spool.spool import Spool
from tests.sqlite_disk import Disk
from tests.streams.spool.test_spool import GatedLog


def made(number: int, size: int = 100, topic: str = "turns") -> Outgoing:
    key, id = f"key {number % 3}", f"id-{number}"
    return Outgoing(topic=topic, key=key, id=id, value=b"v" * size)  # type: ignore[arg-type]


def opened(folder: Path, *, max_bytes: int = 2**20, drop_oldest: bool = False) -> SpoolFile:
    file = open_free(folder, max_bytes=max_bytes, drop_oldest=drop_oldest)
    assert file is not None
    return file


def drained(file: SpoolFile, *, max_records: int = 7) -> list[Outgoing]:
    """Drain a file to its end."""
    records: list[Outgoing] = []
    while (batch := file.peek(max_records=max_records, max_bytes=2**20)) is not None:
        records += batch.records
        file.release(batch, drained=True)
    return records


def test_topics_keep_their_one_order(tmp_path: Path) -> None:
    """What comes out is what went in, whatever the topics, over a restart."""
    records = [made(n, topic=("turns", "feedback", "rollouts")[n % 3]) for n in range(20)]
    file = opened(tmp_path)
    assert all(file.append(records))
    file.close()
    file = opened(tmp_path)
    assert drained(file) == records
    file.close()


def test_a_batch_is_bounded_by_bytes_too(tmp_path: Path) -> None:
    """But holds one record, however large that is."""
    file = opened(tmp_path)
    file.append([made(0, 5_000), made(1, 100), made(2, 100), made(3, 5_000)])
    sizes = []
    while (batch := file.peek(max_records=9, max_bytes=1_000)) is not None:
        sizes.append(len(batch.records))
        file.release(batch, drained=True)
    assert sizes == [1, 2, 1]
    file.close()


def test_what_was_not_released_comes_again(tmp_path: Path) -> None:
    """A crash between log and file drains again; nothing is skipped."""
    file = opened(tmp_path)
    file.append([made(number) for number in range(4)])
    batch = file.peek(max_records=2, max_bytes=2**20)
    assert batch is not None
    file.release(batch, drained=False)
    file.close()
    file = opened(tmp_path)
    assert [record.id for record in drained(file)] == [f"id-{number}" for number in range(4)]
    file.close()


@given(
    sizes=st.lists(st.integers(0, 20_000), min_size=1, max_size=60),
    drop_oldest=st.booleans(),
    max_bytes=st.sampled_from([2**16, 2**17, 2**19]),
)
@examples(max_examples=40, deadline=None)
def test_the_file_keeps_to_its_bound_and_counts_what_it_does_not_keep(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], drop_oldest: bool, max_bytes: int
) -> None:
    """Whatever comes, in transactions of one and of many; what is kept comes out in order."""
    folder = tmp_path_factory.mktemp("spool")
    file = opened(folder, max_bytes=max_bytes, drop_oldest=drop_oldest)
    for number, size in enumerate(sizes):
        file.append([made(number, size)])
        assert (folder / "waiting.db").stat().st_size <= max_bytes
    file.append([made(number, sizes[number % len(sizes)]) for number in range(len(sizes), 80)])
    assert file.num_bytes <= max_bytes
    assert file.num_records + file.dropped == max(80, len(sizes))
    numbers = [int(record.id.removeprefix("id-")) for record in drained(file)]
    assert numbers == sorted(numbers)
    assert len(numbers) + file.dropped == max(80, len(sizes))
    file.close()


def test_what_is_on_its_way_to_the_log_is_not_dropped(tmp_path: Path) -> None:
    """It may be there already; what comes behind it is dropped in its place."""
    file = opened(tmp_path, max_bytes=2**16, drop_oldest=True)
    file.append([made(number, 3_000) for number in range(8)])
    batch = file.peek(max_records=3, max_bytes=2**20)
    assert batch is not None
    file.append([made(number, 3_000) for number in range(8, 30)])
    file.release(batch, drained=True)
    assert [record.id for record in batch.records] == ["id-0", "id-1", "id-2"]
    left = [int(record.id.removeprefix("id-")) for record in drained(file)]
    assert left[-1] == 29
    assert left == list(range(left[0], 30))
    assert 3 + len(left) + file.dropped == 30
    file.close()


@pytest.mark.parametrize("topic", ["rollouts", "feedback", "notes"])
def test_what_somebody_was_told_is_kept_does_not_give_way_to_turns(
    tmp_path: Path, topic: str
) -> None:
    """A rollback or a deletion stays before a thousand turns, and the oldest turns go."""
    file = opened(tmp_path, max_bytes=2**16, drop_oldest=True)
    assert file.append([made(0, topic=topic)]) == [True]
    for number in range(1, 100):
        assert file.append([made(number, 3_000)]) == [True]
    left = [record.id for record in drained(file)]
    assert left[0] == "id-0"
    assert left[1:] == [f"id-{number}" for number in range(101 - len(left), 100)]
    assert len(left) + file.dropped == 100
    file.close()


def test_a_spool_full_of_what_was_answered_takes_no_turn_and_drops_its_oldest_for_more(
    tmp_path: Path,
) -> None:
    """It keeps to its bound all the same, and counts what goes."""
    file = opened(tmp_path, max_bytes=2**16, drop_oldest=True)
    number = 0
    while not file.dropped:
        assert file.append([made(number, 3_000, "feedback")]) == [True]
        number += 1
    while file.append([made(number, 1)]) == [True]:
        number += 1
    assert file.append([made(number + 1, 9_000, "rollouts")]) == [True]
    left = [record.id for record in drained(file)]
    assert "id-0" not in left
    assert left[-1] == f"id-{number + 1}"
    assert len(left) + file.dropped == number + 2
    file.close()


def test_the_largest_record_fits_the_smallest_spool_that_settings_allow(tmp_path: Path) -> None:
    """Twice the record (deploy.settings.conflicts), with the write-ahead log's part taken off."""
    for size in (2**15, 2**20, 2**22):
        file = opened(tmp_path / str(size), max_bytes=2 * size)
        assert file.append([made(1, size)]) == [True]
        file.close()


def test_the_disk_has_its_room_again_when_all_is_drained(tmp_path: Path) -> None:
    """A file that has grown is removed; what comes then is kept as ever."""
    file = opened(tmp_path, max_bytes=2**24)
    file.append([made(number, 20_000) for number in range(200)])
    assert file.num_bytes > 2 * SMALL_BYTES
    assert len(drained(file)) == 200
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2**17
    assert file.append([made(1)]) == [True]
    file.close()
    file = opened(tmp_path)
    assert [record.id for record in drained(file)] == ["id-1"]
    file.close()


def test_it_is_seen_from_outside_as_it_is(tmp_path: Path) -> None:
    """Nothing yet, while it is in use, and when it is closed."""
    assert look(tmp_path / "nowhere") == (0, 0, 0)
    file = opened(tmp_path, max_bytes=2**16)
    file.append([made(0), made(1), made(2, 2**17)])
    in_use = look(tmp_path)
    assert in_use == (2, file.num_bytes, 1)
    file.close()
    assert look(tmp_path) == in_use
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_is_one_process_at_a_time(tmp_path: Path) -> None:
    """A second opener gets nothing until the first is done with it."""
    file = opened(tmp_path)
    assert open_free(tmp_path, max_bytes=2**20, drop_oldest=True) is None
    file.close()
    opened(tmp_path).close()


@given(place=st.integers(0, 8 * 4096 - 1), length=st.integers(1, 4096))
@example(place=0, length=100)
@example(place=8202, length=2564)  # a leaf's list of rows: SQLite reads on, with two fewer
@examples(max_examples=60, deadline=None)
def test_a_damaged_file_does_not_stop_the_spool(
    tmp_path_factory: pytest.TempPathFactory, place: int, length: int
) -> None:
    """No record comes out changed or twice; what is lost is said, and what comes then is kept."""
    folder = tmp_path_factory.mktemp("spool")
    file = opened(folder)
    file.append([made(number, 1_500) for number in range(12)])
    file.close()
    content = bytearray((folder / "waiting.db").read_bytes())
    content[place : place + length] = bytes(b ^ 0xA5 for b in content[place : place + length])
    (folder / "waiting.db").write_bytes(content)
    file = opened(folder)
    records = drained(file)
    file.append([made(98)])  # may be what meets the damage
    assert file.append([made(99)]) == [True]
    assert [record.id for record in drained(file)][-1] == "id-99"
    file.close()
    assert len({record.id for record in records}) == len(records)
    assert {made(number, 1_500) for number in range(12)}.issuperset(records)
    assert len(records) == 12 or file.dropped > 0 or (folder / "damaged.db").exists()


def test_damage_while_records_are_on_their_way_is_counted_once(tmp_path: Path) -> None:
    """What was on its way arrives, and the spool goes on with what comes."""
    file = opened(tmp_path)
    file.append([made(number, 1_500) for number in range(12)])
    batch = file.peek(max_records=3, max_bytes=2**20)
    assert batch is not None
    file._put_aside(sqlite3.DatabaseError("as an append finds it"))
    assert file.append([made(98)]) == [True]
    file.release(batch, drained=True)
    assert (file.num_records, file.dropped) == (1, 12)
    assert file.append([made(99)]) == [True]
    assert [record.id for record in drained(file)] == ["id-98", "id-99"]
    file.close()


FRAME, DRAINED, DROPPED = struct.Struct(">II"), struct.Struct(">QQ"), struct.Struct(">Q")


def write_segment(path: Path, records: Sequence[Outgoing]) -> list[int]:
    """Write records as older builds did; give where each of them ends."""
    content, ends = b"", []
    for record in records:
        head = json.dumps([record.topic, record.key, record.id]).encode()
        payload = head + b"\n" + record.value
        content += FRAME.pack(len(payload), zlib.crc32(payload)) + payload
        ends.append(len(content))
    path.write_bytes(content)
    return ends


@pytest.mark.parametrize("torn", [b"", b"\0" * 20, b"\0\0\0\x09torn"])
def test_the_spool_of_an_older_build_is_drained_once(tmp_path: Path, torn: bytes) -> None:
    """From where that build stood, before what comes new; its files go, its counts stay."""
    folder = tmp_path / "0"
    folder.mkdir()
    records = [made(number, topic=("turns", "feedback")[number % 2]) for number in range(9)]
    write_segment(folder / f"{4:016d}.spool", records[:2])  # drained long ago
    ends = write_segment(folder / f"{5:016d}.spool", records[2:6])
    write_segment(folder / f"{6:016d}.spool", records[6:])
    with (folder / f"{6:016d}.spool").open("ab") as last:
        last.write(torn)
    (folder / "drained").write_bytes(DRAINED.pack(5, ends[1]))
    (folder / "dropped").write_bytes(DROPPED.pack(7))
    for _ in range(2):
        log = GatedLog()
        log.here.set()
        spool = Spool(tmp_path, log, StreamsSettings())  # type: ignore[arg-type]
        assert spool.put([made(99)]).result(30)
        assert spool.wait_drained(30)
        assert spool.depth().dropped == 7
        spool.close()
        assert log.taken == [*records[4:], made(99)]
        assert sorted(path.name for path in folder.iterdir()) == ["dropped", "held", "waiting.db"]
        records = []


def test_an_older_spool_stays_until_the_disk_takes_it(tmp_path: Path) -> None:
    """Nothing is kept before it, so that nothing overtakes it."""
    write_segment(tmp_path / f"{1:016d}.spool", [made(0)])
    disk = Disk()
    with disk.installed():
        disk.room = 0
        file = opened(tmp_path)
        assert (file.num_records, file.waiting("turns")) == (1, [made(0)])
        assert file.append([made(1)]) == [False]
        disk.room = None
        assert file.append([made(2)]) == [True]
        assert [record.id for record in drained(file)] == ["id-0", "id-2"]
        assert file.dropped == 1
        file.close()
