"""What is old goes, a little at a time; what serves, what is unread and what is under way stays."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import col, select

from streams.keeping.leap import DAY_MS
from streams.keeping.retention import AGEING, BATCH, Retention
from streams.log.contract import TOPICS, Entry, Outgoing, Partition, Topic
from streams.log.sqlite import SqliteLog
from streams.settings import StreamsSettings
from streams.store.offsets import advance, first_time
from streams.store.rest_tables import RestRow
from streams.store.states import TurnState
from streams.store.store import Store, open_store
from streams.store.tables import GenerationRow, JudgementRow, SeenRow, TurnRow

DAYS = 10
NOW_MS = 1_000 * DAY_MS


class Clock:
    """A clock that tests set, in days."""

    def __init__(self) -> None:
        self.day = 1_000.0

    def __call__(self) -> float:
        """Unix seconds."""
        return self.day * DAY_MS / 1000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(tmp_path: Path, clock: Clock) -> Iterator[SqliteLog]:
    opened = SqliteLog(tmp_path / "log.db", clock=clock)
    yield opened
    opened.close()


def put(log: SqliteLog, topic: Topic, *ids: str) -> None:
    log.append(Outgoing(topic, "k", id, b"x" * 100) for id in ids)


def left(log: SqliteLog, topic: Topic) -> list[tuple[int, str]]:
    """Return offset and id of what a new reader finds."""
    reader = log.subscribe([topic], group=None, positions=lambda _: {})
    found = []
    while entries := reader.poll(wait_s=0):
        found += [(entry.offset, entry.id) for entry in entries]
    reader.close()
    return found


def seen(store: Store, *, time_ms: int, id: str = "new", group: str = "learner/main") -> None:
    with store.transaction() as session:
        entry = Entry(Partition("turns", 0), 0, "k", id, b"", time_ms)
        assert first_time(session, group, entry)


def passed(store: Store, group: str, *offsets: int) -> None:
    with store.transaction() as session:
        places = [Partition("turns", 0), Partition("feedback", 0)]
        entries = [Entry(p, offset, "k", "i", b"", 0) for p in places for offset in offsets]
        advance(session, group, entries)


def prune(store: Store, retention: Retention, *, now_ms: int = NOW_MS) -> int:
    """Prune until nothing is old, and give how much went."""
    gone = 0
    while True:
        with store.transaction() as session:
            some = retention.prune(session, now_ms=now_ms)
        if not some:
            return gone
        gone += some


def retention_of(line: str, *, log: SqliteLog | None, batch: int = BATCH) -> Retention:
    """Make what a line's learner prunes with."""
    return Retention(DAYS, line=line, group=f"learner/{line}", log=log, batch=batch)


def talk(
    id: str,
    *,
    day: float,
    said_day: float | None = None,
    state: TurnState = "judged",
    line: str = "main",
    sequence: int = 1,
) -> TurnRow:
    said = day if said_day is None else said_day
    return TurnRow(
        id=id, line=line, version="v", principal="p", session="s", key="k", prefix_key="pk",
        state=state, sequence=sequence, record={"messages": ["words"]}, next_state=["more words"],
        target={"token_ids": [1]}, uses=2,
        created_ms=int(said * DAY_MS), taken_ms=int(day * DAY_MS),
    )  # fmt: skip


def came(log: SqliteLog, store: Store, clock: Clock, *days: float) -> Iterator[float]:
    """Let a turn come on each of these days, and be read; they are named by numbers from 1 on."""
    for sequence, day in enumerate(days, 1):
        clock.day, id = day, str(sequence)
        put(log, "turns", id)
        passed(store, "learner/main", sequence - 1)
        seen(store, time_ms=int(day * DAY_MS), id=id)
        with store.transaction() as session:
            session.add(talk(id, day=day, sequence=sequence))
        yield day


def judged(store: Store) -> list[str]:
    """Return the turns that still speak, in the order in which they came."""
    speaking = select(TurnRow.id).where(TurnRow.state == "judged")
    with store.reading() as session:
        return list(session.exec(speaking.order_by(col(TurnRow.sequence))))


