"""Two versions side by side: which are meant, one pair at a time, and nothing left behind."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from agent.compare import Comparisons, Reply
from agent.engine.contract import Request
from agent.errors import (
    ApiError,
    BusyError,
    InvalidError,
    NotFoundError,
    NotNowError,
    QueueFullError,
    ReplyFailedError,
    UnavailableError,
)
from agent.settings import AgentSettings
from agent.watch.metrics import Metrics
from streams.line.line import Line, Trial
from streams.records import Sampling
from tests.agent.fakes import BASE, FakeBase, FakeResidents
from tests.agent.scripted import ScriptedEngine
from tests.agent.swap.test_follow import MASK, recipe

A = recipe(BASE, 1)
B = recipe(A.version, 2)


class Bench:
    """Comparisons over scripts."""

    def __init__(self) -> None:
        self.residents = FakeResidents()
        self.residents.book.add_mask(MASK)
        for each in (A, B):
            self.residents.book.add_recipe(each)
        self.residents.promote(A.version)
        self.residents.promote(B.version)
        settings = AgentSettings(context_tokens=64)
        self.engine = ScriptedEngine(self.residents, settings=settings)
        self.engine.start()
        self.rendering, self.metrics = ThreadPoolExecutor(1), Metrics()
        self.comparisons = Comparisons(
            self.engine,
            self.residents,
            base=FakeBase(),
            line=lambda: self.residents.line,
            rendering=self.rendering,
            metrics=self.metrics,
        )


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A bench at rest, which must be at rest at the end: nothing is held."""
    made = Bench()
    yield made
    made.rendering.shutdown()
    assert made.residents.held == 0
    assert made.engine.running == made.engine.queued == 0


async def test_both_answer_every_prompt(bench: Bench) -> None:
    """In the order of the prompts, each on the version that was named, greedily."""
    made = await bench.comparisons.compare(0, "stable", ["one", "two words"], max_tokens=3)
    assert (made.a, made.b) == (BASE, B.version)
    assert [prompt for prompt, *_ in made.answers] == ["one", "two words"]
    assert made.answers[0][1] == Reply("Hello, world", 3, "length")
    asked = [stream.request for stream in bench.engine.streams]
    versions = [request.assign(bench.residents.line).version for request in asked]
    assert versions == [BASE, B.version] * 2
    assert {request.sampling.temperature for request in asked} == {0.0}
    counted = bench.metrics.registry.get_sample_value
    assert counted("quickset_comparisons_total", {"outcome": "answered"}) == 1


async def test_a_version_is_named_in_many_ways(bench: Bench) -> None:
    """By its number, its name, how that begins, or what it is now."""
    bench.residents.try_out(Trial(A.version, "running", 0, 0.5))
    named = bench.comparisons.named
    assert [named(number) for number in (0, 1, 2)] == [BASE, A.version, B.version]
    assert [named(w) for w in ("base", "previous", "stable", "candidate")] == [
        BASE, A.version, B.version, A.version,
    ]  # fmt: skip
    assert named(B.version[:6]) == B.version


@pytest.mark.parametrize("version", [3, -1, "nothing like it", "candidate", ""])
async def test_what_is_no_version_is_said(bench: Bench, version: int | str) -> None:
    """The parameter is named, and nothing was asked of the engine."""
    with pytest.raises(NotFoundError) as caught:
        await bench.comparisons.compare("stable", version, ["hi"], max_tokens=1)
    assert caught.value.param == "b"
    assert bench.engine.streams == []


async def test_a_number_whose_way_is_not_known_here_yet_is_asked_for_later(bench: Bench) -> None:
    """What serves may have been read before its recipe: other topics, no common order."""
    bench.residents.line = Line("main", (BASE, "f" * 16))
    with pytest.raises(NotNowError, match=f"no recipe of version {'f' * 16} is known here"):
        bench.comparisons.named(1)


async def test_there_is_one_comparison_at_a_time(bench: Bench) -> None:
    """A second one is told to come later; then it may."""
    bench.engine.script = ("a", "⏸", "b")
    first = asyncio.create_task(bench.comparisons.compare(0, 1, ["hi"], max_tokens=5))
    while not bench.engine.streams:
        await asyncio.sleep(0)
    with pytest.raises(NotNowError, match="another comparison"):
        await bench.comparisons.compare(0, 1, ["hi"], max_tokens=5)
    for stream in bench.engine.streams:
        stream.gate.set()
    assert (await first).answers[0][1].text == "ab"
    await bench.comparisons.compare(0, 0, [], max_tokens=5)


async def test_who_goes_leaves_nothing_running(bench: Bench) -> None:
    """A client that closes its connection ends both replies, and lets the versions go."""
    bench.engine.script = ("a", "⏸", "b")
    task = asyncio.create_task(bench.comparisons.compare(0, 1, ["hi"], max_tokens=5))
    while len(bench.engine.streams) < 2:
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    while bench.engine.running:
        await asyncio.sleep(0)
    assert bench.residents.held == 0


async def test_people_go_before(bench: Bench) -> None:
    """While a request waits for a place, no prompt of a comparison is asked."""
    bench.engine.paused = True
    sampling = Sampling(temperature=0, top_p=1, max_tokens=2, seed=0)
    waiting = bench.engine.submit(Request([1], sampling))
    task = asyncio.create_task(bench.comparisons.compare(0, 1, ["hi"], max_tokens=5))
    await asyncio.sleep(0.12)
    assert len(bench.engine.streams) == 1
    bench.engine.paused = False
    bench.engine.admit()
    await task
    assert [event async for event in waiting][-1]


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        (QueueFullError("full"), BusyError),
        (ValueError("1 to 63 tokens fit"), InvalidError),
    ],
)
async def test_what_the_engine_refuses_is_told(
    bench: Bench, cause: Exception, told: type[ApiError]
) -> None:
    """A full queue and a prompt that is too long are answers, and nothing stays held."""
    bench.engine.refuse = lambda: cause
    with pytest.raises(told):
        await bench.comparisons.compare(0, 1, ["hi"], max_tokens=5)


async def test_a_reply_that_fails_fails_the_comparison(bench: Bench) -> None:
    """Both end, and the reason is told."""
    bench.engine.script = ("a", ReplyFailedError("the logits are not finite"))
    with pytest.raises(UnavailableError, match="not finite"):
        await bench.comparisons.compare(0, 1, ["hi"], max_tokens=5)
    while bench.engine.running:
        await asyncio.sleep(0)
