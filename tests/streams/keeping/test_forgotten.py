"""What is forgotten leaves log and spool, as far as they give it back, and the files' bytes too."""

import base64
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.errors import LogUnavailableError
from streams.keeping import erase, forgotten
from streams.log import dead_letters
from streams.log.contract import Log, Outgoing, Topic, entries_now, outgoing
from streams.log.sqlite import SqliteLog
from streams.open import open_log
from streams.records import Feedback, Forgotten, canonical_json
from streams.settings import StreamsSettings
from streams.spool.file import SpoolFile, open_free
from streams.spool.folder import forget_left
from streams.spool.spool import Spool
from tests.files import on_disk

SECRET = "the-blue-heron"


def word(id: str, principal: str, said_ms: int = 1, text: str = SECRET) -> Outgoing:
    """Return a verdict of somebody, as it goes to the log."""
    record = Feedback(
        id=id, turn_id=f"t-{id}", line="main", principal=principal, session="s", score=-1,
        hint=text, created_ms=said_ms,
    )  # fmt: skip
    return outgoing("feedback", "main/s", record)


def record(principal: str = "ann", at_ms: int = 10) -> Forgotten:
    return Forgotten(id="f", principal=principal, reason="", who="op", created_ms=at_ms)


def ids(log: Log, topic: Topic = "feedback") -> list[str]:
    return [entry.id for entry in entries_now(log, topic)]


def test_the_embedded_log_gives_back_what_they_said_to_the_byte(tmp_path: Path) -> None:
    """Others' records stay with their offsets; what was erased is not in the files' gaps."""
    log = open_log(StreamsSettings(home=tmp_path))
    log.append([word("1", "ann"), word("2", "bob", text="kept"), word("3", "ann", 11, "later")])
    assert SECRET.encode() in on_disk(tmp_path)
    assert erase.count(tmp_path / "log.db", record(), []) == {"feedback": 1}
    assert erase.erase(tmp_path / "log.db", record(), []) == {"feedback": 1}
    assert erase.erase(tmp_path / "log.db", record(), []) == {}
    left = list(entries_now(log, "feedback"))
    assert [(entry.offset, entry.id) for entry in left] == [(1, "2"), (2, "3")]
    assert SECRET.encode() not in on_disk(tmp_path)
    log.append([word("4", "bob")])
    assert ids(log)[-1] == "4"
    log.close()


def test_an_agents_clock_that_ran_ahead_keeps_nothing_in_the_log(tmp_path: Path) -> None:
    """What the log took up to the moment goes, whenever the agent says that it was."""
    now = [0.009]
    log = SqliteLog(tmp_path / "log.db", clock=lambda: now[0])
    log.append([word("1", "ann", 10**12), word("2", "bob", 10**12, "kept")])
    now[0] = 0.011
    log.append([word("3", "ann", 10**12, "later")])
    assert erase.count(tmp_path / "log.db", record(), []) == {"feedback": 1}
    assert erase.erase(tmp_path / "log.db", record(), []) == {"feedback": 1}
    assert ids(log) == ["2", "3"]
    log.close()


def test_dead_letters_of_theirs_go(tmp_path: Path) -> None:
    """A letter with their record, cut or of a newer build, is erased; one of another's stays."""
    log = open_log(StreamsSettings(home=tmp_path))
    newer = {"kind": "feedback", "v": 99, "principal": "ann", "created_ms": 1, "said": SECRET}
    value = canonical_json(newer)
    letters = [Outgoing("feedback", "k", "a", value), word("b", "bob")]
    log.append(dead_letters.of_outgoing(each, "why", max_bytes=2**20, now_ms=1) for each in letters)
    assert erase.erase(tmp_path / "log.db", record(), []) == {"dead-letters": 1}
    (left,) = dead_letters.read_all(log)
    assert left.letter.record_id == "b"
    assert base64.b64encode(value)[:40] not in on_disk(tmp_path)
    log.close()


def test_a_letter_that_is_cut_goes_with_whoever_said_it(tmp_path: Path) -> None:
    """Their words stand before their name, which is cut off, and the letter keeps it."""
    log = open_log(StreamsSettings(home=tmp_path))
    said = {"kind": "turn", "created_ms": 1, "messages": [SECRET * 9_000], "v": 99}
    for name in ("ann", "bob"):
        whole = Outgoing("turns", "k", name, canonical_json({**said, "principal": name}))
        log.append([dead_letters.of_outgoing(whole, "too large", max_bytes=2**16, now_ms=1)])
    assert erase.erase(tmp_path / "log.db", record(), []) == {"dead-letters": 1}
    assert [each.letter.record_id for each in dead_letters.read_all(log)] == ["bob"]
    log.close()


def test_a_letter_is_written_in_the_oldest_version_that_says_as_much() -> None:
    """Builds that do not know who spoke read all letters whose payload still says it."""
    small, large = word("a", "ann"), word("b", "ann", text="x" * 2**16)
    made = [
        dead_letters.letter_of(each, "why", max_bytes=2**16, now_ms=1) for each in (small, large)
    ]
    assert [(each.v, each.speaker, each.said_ms) for each in made] == [
        (1, None, None),
        (2, "ann", 1),
    ]