def test_old_records_that_everybody_has_passed_go(
    log: SqliteLog, store: Store, clock: Clock
) -> None:
    """Age and every group's place decide together; offsets keep their meaning."""
    for day, id in ((980, "a"), (985, "b"), (986, "c"), (995, "d")):
        clock.day = day
        for topic in TOPICS:
            put(log, topic, id)
    seen(store, time_ms=NOW_MS)
    retention = retention_of("main", log=log)
    prune(store, retention)
    assert [id for _, id in left(log, "turns")] == ["a", "b", "c", "d"]  # nobody has read them
    assert left(log, "judgements") == [(3, "d")]
    passed(store, "learner/main", 0, 1, 2, 3)
    passed(store, "auditor", 0, 1)
    prune(store, retention)
    assert left(log, "turns") == left(log, "feedback") == [(2, "c"), (3, "d")]
    passed(store, "auditor", 2)
    prune(store, retention)
    assert left(log, "turns") == [(3, "d")]
    put(log, "turns", "e")
    assert left(log, "turns") == [(3, "d"), (4, "e")]
    for topic in set(TOPICS) - set(AGEING):
        assert [id for _, id in left(log, topic)] == ["a", "b", "c", "d"]


@settings(max_examples=30, deadline=None)
@given(
    days=st.lists(st.integers(970, 1_000), max_size=30).map(sorted),
    read=st.integers(0, 30),
    batch=st.integers(1, 7),
)
def test_a_reader_misses_nothing_that_is_young_or_unread(
    tmp_path_factory: pytest.TempPathFactory, days: list[int], read: int, batch: int
) -> None:
    """Whatever was appended when and read how far, exactly the old and read is gone."""
    folder, clock = tmp_path_factory.mktemp("kept"), Clock()
    log, store = SqliteLog(folder / "log.db", clock=clock), open_store(StreamsSettings(home=folder))
    for number, day in enumerate(days):
        clock.day = day
        put(log, "turns", str(number))
    if read:
        passed(store, "learner/main", *range(read))
    seen(store, time_ms=NOW_MS)
    prune(store, retention_of("main", log=log, batch=batch))
    young = [n for n, day in enumerate(days) if day >= 1_000 - DAYS or n >= read]
    assert left(log, "turns") == [(n, str(n)) for n in young]
    log.close()
    store.close()


def test_the_file_stops_growing(log: SqliteLog, store: Store, clock: Clock) -> None:
    """With appends and pruning in balance its size is that of what is kept."""
    sizes = []
    for day in range(1_000, 1_060):
        clock.day = day
        put(log, "judgements", *(f"{day}-{n}" for n in range(200)))
        seen(store, time_ms=day * DAY_MS, id=str(day))
        prune(store, retention_of("main", log=log), now_ms=day * DAY_MS)
        with closing(sqlite3.connect(log.path)) as file:
            sizes.append(file.execute("PRAGMA page_count").fetchone()[0])
    assert max(sizes[30:]) <= max(sizes[:30])


def test_old_ids_go_and_young_ones_tell_duplicates(store: Store) -> None:
    """A second one is told apart for at least as long as the log keeps the first."""
    for day in (980, 985, 995, 1_000):
        seen(store, time_ms=day * DAY_MS, id=f"day {day}")
    prune(store, retention_of("main", log=None, batch=1))
    with store.reading() as session:
        assert set(session.exec(select(SeenRow.id))) == {"turns/day 995", "turns/day 1000"}


def test_a_line_prunes_its_own_rows_and_no_other_lines(store: Store) -> None:
    """What another learner may be working with is its own to let go of."""
    lines = ("main", "other")
    for line in lines:
        for day, id in ((980, "old"), (990, "between"), (1_000, "new")):
            seen(store, time_ms=day * DAY_MS, id=id, group=f"learner/{line}")
    with store.transaction() as session:
        session.add_all(talk(f"turn of {line}", day=980, line=line) for line in lines)
    prune(store, retention_of("other", log=None))
    with store.reading() as session:
        states = dict(session.exec(select(TurnRow.line, TurnRow.state)).all())
        old = session.exec(select(SeenRow.group).where(SeenRow.time_ms < 990 * DAY_MS)).all()
    assert states == {"main": "judged", "other": "expired"}
    assert old == ["learner/main"]


def test_nothing_goes_that_a_line_has_not_read(log: SqliteLog, store: Store, clock: Clock) -> None:
    """Whichever line prunes, and whether the other has read part of a topic or none of it."""
    clock.day = 980
    put(log, "turns", "a", "b", "c")
    put(log, "feedback", "f")
    seen(store, time_ms=NOW_MS)
    passed(store, "learner/main", 0, 1, 2)
    with store.transaction() as session:
        turns = Partition("turns", 0)
        advance(session, "learner/other", [Entry(turns, 0, "k", "a", b"", 0)])
    for line in ("main", "other"):
        prune(store, retention_of(line, log=log))
        assert [id for _, id in left(log, "turns")] == ["b", "c"]
        assert [id for _, id in left(log, "feedback")] == ["f"]
    passed(store, "learner/other", 1, 2)
    prune(store, retention_of("main", log=log))
    assert left(log, "turns") == left(log, "feedback") == []


