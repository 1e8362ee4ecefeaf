"""What every engine keeps: the real one, on a tiny model, and the one that plays scripts."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.engine.contract import Assign, Engine, Finish, Request, Stream, Token, serving
from agent.engine.engine import BatchingEngine
from agent.errors import (
    EngineStoppedError,
    QueueFullError,
    ReplyFailedError,
    UnknownVersionError,
)
from agent.settings import AgentSettings
from agent.swap.residents import Resident, Residents
from kernels.open import open_backend
from streams.line.variant import Variant
from streams.model.open import BaseModel
from streams.records import Sampling
from tests.agent.fakes import FakeResidents
from tests.agent.lineage import Lineage
from tests.agent.scripted import ScriptedEngine

PLACES, QUEUE, CONTEXT, VOCABULARY = 2, 3, 128, 5000
PROMPT = [5, 9, 17, 40]


class Residing(Protocol):
    """What a test does with the versions behind an engine."""

    held: int

    def promote(self, version: str) -> bool: ...


class PausedResidents(Residents):
    """Residents that hold an engine up at its next admission, until a test lets it go on."""

    go_on: threading.Event
    held = 0

    def hold(self, assign: Assign) -> Resident:
        assert self.go_on.wait(60)
        resident = super().hold(assign)
        self.held += 1
        return resident

    def release(self, resident: Resident) -> None:
        self.held -= 1
        super().release(resident)


@dataclass
class Bench:
    """An engine of two places, and the versions that it may be asked for, oldest first."""

    engine: Engine
    residents: Residing
    versions: list[str]
    go_on: threading.Event

    def pause(self) -> None:
        """Let nobody be admitted."""
        self.go_on.clear()
        if isinstance(self.engine, ScriptedEngine):
            self.engine.paused = True

    def resume(self) -> None:
        """Admit again."""
        self.go_on.set()
        if isinstance(self.engine, ScriptedEngine):
            self.engine.paused = False
            self.engine.admit()

    async def promote(self, version: str) -> None:
        """Let another version serve."""
        await asyncio.to_thread(self.residents.promote, version)


_MADE: dict[str, Lineage] = {}  # by base: a lineage costs more than an engine


def two_versions(base: BaseModel) -> Lineage:
    """A line of two versions on a base; not to be made longer."""
    if base.name not in _MADE:
        _MADE[base.name] = Lineage(base)
        for _ in range(2):
            _MADE[base.name].next()
    return _MADE[base.name]


def open_bench(kind: str, base: BaseModel, *, queue: int = QUEUE) -> Bench:
    """Assemble an engine that has not been started."""
    chosen = AgentSettings(
        max_batch=PLACES,
        max_queue=queue,
        context_tokens=CONTEXT,
        prefill_chunk_tokens=8,
        threads=1,
    )
    lineage, go_on = two_versions(base), threading.Event()
    go_on.set()
    versions = [base.name, *(recipe.version for recipe in lineage.recipes)]
    residents: PausedResidents | FakeResidents
    engine: Engine
    if kind == "batching":
        residents = PausedResidents(base, open_backend("cpu"))
        residents.go_on = go_on
        engine = BatchingEngine(residents, settings=chosen, base=base)
    else:
        residents = FakeResidents(base.name)
        engine = ScriptedEngine(residents, ["ab", "cd"] * CONTEXT, settings=chosen)
    residents.book.add_mask(lineage.mask)
    for recipe in lineage.recipes:
        residents.book.add_recipe(recipe)
    return Bench(engine, residents, versions, go_on)


KINDS = pytest.mark.parametrize("kind", ["batching", "scripted"])


@pytest.fixture(params=["batching", "scripted"])
async def bench(request: pytest.FixtureRequest, tiny_base: BaseModel) -> AsyncIterator[Bench]:
    """A running engine of each kind."""
    made = open_bench(request.param, tiny_base)
    made.engine.start()
    yield made
    made.resume()
    await asyncio.to_thread(made.engine.drain, 0)


def asked(
    prompt: list[int] = PROMPT, assign: Assign = serving, top_logprobs: int = 0, **changes: object
) -> Request:
    """A request for a reply of 12 tokens, but for the changes."""
    values = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 12, "seed": 7, **changes}
    sampling = Sampling.model_validate(values)
    return Request(prompt, sampling, assign=assign, top_logprobs=top_logprobs)


async def rest_of(stream: Stream) -> tuple[list[Token], Finish]:
    """Read a stream to its end."""
    tokens: list[Token] = []
    async for event in stream:
        if isinstance(event, Finish):
            return tokens, event
        tokens.append(event)
    raise AssertionError("a stream ends with Finish")


async def reply(bench: Bench, request: Request) -> tuple[list[Token], Finish]:
    """Ask for a reply and gather it."""
    return await rest_of(bench.engine.submit(request))


async def test_a_reply_ends_at_its_length(bench: Bench) -> None:
    """max_tokens ends a reply, and so does the end of the context; each token is counted."""
    tokens, finish = await reply(bench, asked(max_tokens=3))
    assert (len(tokens), finish) == (3, Finish("length"))
    tokens, finish = await reply(bench, asked([3] * (CONTEXT - 8), max_tokens=100))
    assert (len(tokens), finish) == (8, Finish("length"))
    assert bench.engine.counts.sampled_tokens == 11


@pytest.mark.parametrize("prompt", [[], [3] * CONTEXT])
async def test_a_prompt_without_room_is_refused(bench: Bench, prompt: list[int]) -> None:
    """A prompt that is empty, or fills the context, is an error of the caller."""
    with pytest.raises(ValueError, match=f"1 to {CONTEXT - 1}"):
        bench.engine.submit(asked(prompt))


async def test_a_reply_can_be_had_again(bench: Bench) -> None:
    """Request and seed decide the reply, whatever runs beside it."""
    alone = await reply(bench, asked())
    beside, *_ = await asyncio.gather(*(reply(bench, asked(seed=seed)) for seed in (7, 8, 9)))
    assert beside == alone


async def test_log_probabilities_come_with_each_token(bench: Bench) -> None:
    """Both are of a distribution: never above 0."""
    tokens, _ = await reply(bench, asked())
    assert all(token.logprob <= 0 and token.sampling_logprob <= 0 for token in tokens)


async def test_tokens_are_named_by_their_own_text(bench: Bench) -> None:
    """What a stop string holds back or takes away changes no name; the likeliest are named, too."""
    free, _ = await reply(bench, asked(top_logprobs=3))
    text = "".join(token.text for token in free)
    stopped, _ = await reply(bench, asked(stop=[text[3:6]]))
    names = [token.spelling for token in stopped]
    assert names == [token.spelling for token in free[: len(names)]]
    written = b"".join(spelling.bytes or b"" for spelling in names)
    assert written.decode(errors="replace").startswith(text[:6])
    assert [len(token.top) for token in free] == [3] * len(free)
    assert all(token.top[0].logprob >= token.top[2].logprob for token in free)
    assert [token.top for token in stopped] == [()] * len(stopped)


async def test_an_unseen_reply_is_made_and_waits_for_others(bench: Bench) -> None:
    """Alone it is what any reply is; every other comes first, whenever it was asked."""
    seen = await reply(bench, asked())
    assert await reply(bench, replace(asked(), unseen=True)) == seen


async def test_every_seed_of_64_bits_is_taken(bench: Bench) -> None:
    """Negative ones, too; the same seed gives the same reply."""
    for seed in (-1, -(2**63), 2**63 - 1):
        assert await reply(bench, asked(seed=seed)) == await reply(bench, asked(seed=seed))


async def test_a_stop_string_ends_a_reply_and_is_not_told(bench: Bench) -> None:
    """The text before the stop string is all that is delivered, and the end says which it was."""
    free, _ = await reply(bench, asked())
    text = "".join(token.text for token in free)
    tokens, finish = await reply(bench, asked(stop=["never", text[2:5]]))
    assert finish == Finish("stop", text[2:5])
    assert "".join(token.text for token in tokens) == text[: text.index(text[2:5])]


async def test_a_cancelled_reply_ends_and_frees_its_place(bench: Bench) -> None:
    """Nobody waits any more: the stream ends once, and the places are given to the next."""
    for _ in range(2 * PLACES):
        stream = bench.engine.submit(asked(max_tokens=100))
        await anext(aiter(stream))
        stream.cancel()
        _, finish = await rest_of(stream)
        assert finish.reason in ("cancelled", "length")
    tokens, _ = await reply(bench, asked())
    assert len(tokens) == 12


async def test_a_request_that_waits_can_be_cancelled(bench: Bench) -> None:
    """A client that goes before its turn is given nothing, and those behind it go on."""
    bench.pause()
    waiting = [bench.engine.submit(asked()) for _ in range(QUEUE)]
    waiting[1].cancel()
    bench.resume()
    ends = [(await rest_of(stream)) for stream in waiting]
    assert ends[1] == ([], Finish("cancelled"))
    assert [finish for _, finish in ends] == [
        Finish("length"), Finish("cancelled"), Finish("length"),
    ]  # fmt: skip


async def test_a_full_queue_is_said(bench: Bench) -> None:
    """Requests over the queue's limit are refused at once, and the others answered."""
    bench.pause()
    waiting = [bench.engine.submit(asked()) for _ in range(QUEUE)]
    with pytest.raises(QueueFullError):
        bench.engine.submit(asked())
    assert bench.engine.queued == QUEUE
    bench.resume()
    assert [(await rest_of(stream))[1] for stream in waiting] == [Finish("length")] * QUEUE


