"""The engine on a tiny real model: the same tokens whatever runs beside, and every kind of end."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from agent.engine import Engine, Finish, Request, Token
from agent.errors import EngineStoppedError, QueueFullError
from agent.settings import AgentSettings
from agent.weights import Resident, Residents
from kernels.decode import greedy
from streams.base_model import BaseModel
from streams.records import Sampling

PROMPTS = [[5, 9, 17, 40], [7], [3, 3, 8, 2, 11, 90, 14], list(range(3, 60))]


def sampling(**changes: object) -> Sampling:
    values = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 12, "seed": 7, **changes}
    return Sampling.model_validate(values)


def open_engine(base: BaseModel, **settings: int) -> Engine:
    values = {"max_batch": 4, "context_tokens": 128, "prefill_chunk_tokens": 8, **settings}
    return Engine(Residents(base, "cpu"), settings=AgentSettings(**values), base=base)


@pytest.fixture
async def engine(tiny_base: BaseModel) -> AsyncIterator[Engine]:
    """A running engine of four places."""
    running = open_engine(tiny_base)
    running.start()
    yield running
    await asyncio.to_thread(running.drain, 0)


async def read(engine: Engine, request: Request) -> tuple[list[Token], Finish]:
    """Ask for a reply and gather it."""
    tokens: list[Token] = []
    async for event in engine.submit(request):
        if isinstance(event, Finish):
            return tokens, event
        tokens.append(event)
    raise AssertionError("a stream ends with Finish")


async def test_a_batch_gives_each_reply_as_if_it_were_alone(
    engine: Engine, tiny_base: BaseModel
) -> None:
    """More requests than places, prompts longer than a piece: each equals plain greedy decoding."""
    prompts = PROMPTS * 2
    replies = await asyncio.gather(*(read(engine, Request(p, sampling())) for p in prompts))
    expected = greedy(tiny_base.decoder, prompts, max_tokens=12, stop_ids=tiny_base.stop_ids)
    assert [[token.id for token in tokens] for tokens, _ in replies] == expected


async def test_a_seed_repeats_a_reply_whatever_runs_beside(engine: Engine) -> None:
    """Sampling depends on the request's own seed, not on its neighbours."""
    asked = Request(PROMPTS[0], sampling(temperature=1.3, top_p=0.9))
    alone, _ = await read(engine, asked)
    others = [Request(p, sampling(temperature=2.0, seed=n)) for n, p in enumerate(PROMPTS)]
    (beside, _), *_ = await asyncio.gather(*(read(engine, each) for each in [asked, *others]))
    assert [token.id for token in beside] == [token.id for token in alone]
    other_seed, _ = await read(engine, Request(PROMPTS[0], sampling(temperature=1.3, seed=8)))
    assert [token.id for token in other_seed] != [token.id for token in alone]


async def test_a_reply_ends_at_its_length(engine: Engine) -> None:
    """max_tokens ends a reply, and so does the end of the context."""
    tokens, finish = await read(engine, Request(PROMPTS[0], sampling(max_tokens=3)))
    assert (len(tokens), finish.reason) == (3, "length")
    tokens, finish = await read(engine, Request([3] * 120, sampling(max_tokens=100)))
    assert (len(tokens), finish.reason) == (8, "length")


async def test_a_stop_string_ends_a_reply_and_is_not_told(engine: Engine) -> None:
    """The text before the stop string is all that is delivered."""
    free, _ = await read(engine, Request(PROMPTS[2], sampling(temperature=1.5)))
    text = "".join(token.text for token in free)
    stop = text[2:5]
    asked = Request(PROMPTS[2], sampling(temperature=1.5, stop=[stop]))
    tokens, finish = await read(engine, asked)
    assert finish.reason == "stop"
    assert "".join(token.text for token in tokens) == text[: text.index(stop)]


async def test_a_cancelled_reply_frees_its_place(engine: Engine) -> None:
    """Nobody waits any more: the reply ends early, and the place is given to the next."""
    stream = engine.submit(Request(PROMPTS[1], sampling(max_tokens=100)))
    events = []
    async for event in stream:
        events.append(event)
        stream.cancel()
    assert events[-1] == Finish("cancelled")
    assert len(events) < 100
    assert (engine.running, engine.queued) == (0, 0)


async def test_a_full_queue_is_said(tiny_base: BaseModel) -> None:
    """Requests over the queue's limit are refused at once."""
    admitted, go_on = threading.Event(), threading.Event()

    class Slow(Residents):
        def hold(self) -> Resident:
            admitted.set()
            go_on.wait(60)
            return super().hold()

    settings = AgentSettings(max_queue=1, context_tokens=64)
    engine = Engine(Slow(tiny_base, "cpu"), settings=settings, base=tiny_base)
    engine.start()
    waiting = engine.submit(Request([3], sampling(max_tokens=1)))
    await asyncio.to_thread(admitted.wait, 60)
    with pytest.raises(QueueFullError):
        engine.submit(Request([3], sampling()))
    go_on.set()
    assert [event async for event in waiting][-1] == Finish("length")
    await asyncio.to_thread(engine.drain, 0)


async def test_draining_lets_replies_end_and_takes_no_more(engine: Engine) -> None:
    """Within the grace a running reply ends by itself."""
    stream = engine.submit(Request(PROMPTS[0], sampling(max_tokens=5)))
    draining = asyncio.create_task(asyncio.to_thread(engine.drain, 30))
    events = [event async for event in stream]
    await draining
    assert events[-1] in (Finish("length"), Finish("stop"))
    with pytest.raises(EngineStoppedError):
        engine.submit(Request([3], sampling()))


async def test_draining_without_grace_cancels(engine: Engine) -> None:
    """After the grace what still runs is told that it was cancelled."""
    stream = engine.submit(Request(PROMPTS[0], sampling(max_tokens=100)))
    await asyncio.to_thread(engine.drain, 0)
    assert [event async for event in stream][-1] == Finish("cancelled")


async def test_a_dead_engine_tells_every_reader(tiny_base: BaseModel) -> None:
    """A fault of the engine itself ends all replies with an error, and is shown."""

    class Broken(Residents):
        def hold(self) -> Resident:
            raise RuntimeError("no memory")

    engine = Engine(
        Broken(tiny_base, "cpu"), settings=AgentSettings(context_tokens=64), base=tiny_base
    )
    engine.start()
    with pytest.raises(EngineStoppedError):
        await read(engine, Request([3], sampling()))
    assert not engine.alive