@pytest.mark.parametrize("cut", [False, True])
def test_letters_of_what_they_said_later_stay(tmp_path: Path, cut: bool) -> None:
    """Whether it was said before counts, or written down before, by whichever clock."""
    now = [0.011]  # seconds, past the moment
    log = SqliteLog(tmp_path / "log.db", clock=lambda: now[0])
    text = "x" * (2**16 if cut else 1)
    for name, said_ms, letter_ms in (("1", 5, 20), ("2", 20, 5), ("3", 20, 20), ("4", 11, 11)):
        letter = dead_letters.of_outgoing(
            word(name, "ann", said_ms, text), "why", max_bytes=2**16, now_ms=letter_ms
        )
        log.append([letter])
    assert erase.erase(tmp_path / "log.db", record(), []) == {"dead-letters": 2}
    assert [each.letter.record_id for each in dead_letters.read_all(log)] == ["3", "4"]
    log.close()


def test_their_letters_are_closed_where_the_log_compacts(log: Log) -> None:
    """On every log a principal's open letters can be closed, which compaction needs."""
    letters = [word("a", "ann"), word("b", "bob")]
    log.append(dead_letters.of_outgoing(each, "why", max_bytes=2**20, now_ms=1) for each in letters)
    assert erase.close_letters(log, record()) == 1
    assert erase.close_letters(log, record()) == 0
    found = {each.letter.record_id: each.closed for each in dead_letters.read_all(log)}
    assert found["b"] is None
    assert found["a"] is not None
    assert found["a"].verb == "drop"


def test_every_forgotten_record_is_found_from_the_beginning(log: Log) -> None:
    """The topic is there on every log, and is read whole."""
    assert forgotten.read_all(log) == []
    log.append(
        [outgoing("forgotten", "ann", record()), outgoing("forgotten", "bob", record("bob"))]
    )
    assert [each.principal for each in forgotten.read_all(log)] == ["ann", "bob"]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(st.sampled_from(["ann", "bob", "drain", "forget", "reopen"]), max_size=14),
    size=st.sampled_from([0, 3_000, 9_000]),
)
def test_a_spool_forgets_in_place_and_keeps_the_order(
    steps: list[str], size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever was put, drained, forgotten and reopened: others' records come once, in order."""
    folder = tmp_path_factory.mktemp("spool")

    def opened() -> SpoolFile:
        file = open_free(folder, max_bytes=2**20, drop_oldest=False)
        assert file is not None
        return file

    files, waiting, count = opened(), list[str](), 0
    for step in steps:
        match step:
            case "drain":
                batch = files.peek(max_records=2, max_bytes=10**6)
                if batch is not None:
                    assert [each.id for each in batch.records] == waiting[: len(batch.records)]
                    del waiting[: len(batch.records)]
                    files.release(batch, drained=True)
            case "forget":
                theirs = [name for name in waiting if name.startswith("ann")]
                gone = files.forget(lambda r: forgotten.said_by(r.value, "ann") is not None)
                assert gone == len(theirs)
                waiting = [name for name in waiting if name not in theirs]
                assert b'"ann"' not in on_disk(folder)
            case "reopen":
                files.close()
                files = opened()
                # What was drained and not yet taken out comes again, before everything else.
                while files.num_records > len(waiting):
                    batch = files.peek(max_records=1, max_bytes=1)
                    assert batch is not None
                    files.release(batch, drained=True)
            case _:
                count += 1
                files.append([word(f"{step}-{count}", step, text=SECRET + "x" * size)])
                waiting.append(f"{step}-{count}")
        assert files.num_records == len(waiting)
    files.close()


class AwayLog:
    """A log that takes nothing until it is told to."""

    def __init__(self) -> None:
        self.back = threading.Event()
        self.taken: list[str] = []

    def append(self, records: list[Outgoing]) -> None:
        if not self.back.is_set():
            raise LogUnavailableError("away")
        self.taken += [each.id for each in records]


@pytest.fixture
def away() -> AwayLog:
    return AwayLog()


@pytest.mark.parametrize("direct", [False, True])
def test_a_running_spool_lets_go_while_the_log_is_away(
    tmp_path: Path, away: AwayLog, direct: bool
) -> None:
    """What waits on disk never reaches the log; what is said afterwards does."""
    settings, append = StreamsSettings(home=tmp_path), away.append if direct else None
    spool = Spool(tmp_path, away, settings, direct=append)  # type: ignore[arg-type]
    spool.put([word("1", "ann"), word("2", "bob"), word("3", "ann", 11, "later")]).result()
    spool.forget("ann", 10)
    away.back.set()
    assert spool.wait_drained(30)
    spool.put([word("4", "ann"), word("5", "bob")]).result()  # was on its way to the disk
    assert spool.wait_drained(30)
    spool.close()
    assert away.taken == ["2", "3", "5"]


def test_what_a_dead_process_left_is_forgotten_from_outside(tmp_path: Path, away: AwayLog) -> None:
    """A spool that nobody holds is cleaned; one that is held is left to its process."""
    settings = StreamsSettings(home=tmp_path)
    spool = Spool(tmp_path, away, settings)  # type: ignore[arg-type]
    spool.put([word("1", "ann"), word("2", "bob", text="kept")]).result()
    assert forget_left(tmp_path, "ann", 10, settings) == 0
    spool.close(drain_s=0)
    assert forget_left(tmp_path, "ann", 10, settings) == 1
    assert SECRET.encode() not in on_disk(tmp_path)
    away.back.set()
    later = Spool(tmp_path, away, settings)  # type: ignore[arg-type]
    assert later.wait_drained(30)
    later.close()
    assert away.taken == ["2"]