async def test_what_follows_waits_in_a_full_queue(bench: Bench) -> None:
    """More of an answer that was begun is not refused for others that came meanwhile."""
    bench.pause()
    waiting = [bench.engine.submit(asked()) for _ in range(QUEUE)]
    waiting.append(bench.engine.submit(replace(asked(), follows=True)))
    with pytest.raises(QueueFullError):
        bench.engine.submit(asked())
    bench.resume()
    assert [(await rest_of(stream))[1] for stream in waiting] == [Finish("length")] * (QUEUE + 1)


async def test_a_slow_reader_does_not_hold_the_others(bench: Bench) -> None:
    """A stream that nobody reads is made to its end while another is read."""
    unread = bench.engine.submit(asked(max_tokens=30))
    tokens, _ = await reply(bench, asked(max_tokens=100))
    assert len(tokens) == 100
    tokens, finish = await rest_of(unread)
    assert (len(tokens), finish) == (30, Finish("length"))


async def test_a_fault_of_one_reply_ends_that_reply(bench: Bench) -> None:
    """A token that the model does not have concerns the request that has it."""
    expected = await reply(bench, asked())
    beside = bench.engine.submit(asked())
    with pytest.raises(ReplyFailedError):
        await reply(bench, asked([5, VOCABULARY, 9]))
    assert await rest_of(beside) == expected == await reply(bench, asked())
    assert (bench.engine.alive, bench.engine.counts.failed_replies) == (True, 1)


