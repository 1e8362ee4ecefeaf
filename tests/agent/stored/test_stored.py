"""Stored replies are found at once, after a restart and on another replica; else it is said."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from agent.errors import NotFoundError, UnavailableError
from agent.stored.arrivals import MOST_WAITING, Arrivals
from agent.stored.projection import Projection
from agent.stored.stored import REMEMBERED, Stored
from agent.turn.response_ids import ResponseIds
from streams.errors import LogUnavailableError
from streams.log.contract import Entry, Partition, Topic
from streams.log.sqlite import SqliteLog, SqliteSubscription
from tests.agent.stored.records import deletion, feedback, forgotten, sent, spoil, stored

IDS = ResponseIds(b"secret")
SESSION = "0" * 32
Open = Callable[..., Stored]


def new_id(principal: str = "ann") -> str:
    return IDS.new(principal=principal, session=SESSION, prefix="resp_")


@pytest.fixture
def log(tmp_path: Path) -> SqliteLog:
    return SqliteLog(tmp_path / "log.db")


@pytest.fixture
async def open_stored(tmp_path: Path, log: SqliteLog) -> AsyncIterator[Open]:
    """A function that starts a replica, by the name of its folder."""
    opened: list[Stored] = []

    def start(name: str, *, arrive_s: float = 0.2) -> Stored:
        projection = Projection(tmp_path / name / "responses.db", keep_days=30)
        opened.append(Stored(projection, log, IDS, poll_s=0.01, wait_s=10, arrive_s=arrive_s))
        opened[-1].start()
        return opened[-1]

    yield start
    for each in opened:
        await asyncio.to_thread(each.stop)
    log.close()


async def test_a_reply_is_found_at_once_and_for_ever(open_stored: Open, log: SqliteLog) -> None:
    """From memory before the log has it, from the file after a restart, on another replica too."""
    stored_here, turn = open_stored("one"), stored(new_id())
    stored_here.add(turn)
    assert await stored_here.find(turn.id, "ann") == turn
    log.append([sent(turn)])
    await asyncio.to_thread(stored_here.stop)
    for name in ("one", "two"):
        assert await open_stored(name).find(turn.id, "ann") == turn


async def test_memory_does_not_grow(open_stored: Open, log: SqliteLog) -> None:
    """What the log has given back is found in the file; what it never gives back is bounded."""
    here = open_stored("one")
    turns = [stored(new_id()) for _ in range(5)]
    for turn in turns:
        here.add(turn)
    log.append([sent(turn) for turn in turns])
    last = stored(new_id())
    log.append([sent(last)])
    await here.find(last.id, "ann")  # so all has been read
    assert here.remembered == 0
    assert await here.find(turns[0].id, "ann") == turns[0]
    for _ in range(REMEMBERED + 10):
        here.add(stored(new_id()))
    assert here.remembered == REMEMBERED


async def test_a_deleted_reply_is_gone_everywhere(open_stored: Open, log: SqliteLog) -> None:
    """At once where it was deleted, also when the log gives the turn back only then."""
    here, there, turn = open_stored("one"), open_stored("two"), stored(new_id())
    here.add(turn)
    here.drop(turn.id)
    read = stored(new_id())
    log.append([sent(turn), sent(read)])
    await here.find(read.id, "ann")  # so the turn has been read before it
    with pytest.raises(NotFoundError):
        await here.find(turn.id, "ann")
    log.append([sent(deletion(turn.id))])
    marker = stored(new_id())
    log.append([sent(marker)])
    for replica in (here, there):
        await replica.find(marker.id, "ann")
        with pytest.raises(NotFoundError):
            await replica.find(turn.id, "ann")


async def test_feedback_goes_with_the_deleted_reply(open_stored: Open, log: SqliteLog) -> None:
    """At once, and what could not be recorded is not there either."""
    here, lost, dropped = open_stored("one"), feedback(new_id(), 1), feedback(new_id(), 1)
    for each in (lost, dropped):
        here.add(each)
        assert await here.feedback(each.turn_id, "ann") == each
    here.lose(lost)
    here.drop(dropped.turn_id)
    log.append([sent(dropped), sent(deletion(dropped.turn_id))])
    for each in (lost, dropped):
        with pytest.raises(NotFoundError):
            await here.feedback(each.turn_id, "ann")
    later = lost.model_copy(update={"id": "later", "score": -1})
    here.add(later)
    here.lose(lost)  # another came meanwhile
    assert await here.feedback(lost.turn_id, "ann") == later


async def test_what_a_principal_said_is_forgotten(open_stored: Open, log: SqliteLog) -> None:
    """In memory and in the file, up to the moment; what others said stays."""
    early, late = stored(new_id(), at_ms=1_000), stored(new_id(), at_ms=2**42)
    theirs = stored(new_id("bob"), principal="bob")
    here = open_stored("one")
    for turn in (early, late, theirs):
        here.add(turn)
    here.forget(forgotten(at_ms=5_000))
    log.append([sent(record) for record in (forgotten(at_ms=2**41), early, late, theirs)])
    for replica in (here, open_stored("two")):
        with pytest.raises(NotFoundError):
            await replica.find(early.id, "ann")
        assert await replica.find(theirs.id, "bob") == theirs


async def test_only_its_principal_finds_a_reply(open_stored: Open) -> None:
    """An invented id, somebody else's and one that was never stored are the same to all others."""
    here, turn = open_stored("one"), stored(new_id())
    here.add(turn)
    told = set()
    for response_id, principal in ((turn.id, "bob"), ("resp_1", "ann"), (f"{turn.id}-1", "ann")):
        with pytest.raises(NotFoundError) as caught:
            await here.find(response_id, principal)
        told.add(caught.value.code)
    assert told == {"response_not_found"}


