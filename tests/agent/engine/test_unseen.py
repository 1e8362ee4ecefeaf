"""Replies that nobody waits for: they take no step, no place and no page from any other."""

import asyncio
import threading
from dataclasses import replace

from agent.engine.contract import Assign, Finish, Request
from agent.engine.engine import BatchingEngine
from agent.engine.waiting import MAX_UNSEEN
from agent.errors import QueueFullError
from agent.settings import AgentSettings
from agent.swap.residents import Resident, Residents
from kernels.open import open_backend
from streams.model.open import BaseModel
from streams.records import Sampling
from tests.agent.engine.test_contract import rest_of

LONG = Sampling(temperature=1.0, top_p=1.0, max_tokens=60, seed=7)
PROMPT = [5, 9, 17, 40]


class Gate(Residents):
    """Residents that note what is admitted, and hold the next admission up when told to."""

    def __init__(self, base: BaseModel) -> None:
        super().__init__(base, open_backend("cpu"))
        self.go_on = threading.Event()
        self.go_on.set()

    def hold(self, assign: Assign) -> Resident:
        assert self.go_on.wait(60)
        return super().hold(assign)


def asked(*, unseen: bool, prompt: list[int] = PROMPT, seed: int = 7) -> Request:
    """Ask for a long reply that no stop token ends early."""
    sampling = LONG.model_copy(update={"seed": seed, "logit_bias": {2: -100.0}})
    return Request(prompt, sampling, unseen=unseen)


def open_engine(base: BaseModel, **changes: int) -> tuple[BatchingEngine, Gate]:
    """Assemble an engine of two places."""
    given = {"max_batch": 2, "context_tokens": 128, "prefill_chunk_tokens": 8, "threads": 1}
    settings = AgentSettings(**(given | changes))
    residents = Gate(base)
    return BatchingEngine(residents, settings=settings, base=base), residents


async def test_others_go_first_and_it_ends_all_the_same(tiny_base: BaseModel) -> None:
    """An unseen reply asked first ends last, and is to the bit what it would be alone."""
    engine, gate = open_engine(tiny_base, max_batch=3, kv_tokens=512)  # nobody needs its place
    gate.go_on.clear()
    engine.start()
    ended: list[str] = []

    async def read(name: str, request: Request) -> list[int]:
        tokens, finish = await rest_of(engine.submit(request))
        assert finish == Finish("length")
        ended.append(name)
        return [token.id for token in tokens]

    unseen = asyncio.create_task(read("unseen", asked(unseen=True)))
    await asyncio.sleep(0)
    seen = [
        asyncio.create_task(read(f"seen {seed}", asked(unseen=False, seed=seed))) for seed in (1, 2)
    ]
    await asyncio.sleep(0)
    gate.go_on.set()
    beside, *_ = await asyncio.gather(unseen, *seen)
    assert ended[-1] == "unseen"
    alone = await read("alone", replace(asked(unseen=False)))
    assert beside == alone
    await asyncio.to_thread(engine.drain, 0)


async def test_it_gives_up_its_place_and_its_pages(tiny_base: BaseModel) -> None:
    """Where a person needs them; it is cancelled, and leaves nothing behind."""
    engine, gate = open_engine(tiny_base, max_batch=1, kv_tokens=128)
    engine.start()
    stream = engine.submit(asked(unseen=True))
    await anext(aiter(stream))
    seen, finish = await rest_of(engine.submit(asked(unseen=False, prompt=[3] * 60)))
    assert (len(seen), finish.reason) == (60, "length")
    _, end = await rest_of(stream)
    assert end.reason in ("cancelled", "length")
    if end.reason == "cancelled":
        assert engine.counts.preempted_replies == 1
    assert (engine.running, engine._scheduler.slots.free) == (0, 1)
    await asyncio.to_thread(engine.drain, 0)
    assert gate.go_on.is_set()


async def test_few_wait_and_a_stop_waits_for_none(tiny_base: BaseModel) -> None:
    """More than a few are refused, so that they cost nothing; a stop cancels them at once."""
    engine, gate = open_engine(tiny_base)
    gate.go_on.clear()
    engine.start()
    streams = [engine.submit(asked(unseen=True)) for _ in range(MAX_UNSEEN)]
    while len(streams) < 2 * MAX_UNSEEN + 2:  # the engine may have taken some to begin them
        try:
            streams.append(engine.submit(asked(unseen=True)))
        except QueueFullError:
            break
    else:
        raise AssertionError("they queue without end")
    stopping = asyncio.create_task(asyncio.to_thread(engine.drain, 30))
    await asyncio.sleep(0)
    gate.go_on.set()
    async with asyncio.timeout(60):
        ends = [(await rest_of(stream))[1].reason for stream in streams]
        await stopping
    assert set(ends) <= {"cancelled", "length"}
