"""Swaps while replies run: each reply keeps its version, none is lost, nothing grows."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from itertools import groupby
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
import torch

from agent.engine.contract import Assign, Engine, Finish, Request, Token
from agent.engine.passes import read_next
from agent.errors import SwapError
from agent.swap.residents import Resident, Residents
from kernels.model.forward import Decoder
from kernels.open import open_backend
from streams.model.open import BaseModel, load_base
from streams.records import Recipe, Sampling
from streams.settings import ModelSettings
from tests.agent.engine.test_engine import PROMPTS, open_engine, read, sampling
from tests.agent.lineage import Lineage
from tests.agent.swap.test_residents import knowing, names
from tests.kernels.model.test_step import SHAPE
from tests.tiny import tiny_model_dir


@pytest.fixture
def lineage(tiny_base: BaseModel) -> Lineage:
    """A line of two versions."""
    line = Lineage(tiny_base)
    line.next()
    line.next()
    return line


@pytest.fixture
def residents(tiny_base: BaseModel, lineage: Lineage) -> Residents:
    """The base serving; the two versions are known."""
    return knowing(tiny_base, lineage)


@pytest.fixture
async def engine(tiny_base: BaseModel, residents: Residents) -> AsyncIterator[Engine]:
    """A running engine over these versions."""
    running = open_engine(tiny_base, residents)
    running.start()
    yield running
    await asyncio.to_thread(running.drain, 0)


async def alone(base: BaseModel, lineage: Lineage, version: str, request: Request) -> list[Token]:
    """The reply of an engine that never served anything but this version."""
    residents = knowing(base, lineage)
    residents.promote(version)
    engine = open_engine(base, residents)
    engine.start()
    tokens, _ = await read(engine, request)
    await asyncio.to_thread(engine.drain, 0)
    return tokens


@pytest.mark.parametrize("temperature", [0.0, 1.0])
async def test_a_reply_ends_on_the_version_that_it_began_with(
    tiny_base: BaseModel,
    lineage: Lineage,
    residents: Residents,
    engine: Engine,
    temperature: float,
) -> None:
    """Two swaps in mid-stream change not one token or log-probability of a reply that runs."""
    first, second = names(lineage)
    asked = Request(PROMPTS[0], sampling(temperature=temperature, max_tokens=100))
    expected = {
        version: await alone(tiny_base, lineage, version, asked)
        for version in (tiny_base.name, first, second)
    }
    assert len({tuple(token.id for token in tokens) for tokens in expected.values()}) == 3
    running = {}
    for version in expected:
        await asyncio.to_thread(residents.promote, version)
        stream = engine.submit(asked)
        begun = [await anext(events := aiter(stream))]
        running[version] = (begun, events)
    for version, (begun, events) in running.items():
        tokens = [*begun, *[event async for event in events]]
        assert tokens.pop() == Finish("length")
        assert tokens == expected[version]
        assert {token.variant.version for token in tokens if isinstance(token, Token)} == {version}


async def test_a_known_beginning_belongs_to_its_version(
    tiny_base: BaseModel, lineage: Lineage, residents: Residents, engine: Engine
) -> None:
    """What one version has read of a prompt is not taken up by another, and is by the same."""
    first = names(lineage)[0]
    asked = Request(list(range(20, 60)), sampling())
    on_base, _ = await read(engine, asked)
    await asyncio.to_thread(residents.promote, first)
    on_first, _ = await read(engine, asked)
    assert engine.counts.reused_tokens == 0
    assert on_first == await alone(tiny_base, lineage, first, asked)
    assert [token.id for token in on_first] != [token.id for token in on_base]
    residents.rollback()
    again, _ = await read(engine, asked)
    assert again == on_base
    assert engine.counts.reused_tokens == 32


async def test_a_failed_swap_is_not_noticed_by_replies(
    tiny_base: BaseModel, lineage: Lineage, residents: Residents, engine: Engine
) -> None:
    """A version that fails its checks leaves running and later replies as they were."""
    asked = Request(PROMPTS[2], sampling(max_tokens=60))
    expected, _ = await read(engine, asked)
    false = Recipe.model_validate(lineage.recipes[0].model_dump() | {"digest": "0" * 64})
    residents.book.add_recipe(false)
    beside = asyncio.create_task(read(engine, asked))
    with pytest.raises(SwapError):
        await asyncio.to_thread(residents.promote, false.version)
    assert (await beside)[0] == (await read(engine, asked))[0] == expected
    assert residents.serving == tiny_base.name


class Building(Residents):
    """Residents of which a build goes on for as long as a test says."""

    goes_on = False

    @property
    def building(self) -> bool:
        return self.goes_on


@pytest.mark.parametrize("walked", [True, False])
async def test_decoding_leaves_a_core_to_a_build(
    tiny_base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, walked: bool
) -> None:
    """One thread fewer while a version is built, no bit of a reply other, and all of them after.

    Not where torch's operators decode: their bits depend on how many threads there are.
    """
    base = tiny_base
    if walked:
        path = tiny_model_dir(tmp_path / "model", **SHAPE)
        base = load_base(ModelSettings(path=path, cache=tmp_path / "cache"))
    assert (base.decoder.step is not None) == walked
    threads = list[int]()

    def reading(*given: Any) -> Any:
        threads.append(torch.get_num_threads())
        return read_next(*given)

    monkeypatch.setattr("agent.engine.engine.read_next", reading)
    residents = Building(base, open_backend("cpu"))
    engine = open_engine(base, residents, threads=2)
    engine.start()
    said = []
    for goes_on in (False, True, False):
        residents.goes_on = goes_on
        said.append(await read(engine, Request(PROMPTS[0], sampling(max_tokens=4))))
    await asyncio.to_thread(engine.drain, 0)
    assert said[0] == said[1] == said[2]
    assert [count for count, _ in groupby(threads)] == ([2, 1, 2] if walked else [2])


class Watched(Residents):
    """Residents that know how many of all the models that were ever held are still in memory."""

    def __init__(self, base: BaseModel) -> None:
        super().__init__(base, open_backend("cpu"))
        self.models: WeakSet[Decoder] = WeakSet()

    def hold(self, assign: Assign) -> Resident:
        resident = super().hold(assign)
        self.models.add(resident.decoder)
        return resident


@pytest.mark.parametrize(
    "swaps", [100, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
async def test_many_swaps_under_load_drop_nothing_and_grow_nothing(
    tiny_base: BaseModel, swaps: int
) -> None:
    """Many versions serve in turn while clients ask: every reply is whole, and on one version.

    Afterwards memory holds three versions, and nothing of the others.
    """
    lineage = Lineage(tiny_base)
    lineage.next(step=1)
    residents = Watched(tiny_base)
    residents.book.add_mask(lineage.mask)
    residents.book.add_recipe(lineage.recipes[0])
    engine = open_engine(tiny_base, residents)
    engine.start()
    done, replies, served = threading.Event(), list[Finish](), set[str]()
    answered = threading.Condition()

    async def client(number: int) -> None:
        seed = number
        while not done.is_set():
            seed += 7
            asked = Sampling(temperature=1.0, top_p=0.9, max_tokens=5 + seed % 9, seed=seed)
            tokens, finish = await read(engine, Request(PROMPTS[seed % 4], asked))
            assert len(tokens) == asked.max_tokens or finish.reason == "stop"
            assert len({token.variant for token in tokens}) == 1
            with answered:
                served.add(tokens[0].variant.version)
                replies.append(finish)
                answered.notify_all()

    def swap() -> None:
        try:
            for number in range(swaps):
                recipe = lineage.next(step=1)
                version = recipe.version
                residents.book.add_recipe(recipe)
                residents.promote(version)
                if number % 4 == 0:
                    with answered:
                        assert answered.wait_for(lambda: version in served, 60)  # noqa: B023
        finally:
            done.set()

    await asyncio.gather(asyncio.to_thread(swap), *(client(n) for n in range(6)))
    await asyncio.to_thread(engine.drain, 30)
    assert {finish.reason for finish in replies} <= {"length", "stop"}
    assert len(served) >= swaps // 4
    gc.collect()
    assert len(residents.resident) == 3
    assert len(residents.models) <= 3
    assert (engine.running, engine.queued, engine._scheduler.slots.free) == (0, 0, 4)
