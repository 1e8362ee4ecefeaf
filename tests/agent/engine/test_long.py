"""Long prompts beside short ones: all are answered, none waits for long, nothing is read twice."""

import asyncio
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

import pytest

from agent.engine.contract import Assign, Finish, Request, Token
from agent.engine.engine import BatchingEngine
from agent.settings import AgentSettings
from agent.swap.residents import Resident, Residents
from kernels.open import open_backend
from streams.model.open import BaseModel, load_base
from streams.records import Sampling
from streams.settings import ModelSettings
from tests.agent.lineage import Lineage
from tests.tiny import tiny_model_dir

T = TypeVar("T")
LONG = 7_700  # what a coding agent sends: tools, instructions, a folder's files


def open_engine(
    base: BaseModel, residents: Residents | None = None, **changes: int
) -> BatchingEngine:
    """An engine that has not been started."""
    settings = AgentSettings(**({"threads": 1, "prefill_chunk_tokens": 8} | changes))
    chosen = residents or Residents(base, open_backend("cpu"))
    return BatchingEngine(chosen, settings=settings, base=base)


def asked(prompt: list[int], *, tokens: int = 4, seed: int = 7, owner: str = "a") -> Request:
    sampling = Sampling(temperature=1.0, top_p=1.0, max_tokens=tokens, seed=seed)
    return Request(prompt, sampling, owner)


def prompt_of(tokens: int, first: int = 0) -> list[int]:
    """A prompt without any end token."""
    return [(first + 7 * place) % 300 + 20 for place in range(tokens)]


class Gate(Residents):
    """Residents that let nothing begin until they are opened, so that all requests are there."""

    def __init__(self, base: BaseModel) -> None:
        super().__init__(base, open_backend("cpu"))
        self.opened = threading.Event()

    def hold(self, assign: Assign) -> Resident:
        assert self.opened.wait(60)
        return super().hold(assign)


async def together(engine: BatchingEngine, *asking: Awaitable[T]) -> list[T]:
    """Let an engine behind a gate have all requests, open it, and gather what comes of them."""
    engine.start()
    gathered = asyncio.gather(*asking)
    while engine.queued + engine.running < len(asking):
        await asyncio.sleep(0)
    gate = engine._residents
    assert isinstance(gate, Gate)
    gate.opened.set()
    return await gathered


async def read(engine: BatchingEngine, request: Request) -> list[Token]:
    """Ask for a reply and gather it."""
    events = [event async for event in engine.submit(request)]
    return [event for event in events if not isinstance(event, Finish)]


async def test_a_request_as_long_as_the_model_allows_is_answered(tmp_path: Path) -> None:
    """By default the context is the model's own, and short requests are answered meanwhile."""
    directory = tiny_model_dir(tmp_path / "model", max_position_embeddings=8_192)
    base = load_base(ModelSettings(path=directory, cache=tmp_path / "cache"))
    engine = open_engine(base, prefill_chunk_tokens=AgentSettings().prefill_chunk_tokens)
    long, short = asked(prompt_of(LONG)), asked(prompt_of(9))
    engine.start()
    reading = asyncio.create_task(read(engine, long))
    while not engine.counts.read_tokens:
        await asyncio.sleep(0)
    await read(engine, short)
    assert not reading.done()
    first = await reading
    assert len(first) == 4
    # and with the same beginning once more, only what is new is read
    before = engine.counts.read_tokens
    again = await read(engine, long)
    assert again == first
    assert engine.counts.read_tokens - before == LONG % 128
    await asyncio.to_thread(engine.drain, 0)


async def test_short_prompts_do_not_wait_for_long_ones_nor_long_ones_for_ever(
    tiny_base: BaseModel,
) -> None:
    """By turns a piece is read of the prompt that came first and of the one with the least left."""
    engine = open_engine(tiny_base, Gate(tiny_base), context_tokens=512, kv_tokens=2048)
    ended = list[str]()

    async def noted(name: str, request: Request) -> None:
        await read(engine, request)
        ended.append(name)

    short = [noted(f"short {n}", asked(prompt_of(6, n), tokens=1, owner=str(n))) for n in range(30)]
    await together(engine, noted("long", asked(prompt_of(100), tokens=1)), *short)
    # 13 pieces, at least every second one; each of the short ones is one piece
    assert 4 <= ended.index("long") <= 14
    await asyncio.to_thread(engine.drain, 0)


async def test_what_needs_more_room_than_there_is_neither_blocks_nor_waits_for_ever(
    tiny_base: BaseModel,
) -> None:
    """What fits behind it may pass it, sixteen times; then it is the next."""
    pieces = {"prefill_chunk_tokens": 128}
    engine = open_engine(tiny_base, Gate(tiny_base), kv_tokens=256, max_batch=2, **pieces)
    began = list[int]()

    async def noted(number: int, request: Request) -> None:
        stream = engine.submit(request)
        async for event in stream:
            if isinstance(event, Token) and number not in began:
                began.append(number)

    requests = [asked(prompt_of(100), tokens=20), asked(prompt_of(240, 5), tokens=16)]
    requests += [asked(prompt_of(5, n), tokens=1, owner=str(n)) for n in range(40)]
    await together(engine, *(noted(*each) for each in enumerate(requests)))
    assert began.index(2) < began.index(1)
    assert began.index(1) <= 2 + 16 + 2  # two pieces, while others begin beside it
    await asyncio.to_thread(engine.drain, 0)


@pytest.mark.parametrize("many", [2, 4])
async def test_replies_that_begin_alike_read_it_once(tiny_base: BaseModel, many: int) -> None:
    """Asked for at once, as choices are: to the bit as if each were alone, and never for others."""
    prompt, alone = prompt_of(70), list[list[Token]]()
    for seed in range(many):
        engine = open_engine(tiny_base, context_tokens=256)
        engine.start()
        alone.append(await read(engine, asked(prompt, seed=seed)))
        await asyncio.to_thread(engine.drain, 0)
    for owners, times in (["a"] * many, 1), ([str(n) for n in range(many)], many):
        engine = open_engine(tiny_base, Gate(tiny_base), context_tokens=256, kv_tokens=1024)
        requests = [asked(prompt, seed=n, owner=owner) for n, owner in enumerate(owners)]
        assert await together(engine, *(read(engine, each) for each in requests)) == alone
        assert engine.counts.read_tokens == 64 * times + 6 * many
        assert engine.counts.reused_tokens == 64 * (many - times)
        await asyncio.to_thread(engine.drain, 0)


async def test_what_a_version_has_read_goes_when_it_leaves_memory(tiny_base: BaseModel) -> None:
    """The version to go back to keeps what it knows; the one before it does not."""
    lineage, residents = Lineage(tiny_base), Residents(tiny_base, open_backend("cpu"))
    recipes = [lineage.next() for _ in range(3)]
    residents.book.add_mask(lineage.mask)
    for recipe in recipes:
        residents.book.add_recipe(recipe)
    engine = open_engine(tiny_base, residents, context_tokens=128)
    engine.start()
    known = list[set[str]]()
    kept = list[set[str]]()
    for version in [tiny_base.name, *(recipe.version for recipe in recipes)]:
        await asyncio.to_thread(residents.promote, version)
        await read(engine, asked(prompt_of(40)))
        kept.append(set(residents.resident))
        known.append({held.variant.version for held in engine._scheduler.slots._held.values()})
    assert known == kept
    assert [len(versions) for versions in known] == [1, 2, 3, 3]  # the base is never let go
    await asyncio.to_thread(engine.drain, 0)
