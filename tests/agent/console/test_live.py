"""How changes reach open pages, and what a slow store may not hold up."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.console import live
from agent.console.live import HEARTBEAT_S, Shared, Texts, event, stream
from agent.console.read.sections import NO_ANSWER, Sections
from streams.errors import StoreUnavailableError
from streams.log.contract import Partition, Topic
from streams.settings import StreamsSettings
from streams.store.store import open_store
from streams.store.tables import LeaseRow, OffsetRow
from tests.agent.console.rows import FakeService


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now_s


class Source:
    """Texts that a test sets, and how often they were read."""

    def __init__(self) -> None:
        self.sections: Texts = {"a": "1", "b": "2"}
        self.num_reads = 0

    async def read(self) -> Texts:
        """The sections."""
        self.num_reads += 1
        return self.sections


def follow(shared: Shared, clock: Clock, closing: asyncio.Event | None = None) -> Any:
    """Open a page."""
    parts: AsyncIterator[bytes] = stream(
        shared, closing=closing or asyncio.Event(), connected=lambda: True, clock=clock
    )
    return parts


async def test_a_page_gets_all_and_then_the_difference() -> None:
    """The first event holds every section, the next only the changed one."""
    source, clock = Source(), Clock()
    parts = follow(Shared(source.read, interval_s=0, clock=clock), clock)
    assert await anext(parts) == b"retry: 1000\n\n"
    assert await anext(parts) == event({"a": "1", "b": "2"})
    source.sections = {"a": "1", "b": "3"}
    assert await anext(parts) == event({"b": "3"})


async def test_a_slow_page_skips_states() -> None:
    """A page that was not read meanwhile gets the newest state, not every one between."""
    source, clock = Source(), Clock()
    parts = follow(Shared(source.read, interval_s=0, clock=clock), clock)
    await anext(parts)
    await anext(parts)
    source.sections = {"a": "5", "b": "2"}
    source.sections = {"a": "6", "b": "2"}
    assert await anext(parts) == event({"a": "6"})


async def test_a_silent_stream_says_that_it_lives() -> None:
    """When nothing changes, a comment keeps proxies from cutting the stream."""
    source, clock = Source(), Clock()
    parts = follow(Shared(source.read, interval_s=0, clock=clock), clock)
    await anext(parts)
    await anext(parts)
    clock.now_s += HEARTBEAT_S
    assert await anext(parts) == b": still here\n\n"


async def test_closing_ends_every_stream() -> None:
    """A server that shuts down ends its streams at once."""
    source, clock, closing = Source(), Clock(), asyncio.Event()
    parts = follow(Shared(source.read, interval_s=3600, clock=clock), clock, closing)
    await anext(parts)
    await anext(parts)
    closing.set()
    assert [part async for part in parts] == []


async def test_pages_share_one_reading_an_interval() -> None:
    """Many pages cost the store no more than one."""
    source, clock = Source(), Clock()
    shared = Shared(source.read, interval_s=1, clock=clock)
    for _ in range(20):
        await shared.sections()
    assert source.num_reads == 1
    clock.now_s += 1
    await asyncio.gather(*(shared.sections() for _ in range(20)))
    assert source.num_reads == 2


def test_an_event_is_one_line_whatever_the_text() -> None:
    """A line break inside a text cannot end the event, because JSON escapes it."""
    assert event({"a": '"x\\ny"'}).count(b"\n") == 3
    assert live.event({}) == b"event: sections\ndata: {}\n\n"


class HangingStore:
    """A store that does not answer until it is let go, and then is away."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.num_readings = 0

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """Wait, then fail."""
        self.num_readings += 1
        self.go.wait(30)
        raise StoreUnavailableError("the store cannot be used now: gone")
        yield


async def test_a_store_that_hangs_holds_nothing_up() -> None:
    """The section `store` says so, and no second reading is begun before the first one ends."""
    store: Any = HangingStore()
    stored = Sections(FakeService(), store, None, wait_s=0.01)
    try:
        for _ in range(3):
            assert (await stored.of_store())["store"] == {"ok": False, "message": NO_ANSWER}
        assert store.num_readings == 1
        store.go.set()
        sections: Any = {"store": {"message": NO_ANSWER}}
        while sections["store"]["message"] == NO_ANSWER:
            sections = await stored.of_store()
        assert sections["store"]["message"] == "The store cannot be used now: gone"
    finally:
        store.go.set()
        stored.close()


class HangingLog:
    """A log whose broker does not answer until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def end_offsets(self, topic: Topic) -> dict[Partition, int]:
        """Wait, then answer."""
        self.go.wait(30)
        return {Partition(topic, 0): 7} if topic == "turns" else {}


async def test_a_broker_that_does_not_answer_costs_no_figure_of_the_store(tmp_path: Path) -> None:
    """What the store tells is shown at once, and the lag as soon as the broker answers."""
    store, log = open_store(StreamsSettings(home=tmp_path)), HangingLog()
    with store.transaction() as session:
        session.add(OffsetRow(group="learner/main", topic="turns", partition=0, next_offset=3))
    anything: Any = log
    stored = Sections(FakeService(), store, anything, wait_s=0.1)
    try:
        found: Any = await stored.of_store()
        while found["store"]["message"] == NO_ANSWER:  # a busy machine's first reading is slow
            found = await stored.of_store()
        assert found["store"]["ok"]
        assert found["learner"]["lag"] == {"learner/main": {}}
        log.go.set()
        while "learner" not in found or not found["learner"]["lag"]["learner/main"]:
            found = await stored.of_store()
        assert found["learner"]["lag"]["learner/main"]["turns"] == 4
    finally:
        log.go.set()
        stored.close()
        store.close()


async def test_a_lease_that_is_renewed_is_no_change(tmp_path: Path) -> None:
    """A learner that only goes on wakes no page; one that is gone does."""
    store = open_store(StreamsSettings(home=tmp_path))
    sections = Sections(FakeService(), store, None, wait_s=30)

    async def learner(*, ends_ms: int) -> str:
        with store.transaction() as session:
            row = LeaseRow(name="learner/main", holder="here", epoch=1, expires_ms=ends_ms)
            session.merge(row)
        return (await sections.read())["learner"]

    held = await learner(ends_ms=2**53)
    assert await learner(ends_ms=2**53 - 1) == held
    assert await learner(ends_ms=1) != held
    sections.close()
    store.close()