@pytest.mark.parametrize("num_more", [0, 5])
async def test_another_log_is_read_from_its_beginning(
    open_stored: Open, log: SqliteLog, tmp_path: Path, num_more: int
) -> None:
    """A file that was made from a log that is not there any more is made anew.

    Whether the other log is shorter than what was read, or has grown past it.
    """
    turn = stored(new_id())
    log.append([sent(turn)] * 3)
    here = open_stored("one")
    await here.find(turn.id, "ann")
    await asyncio.to_thread(here.stop)
    other = SqliteLog(tmp_path / "other.db")
    newer = stored(new_id())
    other.append([sent(newer), *(sent(stored(new_id())) for _ in range(num_more))])
    projection = Projection(tmp_path / "one" / "responses.db", keep_days=30)
    again = Stored(projection, other, IDS, poll_s=0.01, wait_s=10, arrive_s=0.2)
    again.start()
    assert await again.find(newer.id, "ann") == newer
    with pytest.raises(NotFoundError):
        await again.find(turn.id, "ann")
    await asyncio.to_thread(again.stop)
    other.close()


async def test_a_damaged_file_is_read_anew_from_the_log(
    open_stored: Open, log: SqliteLog, tmp_path: Path
) -> None:
    """Whoever asks meanwhile is told to ask again, and nobody that a reply is not stored."""
    turns = [stored(new_id()) for _ in range(300)]
    log.append([sent(turn) for turn in turns])
    here = open_stored("one")
    assert await here.find(turns[-1].id, "ann") == turns[-1]
    await asyncio.to_thread(here.stop)
    spoil(tmp_path / "one" / "responses.db")
    again, met = open_stored("one"), 0
    for turn in turns:
        while True:
            try:
                assert await again.find(turn.id, "ann") == turn
                break
            except UnavailableError:
                met += 1
                await asyncio.sleep(0.01)
    assert met > 0


class AwayLog(SqliteLog):
    """A log that cannot be reached."""

    def end_offsets(self, topic: Topic) -> dict[Partition, int]:  # noqa: ARG002
        raise LogUnavailableError("away")


async def test_a_log_that_is_away_is_said(tmp_path: Path) -> None:
    """What is in memory is found; what may be in the log is a 503, not a 404."""
    log = AwayLog(tmp_path / "log.db")
    here = Stored(Projection(tmp_path / "r.db", keep_days=30), log, IDS, poll_s=0.01)
    here.start()
    turn = stored(new_id())
    here.add(turn)
    assert await here.find(turn.id, "ann") == turn
    with pytest.raises(UnavailableError) as caught:
        await here.find(new_id(), "ann")
    assert int(caught.value.headers["Retry-After"]) > 0
    await asyncio.to_thread(here.stop)
    log.close()


class FlakyLog(SqliteLog):
    """A log that can be out of reach for a while."""

    away = False

    def end_offsets(self, topic: Topic) -> dict[Partition, int]:
        if self.away:
            raise LogUnavailableError("away")
        return super().end_offsets(topic)

    def subscribe(self, *args: Any, **named: Any) -> SqliteSubscription:
        if self.away:
            raise LogUnavailableError("away")
        subscription = super().subscribe(*args, **named)
        read = subscription.poll

        def poll(**how: Any) -> list[Entry]:
            if self.away:
                raise LogUnavailableError("away")
            return read(**how)

        subscription.poll = poll  # type: ignore[method-assign]
        return subscription