async def test_a_request_that_waited_begins_on_what_serves_then(bench: Bench) -> None:
    """It is assigned its variant when it gets its place, not when it came."""
    base, first, second = bench.versions
    bench.pause()
    waiting = bench.engine.submit(asked())
    for version in (first, second):
        await bench.promote(version)
    named = bench.engine.submit(asked(assign=lambda line: Variant(line.name, base)))
    bench.resume()
    assert {token.variant.version for token in (await rest_of(waiting))[0]} == {second}
    assert {token.variant.version for token in (await rest_of(named))[0]} == {base}


async def test_a_reply_ends_on_the_variant_that_it_began_with(bench: Bench) -> None:
    """Swaps in mid-stream change nothing of a reply that runs."""
    base, first, second = bench.versions
    running = bench.engine.submit(asked(max_tokens=100))
    begun = await anext(aiter(running))
    for version in (first, second):
        await bench.promote(version)
    tokens, finish = await rest_of(running)
    assert {token.variant for token in tokens} == {Variant("main", base)}
    assert isinstance(begun, Token)
    assert (begun.variant.version, len(tokens), finish) == (base, 99, Finish("length"))


async def test_rows_of_one_batch_may_belong_to_different_variants(bench: Bench) -> None:
    """Each reply is what its own variant gives alone, whatever variants run beside it."""
    _, first, second = bench.versions
    for version in (first, second):
        await bench.promote(version)

    def on(version: str) -> Request:
        return asked(assign=lambda line: Variant(line.name, version))

    alone: Mapping[str, object] = {v: await reply(bench, on(v)) for v in (first, second)}
    together = await asyncio.gather(*(reply(bench, on(v)) for v in (first, second)))
    assert together == [alone[first], alone[second]]
    assert [tokens[0].variant.version for tokens, _ in together] == [first, second]


