"""The file of stored replies: made from the log alone, in whatever order that is read."""

import sqlite3
from collections.abc import Iterator
from itertools import count, pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import DamagedError
from agent.stored.projection import Projection
from streams.keeping.leap import DAY_MS
from streams.log.contract import Partition
from streams.records import Record
from tests.agent.stored.records import deletion, entry, feedback, forgotten, spoil, stored

DAYS = 30


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "responses.db"


@pytest.fixture
def projection(path: Path) -> Iterator[Projection]:
    opened = Projection(path, keep_days=DAYS)
    yield opened
    opened.close()


def holds(projection: Projection, *ids: str) -> list[bool]:
    """Which of these turns are found."""
    return [projection.find(each)[1] is not None for each in ids]


def test_what_may_be_asked_for_again_is_found(projection: Projection) -> None:
    """A turn is found whole; one that was not to be stored is not known at all."""
    turns = [stored("a"), stored("b", kept=False)]
    projection.take([entry(turn, number) for number, turn in enumerate(turns)])
    assert projection.find("a") == (True, turns[0])
    assert projection.find("b") == (False, None)
    assert projection.positions() == {Partition("turns", 0): 2}


def test_what_no_file_holds_is_passed_over(projection: Projection) -> None:
    """Another program's record with a number over 64 bits, or an odd name, stops no reading."""
    odd = [
        stored("late", at_ms=10**19),
        stored("odd").model_copy(update={"principal": "a\ud800"}),
        feedback("a", 1, at_ms=10**19),
        deletion("a", at_ms=10**19),
        forgotten(at_ms=10**19),
    ]
    records = [*odd, stored("a")]
    projection.take([entry(record, number) for number, record in enumerate(records)])
    projection.forget([forgotten(at_ms=10**19), forgotten("bob")])
    assert holds(projection, "late", "odd", "a") == [False, False, True]
    assert projection.positions()[Partition("turns", 0)] == len(records)