async def test_what_another_process_read_is_let_go(
    open_stored: Open, log: SqliteLog, tmp_path: Path
) -> None:
    """Of two agents in one home, one cannot read for a while: then it shows what both have."""
    flaky = FlakyLog(tmp_path / "log.db")
    projection = Projection(tmp_path / "one" / "responses.db", keep_days=30)
    here, there = Stored(projection, flaky, IDS, poll_s=0.01, wait_s=10), open_stored("one")
    here.start()
    turn, first, last = stored(new_id()), stored(new_id()), stored(new_id())
    log.append([sent(first)])
    for each in (here, there):
        await each.find(first.id, "ann")
    flaky.away = True
    early, late = feedback(turn.id, -1), feedback(turn.id, 1, at_ms=3_000)
    gone = stored(new_id())
    for record in (turn, gone, early):
        here.add(record)
    log.append([sent(record) for record in (turn, gone, early, late, deletion(gone.id), last)])
    await there.find(last.id, "ann")
    await there.feedback(turn.id, "ann")  # all is read
    await asyncio.sleep(0.1)  # `here` has met the log that is away
    flaky.away = False
    marker = stored(new_id())
    log.append([sent(marker)])
    await here.find(marker.id, "ann")  # so it reads again
    assert await here.feedback(turn.id, "ann") == late
    with pytest.raises(NotFoundError):
        await here.find(gone.id, "ann")
    assert here.remembered == 0
    await asyncio.to_thread(here.stop)
    flaky.close()


async def test_a_reply_that_is_being_recorded_is_waited_for(
    open_stored: Open, log: SqliteLog
) -> None:
    """A client goes on at another replica before the one that made the reply has recorded it."""
    there, turn = open_stored("two", arrive_s=10), stored(new_id())
    asking = [asyncio.create_task(there.find(turn.id, "ann")) for _ in range(3)]
    await asyncio.sleep(0.1)
    assert not any(each.done() for each in asking)
    log.append([sent(turn)])
    assert await asyncio.gather(*asking) == [turn] * 3


async def test_a_reply_is_waited_for_where_it_is_made(open_stored: Open) -> None:
    """Whoever asks before it is told finds it then, and that it is not to be stored."""
    here = open_stored("one", arrive_s=10)
    turn, unstored = stored(new_id()), stored(new_id(), kept=False)
    asking = [asyncio.create_task(here.find(each.id, "ann")) for each in (turn, unstored)]
    await asyncio.sleep(0.1)
    for each in (turn, unstored):
        here.add(each)
    found, missing = await asyncio.gather(*asking, return_exceptions=True)
    assert found == turn
    assert isinstance(missing, NotFoundError)


async def test_what_never_comes_is_waited_for_once(log: SqliteLog, tmp_path: Path) -> None:
    """Not at all where it was made not to be stored, or is deleted; it is told what may be."""
    here = Stored(Projection(tmp_path / "r.db", keep_days=30), log, IDS, arrive_s=1)
    here.start()
    unstored, gone, unknown = (stored(new_id(), kept=kept) for kept in (False, True, True))
    here.add(unstored)
    log.append([sent(gone), sent(deletion(gone.id))])
    took_s = []
    for turn in (unstored, gone, unknown, unknown):
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(NotFoundError, match="not here yet"):
            await here.find(turn.id, "ann")
        took_s.append(asyncio.get_running_loop().time() - began_s)
    assert took_s[2] > 0.9 > took_s[3]
    log.append([sent(unknown)])
    assert await here.find(unknown.id, "ann") == unknown  # later than anybody waits
    await asyncio.to_thread(here.stop)


async def test_few_wait_at_a_time() -> None:
    """Whoever comes when many wait is told at once; the others go on when theirs has come."""
    arrivals = Arrivals(10)
    with ExitStack() as stack:
        came = [stack.enter_context(arrivals.expected(f"t{n}")) for n in range(MOST_WAITING)]
        waiting = [asyncio.create_task(arrivals.wait(f"t{n}", each)) for n, each in enumerate(came)]
        await asyncio.sleep(0)
        with arrivals.expected("more") as more:
            assert not await arrivals.wait("more", more)
        for n in range(MOST_WAITING):
            arrivals.come(f"t{n}")
        assert all(await asyncio.gather(*waiting))
    assert not arrivals.waiting