@pytest.mark.parametrize("variant", [Variant("main", "gone"), Variant("other", "")])
async def test_what_is_not_in_memory_ends_the_request_that_wants_it(
    bench: Bench, variant: Variant
) -> None:
    """An unknown version or member is told to its reader alone."""
    served = Variant(variant.line, variant.version or bench.versions[0], 3)
    beside = bench.engine.submit(asked())
    with pytest.raises(UnknownVersionError, match="not in memory"):
        await reply(bench, asked(assign=lambda _: served))
    assert (await rest_of(beside))[1] == Finish("length")
    assert (bench.engine.alive, bench.engine.counts.failed_replies) == (True, 1)


async def test_draining_lets_replies_end_and_takes_no_more(bench: Bench) -> None:
    """Within the grace what was taken ends by itself; later requests are refused."""
    streams = [bench.engine.submit(asked()) for _ in range(PLACES + 1)]
    draining = asyncio.create_task(asyncio.to_thread(bench.engine.drain, 60))
    assert [(await rest_of(stream))[1] for stream in streams] == [Finish("length")] * 3
    await draining
    assert not bench.engine.alive
    with pytest.raises(EngineStoppedError):
        bench.engine.submit(asked())


async def test_draining_without_grace_cancels(bench: Bench) -> None:
    """After the grace what waits is told that it was cancelled, and all streams end."""
    bench.pause()
    waiting = bench.engine.submit(asked())
    draining = asyncio.create_task(asyncio.to_thread(bench.engine.drain, 0))
    bench.resume()
    assert (await rest_of(waiting))[1].reason in ("cancelled", "length")
    await draining
    assert (bench.engine.running, bench.engine.queued) == (0, 0)


@KINDS
async def test_an_engine_that_was_not_started_takes_nothing(
    kind: str, tiny_base: BaseModel
) -> None:
    """A request before the start is refused."""
    made = open_bench(kind, tiny_base)
    assert not made.engine.alive
    with pytest.raises(EngineStoppedError):
        made.engine.submit(asked())


@KINDS
@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_comes_and_goes_every_stream_ends(
    kind: str, tiny_base: BaseModel, data: st.DataObject
) -> None:
    """Requests and cancellations in any order: each stream ends once, and every place is free."""
    most = 14
    lengths = data.draw(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 30)), max_size=most))
    patience = data.draw(st.lists(st.integers(0, 40), min_size=most, max_size=most))

    async def client(engine: Engine, number: int, prompt: int, max_tokens: int) -> None:
        request = asked([5 + number] * prompt, max_tokens=max_tokens, seed=number)
        stream, events = engine.submit(request), 0
        async for event in stream:
            events += 1
            last = event
            if events > patience[number]:
                stream.cancel()
        assert isinstance(last, Finish)
        assert events <= max_tokens + 1
        assert last.reason != "cancelled" or events > patience[number]

    async def all_clients() -> None:
        bench = open_bench(kind, tiny_base, queue=most)
        bench.engine.start()
        await asyncio.gather(*(client(bench.engine, n, *each) for n, each in enumerate(lengths)))
        assert (await reply(bench, asked()))[1] == Finish("length")
        await asyncio.to_thread(bench.engine.drain, 60)
        assert (bench.engine.running, bench.engine.queued, bench.residents.held) == (0, 0, 0)

    asyncio.run(all_clients())