RECORDS: dict[str, Record] = {
    "early": stored("early", at_ms=1_000),
    "late": stored("late", at_ms=9_000),
    "theirs": stored("theirs", principal="bob", at_ms=1_000),
    "deleted": stored("deleted", principal="bob", at_ms=1_000),
    "deletion": deletion("deleted", principal="bob"),
    "strangers": deletion("theirs", principal="cid"),
    "forgotten": forgotten("ann", at_ms=5_000),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    order=st.permutations(sorted(RECORDS)),
    cuts=st.sets(st.integers(1, len(RECORDS) - 1)),
    again=st.booleans(),
)
def test_order_and_duplicates_change_nothing(
    order: list[str],
    cuts: set[int],
    again: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Forgotten and deleted turns are not there, whatever was read first, and however often."""
    projection = Projection(tmp_path_factory.mktemp("stored") / "r.db", keep_days=DAYS)
    offsets = count()
    entries = [entry(RECORDS[name], next(offsets), taken_ms=10_000) for name in order]
    bounds = [0, *sorted(cuts), len(entries)]
    for begin, end in pairwise(bounds):
        projection.take(entries[begin:end])
        if again:
            projection.take(entries[begin:end])
    names = ("early", "late", "theirs", "deleted")
    assert holds(projection, *names) == [False, True, True, False]
    projection.close()


def test_forgotten_words_are_not_in_the_files(projection: Projection, path: Path) -> None:
    """What is taken out is overwritten, in the write-ahead log, too."""
    projection.take([entry(stored("a"), 0), entry(stored("b", principal="bob"), 1)])
    projection.take([entry(deletion("b", principal="bob"), 0)])
    projection.forget([forgotten()])
    projection.forget([forgotten()])
    written = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"What of a" not in written
    assert b"What of b" not in written


def test_what_is_older_than_the_log_keeps_goes(projection: Projection) -> None:
    """By when the log took it, against the newest that was read."""
    late_ms = 6_000 + DAYS * DAY_MS + 1
    projection.take([entry(stored("old"), 0), entry(stored("older", at_ms=1), 1)])
    projection.take([entry(stored("between"), 2, taken_ms=late_ms // 2)])
    assert holds(projection, "old", "older") == [True, True]
    projection.take([entry(stored("new", at_ms=late_ms), 3, taken_ms=late_ms)])
    assert holds(projection, "old", "older", "between", "new") == [False, False, True, True]


@pytest.mark.fault("clock jump")
def test_a_record_that_is_dated_ahead_makes_nothing_old(path: Path) -> None:
    """One agent's clock is wrong, and the other's replies may be asked for all the same."""
    projection = Projection(path, keep_days=DAYS, clock=lambda: 2 * DAY_MS / 1000)
    projection.take([entry(stored("a"), 0, taken_ms=DAY_MS)])
    for number, day in enumerate((100, 108), 1):  # for longer than a leap is doubted
        projection.take([entry(stored("b"), number, taken_ms=(DAYS + day) * DAY_MS)])
    projection.take([entry(stored("c"), 3, taken_ms=2 * DAY_MS)])
    assert holds(projection, "a", "b", "c") == [True, True, True]
    projection.close()


@pytest.mark.fault("clock jump")
@pytest.mark.parametrize("is_stored", [True, False])
def test_a_leap_of_this_machines_clock_is_not_believed_at_once(
    projection: Projection, is_stored: bool
) -> None:
    """Where time has really passed, what is old goes with the records of a week later."""
    projection.take([entry(stored("a"), 0, taken_ms=DAY_MS)])
    for number, day in enumerate((100, 103, 106.9), 1):
        record = stored(f"t{day}", kept=is_stored)
        projection.take([entry(record, number, taken_ms=int(day * DAY_MS))])
        assert holds(projection, "a") == [True]
    projection.take([entry(stored("late", kept=is_stored), 4, taken_ms=107 * DAY_MS)])
    assert holds(projection, "a") == [False]


@pytest.mark.parametrize("ahead_ms", [0, 1_000])
def test_replies_go_though_whoever_dates_them_is_a_little_ahead(path: Path, ahead_ms: int) -> None:
    """A broker's clock is never quite the agent's."""
    day = 0
    projection = Projection(path, keep_days=30, clock=lambda: day * DAY_MS / 1000)
    for day in range(200):
        projection.take([entry(stored(f"t{day}"), day, taken_ms=day * DAY_MS + ahead_ms)])
    kept = [each for each in range(200) if projection.find(f"t{each}")[0]]
    assert kept == list(range(199 - 30, 200))
    projection.close()


@pytest.mark.parametrize("keep_days", [1, 7])
def test_replies_go_though_they_come_more_rarely_than_they_are_kept(
    path: Path, keep_days: int
) -> None:
    """All but the last, and the one before it: the last may be dated by a wrong clock."""
    projection = Projection(path, keep_days=keep_days)
    for n in range(10):
        at_ms = (900 + n * (keep_days + 1)) * DAY_MS
        projection.take([entry(stored(f"t{n}"), n, taken_ms=at_ms)])
    assert [n for n in range(10) if projection.find(f"t{n}")[0]] == [8, 9]
    projection.close()


def test_it_is_there_after_a_restart(path: Path) -> None:
    """Turns and positions survive; two processes may have it open at once."""
    first, second = Projection(path, keep_days=DAYS), Projection(path, keep_days=DAYS)
    first.take([entry(stored("a"), 7)])
    assert holds(second, "a") == [True]
    second.take([entry(stored("a"), 3)])
    first.close()
    second.close()
    again = Projection(path, keep_days=DAYS)
    assert holds(again, "a") == [True]
    assert again.positions() == {Partition("turns", 0): 8}
    again.clear()
    assert (holds(again, "a"), again.positions()) == ([False], {})
    again.close()


@pytest.mark.parametrize("damage", ["text", "newer", "torn"])
def test_a_file_that_cannot_be_used_is_made_anew(path: Path, damage: str) -> None:
    """It holds nothing that the log has not, so nobody has to mend it."""
    made = Projection(path, keep_days=DAYS)
    made.take([entry(stored("a"), 0)])
    made.close()
    if damage == "newer":
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
    else:
        whole = path.read_bytes()
        path.write_bytes(
            b"not a database, " * 300 if damage == "text" else whole[: len(whole) // 2]
        )
    again = Projection(path, keep_days=DAYS)
    assert again.positions() == {}
    again.take([entry(stored("b"), 0)])
    assert holds(again, "b") == [True]
    again.close()


def test_damage_that_shows_later_is_told_and_mended(path: Path) -> None:
    """By whoever meets it, and to all, until the file is made anew; the others' new one stays."""
    made = Projection(path, keep_days=DAYS)
    made.take([entry(stored(f"t{number}"), number) for number in range(300)])
    made.close()
    spoil(path)
    here, there = Projection(path, keep_days=DAYS), Projection(path, keep_days=DAYS)
    for each in (here, there):
        with pytest.raises(DamagedError):
            holds(each, *(f"t{number}" for number in range(300)))
        assert each.is_damaged
        with pytest.raises(DamagedError):
            each.take([entry(stored("b"), 300)])
    here.mend()
    assert (here.is_damaged, here.positions()) == (False, {})
    here.take([entry(stored("a"), 0)])
    there.mend()
    here.mend()
    assert there.positions() == {Partition("turns", 0): 1}
    there.take([entry(stored("b"), 1)])
    assert holds(here, "a", "b") == [True, True]
    for each in (here, there):
        each.close()


def test_what_cannot_be_read_is_passed_over(projection: Projection) -> None:
    """A record of a later build stops nothing."""
    newer = entry(stored("a"), 0)
    newer = type(newer)(**{name: getattr(newer, name) for name in newer.__slots__} | {
        "value": newer.value.replace(b'"v":3', b'"v":99')})  # fmt: skip
    projection.take([newer, entry(stored("b"), 1)])
    assert holds(projection, "a", "b") == [False, True]


def test_the_last_feedback_in_the_logs_order_is_kept(projection: Projection) -> None:
    """Whatever its clock says, and whoever of two processes comes later with an older one."""
    early, late = feedback("a", 1, at_ms=9_000), feedback("a", -1, at_ms=3_000)
    projection.take([entry(early, 1), entry(late, 2)])
    projection.take([entry(early, 1)])
    assert projection.feedback("a") == late
    projection.take([entry(deletion("a"), 3)])
    assert projection.feedback("a") is None


@pytest.mark.parametrize("from_the_midst", [False, True])
def test_feedback_that_comes_again_does_not_replace_newer(
    projection: Projection, from_the_midst: bool
) -> None:
    """A spool hands over again what it may have handed over before it was killed."""
    early, late = feedback("a", 1), feedback("a", -1, at_ms=3_000)
    entries = [entry(early, 1), entry(late, 2), entry(early, 3)]
    if from_the_midst:
        projection.take(entries[-1:])
    projection.take(entries)
    assert projection.feedback("a") == late
    for each in entries:
        projection.take([each])
    assert projection.feedback("a") == late


def test_feedback_on_a_deleted_turn_stays_away(projection: Projection, path: Path) -> None:
    """Read late by another process, or given after the deletion; a stranger's deletes nothing."""
    early, late = feedback("a", -1), feedback("a", 1, at_ms=3_000)
    projection.take([entry(early, 1), entry(deletion("a"), 2)])
    other = Projection(path, keep_days=DAYS)
    other.take([entry(early, 1)])
    other.close()
    assert projection.feedback("a") is None
    projection.take([entry(late, 3)])
    assert projection.feedback("a") is None
    theirs = feedback("b", 1)
    projection.take([entry(deletion("b", principal="cid"), 4), entry(theirs, 5)])
    assert projection.feedback("b") == theirs


def test_a_forgotten_principals_feedback_is_gone(projection: Projection) -> None:
    """Whichever of the two is read first."""
    projection.take([entry(feedback("a", 1), 1), entry(forgotten(), 0)])
    projection.take([entry(feedback("b", 1), 2)])
    assert projection.feedback("a") is None is projection.feedback("b")