def test_old_turns_keep_their_counts_and_lose_their_words(store: Store) -> None:
    """Except while a generation that was planned with them is under way."""
    seen(store, time_ms=NOW_MS)
    with store.transaction() as session:
        for id, day in (("old", 980), ("planned", 980), ("young", 995)):
            session.add(talk(id, day=day))
            session.add(
                JudgementRow(
                    id=id, turn_id=id, principal="p", source="explicit", score=-1, confidence=1.0,
                    hint="Call me Ada.", evidence="", created_ms=1,
                )
            )  # fmt: skip
        session.add(
            GenerationRow(
                id="g",
                line="main",
                number=1,
                parent="v",
                key="k",
                state="planned",
                turn_ids=["planned"],
                planned_ms=0,
            )
        )
    prune(store, retention_of("main", log=None))
    with store.reading() as session:
        rows = {row.id: row for row in session.exec(select(TurnRow))}
        verdicts = {row.id: (row.score, row.hint) for row in session.exec(select(JudgementRow))}
    kept = (-1, "Call me Ada.")
    assert verdicts == {"old": (-1, None), "planned": kept, "young": kept}
    assert {id: row.state for id, row in rows.items()} == {
        "old": "expired", "planned": "judged", "young": "judged",
    }  # fmt: skip
    old = rows["old"]
    assert (old.record, old.next_state, old.target, old.session, old.key) == (
        {},
        None,
        None,
        "",
        "",
    )
    assert (old.uses, old.principal, old.version) == (2, "p", "v")
    assert rows["young"].record == {"messages": ["words"]}


