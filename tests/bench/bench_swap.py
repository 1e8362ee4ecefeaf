"""The longest gap between two tokens of a running stream while a version is swapped in.

Replies stream without pause, and meanwhile, in turns, nothing else happens, or a version is built
aside and flipped to. Beside it stands the time of the same build with nothing running: the gap of a
server that stands still while it loads weights. A version moves, by 8 pairs, the MLP of the last
block, as a service's do by default, or the last 8 of 30 blocks, 28 million weights.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise

import torch

from agent.engine.contract import Finish, Request
from agent.engine.engine import BatchingEngine
from agent.settings import AgentSettings
from agent.swap.residents import Residents
from kernels.open import open_backend
from learner.serving import Serving
from learner.update.candidate import draft
from learner.update.strategies import Update
from streams.model.open import BaseModel, load_base
from streams.records import Mask, Recipe, Sampling
from streams.settings import ModelSettings

STREAMS = 4
CONTEXT = 4096  # tokens of a stream: it must not end while it is watched
MLP = ["gate_proj", "up_proj", "down_proj"]
# name, how many of the last blocks move, and what of them
MOVED = (
    ("3 tensors of the last block", 1, MLP),
    ("56 tensors of the last 8 blocks", 8, ["q_proj", "k_proj", "v_proj", "o_proj", *MLP]),
)
UPDATE = Update((100, -80, 60, 40, -20, 10, 90, -70), step=16)
ROUNDS = 5
QUIET_S = 3.0


class Line:
    """Makes one version after another."""

    def __init__(self, base: BaseModel, last_layers: int, modules: list[str]) -> None:
        layers = base.decoder.num_layers
        self.mask = Mask(base=base.name, neurons={}, groups={})
        self._serving = Serving(
            base,
            open_backend("cpu"),
            self.mask,
            layers=range(layers - last_layers, layers),
            modules=modules,
        )

    def next(self) -> Recipe:
        """Return the next version's recipe, at the step of a usual generation."""
        number = self._serving.number + 1
        described = draft(self._serving, f"{number:016x}", UPDATE, sigma_log2=-4)
        recipe = self._serving.child(described).recipe
        self._serving.follow(recipe.version, [*self._serving.chain, recipe])
        return recipe


async def watched(streams: list[list[float]], during: Callable[[], Awaitable[float]]) -> float:
    """Return the longest gap, ms, of any stream while something happens."""
    began_s = time.perf_counter()
    await during()
    ended_s = time.perf_counter()
    await asyncio.sleep(0.3)  # until the token after it
    gaps = [
        later - earlier
        for times in streams
        for earlier, later in pairwise(times)
        if later > began_s and earlier < ended_s
    ]
    return max(gaps) * 1000


async def measure(base: BaseModel, line: Line) -> None:
    """Print the table of swaps along a line."""
    residents = Residents(base, open_backend("cpu"))
    residents.book.add_mask(line.mask)
    # all streams have their place at once: by default the memory is that of one whole context
    settings = AgentSettings(max_batch=STREAMS, context_tokens=CONTEXT, kv_tokens=STREAMS * CONTEXT)
    engine = BatchingEngine(residents, settings=settings, base=base)
    engine.start()
    streams: list[list[float]] = [[] for _ in range(STREAMS)]

    async def read(number: int) -> None:
        sampling = Sampling(temperature=1.0, top_p=0.95, max_tokens=4000, seed=number)
        async for event in engine.submit(Request(list(range(500, 532)), sampling)):
            if not isinstance(event, Finish):
                streams[number].append(time.perf_counter())

    readers = [asyncio.create_task(read(number)) for number in range(STREAMS)]
    while not all(streams):
        await asyncio.sleep(0.05)

    async def nothing() -> float:
        await asyncio.sleep(QUIET_S)
        return QUIET_S

    async def swap() -> float:
        began_s = time.perf_counter()
        await asyncio.to_thread(residents.promote, recipe.version)
        builds.append(time.perf_counter() - began_s)
        return builds[-1]

    builds, quiet, swapped = list[float](), list[float](), list[float]()
    for _ in range(ROUNDS):
        quiet.append(await watched(streams, nothing))
        # a learner's work, which holds this loop up: what it holds back is read before the swap
        recipe = line.next()
        residents.book.add_recipe(recipe)
        await asyncio.sleep(0.3)
        swapped.append(await watched(streams, swap))
    await asyncio.to_thread(engine.drain, 0)
    await asyncio.gather(*readers)
    still = []
    for _ in range(ROUNDS):
        recipe = line.next()
        residents.book.add_recipe(recipe)
        began_s = time.perf_counter()
        residents.promote(recipe.version)
        still.append((time.perf_counter() - began_s) * 1000)
    steps = [b - a for times in streams for a, b in pairwise(times)]
    print(
        f"{STREAMS} streams, {ROUNDS} swaps; a step takes {statistics.median(steps) * 1000:.0f} ms"
    )
    print(f"{'longest gap, ms':<34}{'median':>8}{'worst':>8}")
    for name, gaps in (
        (f"{QUIET_S:g} s without a swap", quiet),
        (f"swap ({statistics.median(builds):.2f} s aside)", swapped),
        ("standing still while it is built", still),
    ):
        print(f"{name:<34}{statistics.median(gaps):>8.0f}{max(gaps):>8.0f}")


def main() -> None:
    """Load the bundled model and measure."""
    torch.set_num_threads(os.cpu_count() or 1)
    base = replace(load_base(ModelSettings()), stop_ids=frozenset())
    for name, last_layers, modules in MOVED:
        print(f"a version moves {name}")
        asyncio.run(measure(base, Line(base, last_layers, modules)))


if __name__ == "__main__":
    main()