def test_feedback_goes_whose_turn_never_came(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """As old as the log says, whatever the agent's clock said, a little at a time; and no other."""
    caplog.set_level("INFO")
    waits = "feedback, before its turn"
    with store.transaction() as session:
        for id, day, said_day, evidence in (
            ("old", 980, 980, waits), ("ahead", 981, 9_000, waits), ("behind", 991, 10, waits),
            ("young", 991, 991, waits), ("used", 980, 980, "feedback"),
        ):  # fmt: skip
            entry = Entry(Partition("feedback", 0), 0, "k", id, b"", day * DAY_MS)
            assert first_time(session, "learner/main", entry)
            session.add(
                JudgementRow(
                    id=id, turn_id=f"turn of {id}", principal="p", source="explicit", score=-1,
                    confidence=1.0, hint="Call me Ada.", evidence=evidence,
                    created_ms=said_day * DAY_MS,
                )
            )  # fmt: skip
    for line in ("other", "main"):
        seen(store, time_ms=NOW_MS, group=f"learner/{line}")
        prune(store, retention_of(line, log=None, batch=1))
        with store.reading() as session:
            left = set(session.exec(select(JudgementRow.id)))
        gone = {"old", "ahead"} if line == "main" else set()
        assert left == {"old", "ahead", "behind", "young", "used"} - gone
    told = [record.getMessage() for record in caplog.records]
    assert told == ["too old to wait for turns that never came: ratings, 1"] * 2


@pytest.mark.parametrize("size", [1_500, 9_000])
def test_emptied_turns_give_their_disk_back(tmp_path: Path, size: int) -> None:
    """However long they were, they share pages then; and each stands where it stood."""
    store = open_store(StreamsSettings(home=tmp_path))
    seen(store, time_ms=NOW_MS)
    empty = in_use(store)
    with store.transaction() as session:
        for number in range(400):
            row = talk(f"turn {number}", day=980 if number < 360 else 995, sequence=number)
            row.record, row.notes = {"text": "é" + "x" * size}, [number]
            session.add(row)
    before, full = standing(store), in_use(store) - empty
    assert prune(store, retention_of("main", log=None, batch=70)) == 360
    after = standing(store)
    assert [row[:2] for row in after] == [row[:2] for row in before]
    assert after[360:] == before[360:]
    assert in_use(store) - empty <= full / 10 + 360 * 800
    store.close()


def standing(store: Store) -> list[tuple[Any, ...]]:
    """Return the turns as they stand in the file, each after its place."""
    with store.reading() as session:
        found = session.connection().exec_driver_sql(
            "SELECT rowid, turns.* FROM turns ORDER BY rowid"
        )
        return [tuple(row) for row in found]


def in_use(store: Store) -> int:
    """Return how many bytes of the file hold something; 0: PostgreSQL gives pages back itself."""
    if store.engine.dialect.name != "sqlite":
        return 0
    with store.reading() as session:
        one = session.connection().exec_driver_sql
        pages, free, size = (
            one(f"PRAGMA {name}").scalar_one()
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)


@pytest.mark.fault("clock jump")
def test_a_clock_that_jumps_ahead_prunes_nothing(log: SqliteLog, store: Store) -> None:
    """Years ahead by the learner's clock, but not by what it read, nothing is old."""
    put(log, "turns", "a")
    passed(store, "learner/main", 0)
    seen(store, time_ms=NOW_MS)
    with store.transaction() as session:
        session.add(talk("t", day=1_000))
    assert (
        prune(
            store,
            retention_of("main", log=log),
            now_ms=NOW_MS + 5_000 * DAY_MS,
        )
        == 0
    )
    seen(store, time_ms=NOW_MS + 4_000 * DAY_MS, id="from a clock that ran ahead")
    assert prune(store, retention_of("main", log=log)) == 0


@pytest.mark.fault("clock jump")
def test_an_agent_whose_clock_is_wrong_loses_nothing(store: Store) -> None:
    """Years behind or ahead, what it said is as old as the log says."""
    seen(store, time_ms=NOW_MS)
    with store.transaction() as session:
        session.add(talk("behind", day=1_000, said_day=10))
        session.add(talk("ahead", day=980, said_day=9_000))
    assert prune(store, retention_of("main", log=None)) == 1
    with store.reading() as session:
        states = {row.id: row.state for row in session.exec(select(TurnRow))}
    assert states == {"behind": "judged", "ahead": "expired"}


@pytest.mark.fault("clock jump")
def test_a_machine_that_starts_with_its_clock_ahead_prunes_nothing(
    log: SqliteLog, store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Agent and learner both believe it; why nothing goes is said once, until it is set right."""
    list(came(log, store, clock, 998, 999, 1_100, 1_101, 1_106.9))
    retention = retention_of("main", log=log)
    for now_day in (1_100, 1_101, 1_106.9, 1_000):
        assert prune(store, retention, now_ms=int(now_day * DAY_MS)) == 0
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert "1972-09-26 is followed by records of 1973-01-05" in told[0]
    assert len(left(log, "turns")) == 5


def test_a_service_that_slept_prunes_when_records_have_come_for_a_week(store: Store) -> None:
    """Also where its process starts anew each time: it is told by the records alone."""
    for day in (990, 1_100, 1_107):
        seen(store, time_ms=day * DAY_MS, id=str(day))
        with store.transaction() as session:
            session.add(talk(str(day), day=day))
        gone = prune(store, retention_of("main", log=None), now_ms=day * DAY_MS)
        assert gone == (2 if day == 1_107 else 0)  # a turn, and its id
    with store.reading() as session:
        states = {row.id: row.state for row in session.exec(select(TurnRow))}
    assert states == {"990": "expired", "1100": "judged", "1107": "judged"}


@pytest.mark.fault("clock jump")
@pytest.mark.parametrize("behind_day", [0.01, 900])
def test_what_came_behind_the_young_is_young(
    log: SqliteLog, store: Store, clock: Clock, behind_day: float
) -> None:
    """An agent whose clock was never set, or is behind, dates what it says by that."""
    list(came(log, store, clock, 980, 999, behind_day, behind_day, 1_000))
    seen(store, time_ms=991 * DAY_MS, id="of another line")
    prune(store, retention_of("main", log=log))
    assert [id for _, id in left(log, "turns")] == judged(store) == ["2", "3", "4", "5"]


@pytest.mark.parametrize("days", [1, 7])
def test_a_service_that_is_used_more_rarely_than_it_keeps_prunes(
    log: SqliteLog, store: Store, clock: Clock, caplog: pytest.LogCaptureFixture, days: int
) -> None:
    """What is old beside the use before goes with each use, and the warning stands there once."""
    retention = Retention(days, line="main", group="learner/main", log=log)
    for day in came(log, store, clock, *(900 + n * (days + 1) for n in range(9))):
        for _ in range(2):
            prune(store, retention, now_ms=int(day * DAY_MS))
    assert [id for _, id in left(log, "turns")] == judged(store) == ["8", "9"]
    with store.reading() as session:
        assert sorted(session.exec(select(SeenRow.id))) == ["turns/8", "turns/9"]
    assert len(caplog.records) == 1


def test_a_second_leap_is_told_again(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """The first was believed by then."""
    retention = retention_of("main", log=None)
    for day in (1_000, 1_100, 1_107, 1_200):
        seen(store, time_ms=day * DAY_MS, id=str(day))
        prune(store, retention, now_ms=day * DAY_MS)
    assert len(caplog.records) == 2


@pytest.mark.fault("clock jump")
def test_a_clock_that_is_ahead_prunes_what_is_old_without_it_and_no_more(
    log: SqliteLog, store: Store, clock: Clock
) -> None:
    """The records before the leap say what is young, also of what came behind it."""
    list(came(log, store, clock, 980, 989, 990, 1_000, 1_100, 1_101, 0.01))
    prune(store, retention_of("main", log=log), now_ms=1_101 * DAY_MS)
    assert [id for _, id in left(log, "turns")] == judged(store) == ["3", "4", "5", "6", "7"]


def test_a_deletion_that_came_before_its_turn_keeps_nothing_back(store: Store) -> None:
    """What it left has no place among the turns, whenever it was said."""
    seen(store, time_ms=NOW_MS)
    with store.transaction() as session:
        session.add(talk("deleted", day=999, state="forgotten", sequence=0))
        session.add(talk("old", day=980, sequence=1))
    assert prune(store, retention_of("main", log=None)) == 1


@pytest.mark.fault("clock jump")
def test_no_clock_that_is_behind_makes_anything_go_or_stay(store: Store) -> None:
    """However many turns it has dated, and however far another was behind that."""
    seen(store, time_ms=NOW_MS)
    with store.transaction() as session:
        days = [980] * 300 + [999] * 10 + [5] * 600 + [1] * 600
        session.add_all(
            talk(str(sequence), day=day, sequence=sequence, state="open" if day == 5 else "judged")
            for sequence, day in enumerate(days, 1)
        )
    assert prune(store, retention_of("main", log=None)) == 300
    with store.reading() as session:
        gone = session.exec(select(TurnRow.sequence).where(TurnRow.state == "expired")).all()
    assert sorted(gone) == list(range(1, 301))


def test_turns_of_a_plan_keep_no_other_back(store: Store) -> None:
    """Though more of them stand first than go at a time."""
    seen(store, time_ms=NOW_MS)
    with store.transaction() as session:
        session.add_all(talk(str(n), day=980, sequence=n) for n in range(1, 9))
        session.add(
            GenerationRow(
                id="g", line="main", number=1, parent="v", key="k", state="planned",
                turn_ids=["1", "2", "3", "4", "5"], planned_ms=0,
            )
        )  # fmt: skip
    assert prune(store, retention_of("main", log=None, batch=2)) == 3


@pytest.mark.parametrize("id", ["half \ud83d", "nul \0", "dle \x10"])
def test_any_turn_gives_its_disk_back(store: Store, id: str) -> None:
    """Also one whose id no database takes as it is: agents take ids from requests."""
    seen(store, time_ms=NOW_MS)
    empty = in_use(store)
    with store.transaction() as session:
        for number in range(60):
            row = talk(f"{id} {number}", day=980, sequence=number + 1)
            row.record = {"text": "x" * 1_500}
            session.add(row)
    assert prune(store, retention_of("main", log=None)) == 60
    assert in_use(store) - empty <= 60 * 1_200


@pytest.mark.parametrize("batch", [2, BATCH])
def test_old_rests_go_with_the_turns_that_they_stood_between(store: Store, batch: int) -> None:
    """Not before a turn has gone, for a run without somebody needs them; and never the newest."""
    seen(store, time_ms=NOW_MS)
    with store.transaction() as session:
        for line in ("main", "other"):
            session.add(talk(f"new-{line}", day=995, line=line))
            for place, day in enumerate((900, 901, 902, 995), start=1):
                session.add(rest(line, place, day))
            session.add(rest(f"{line}-still", 1, 900))
            session.add(talk(f"old-{line}-still", day=900, line=f"{line}-still"))
    for line in ("main", "main-still"):
        prune(store, retention_of(line, log=None, batch=batch))
    assert rests(store, "main") == [1, 2, 3, 4]
    assert rests(store, "main-still") == [1]
    with store.transaction() as session:
        session.add(talk("old", day=900))
    prune(store, retention_of("main", log=None, batch=batch))
    assert rests(store, "main") == [4]
    assert rests(store, "other") == [1, 2, 3, 4]


def rest(line: str, place: int, day: float) -> RestRow:
    moment_ms = int(day * DAY_MS)
    return RestRow(
        line=line, number=0, place=place, horizon={}, rested_ms=moment_ms, until_ms=moment_ms
    )


def rests(store: Store, line: str) -> list[int]:
    with store.reading() as session:
        found = session.exec(select(RestRow).where(RestRow.line == line))
        return sorted(row.place for row in found)
