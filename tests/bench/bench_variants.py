"""What two versions in one batch cost against one: the bundled model, and a canary beside it.

A version that learning has made differs from the base in the last blocks that it may move
(learner.last_layers). Measured is a decode step of so many rows, all of one version, half of them
of another in one walk (kernels.model.together), and half of them in a pass of their own, as it was
done before. The three take turns, so that all see the same machine; the median of the rounds
counts. Goal: two versions in one walk cost at most 1.15 times as much as one.
"""

import os
import statistics
import time
from collections.abc import Callable

import torch

from kernels.model.decode import next_logits, read_chunk
from kernels.model.forward import Decoder
from kernels.model.kv import KvCache
from kernels.model.model import with_weights
from kernels.model.together import Rows, next_logits_of
from learner.settings import MODULES, LearnerSettings
from streams.model.open import load_base
from streams.settings import ModelSettings

BATCHES = (2, 8, 16)
PROMPT_TOKENS = 96
STEPS = 8
ROUNDS = 9
GOAL = 1.15


def canary(base: Decoder, layers: int) -> Decoder:
    """Build a version whose last blocks have weights of their own."""
    names = [
        name
        for index in range(base.num_layers - layers, base.num_layers)
        for name in base.model.layers
        if name.startswith(f"model.layers.{index}.") and any(f".{m}." in name for m in MODULES)
    ]
    moved = {name: base.model.get_parameter(name) * 1.01 for name in names}
    return Decoder(with_weights(base.model, moved))


def timed(base: Decoder, other: Decoder, batch: int) -> dict[str, float]:
    """Return milliseconds a step, by the way in which it is done: the median of the rounds."""
    capacity = PROMPT_TOKENS + STEPS * ROUNDS * 3 + 8
    cache = KvCache(base, capacity=capacity, tokens=batch * capacity)
    slots = [cache.open() for _ in range(batch)]
    generator = torch.Generator().manual_seed(batch)
    for slot in slots:
        ids = torch.randint(500, 20000, (PROMPT_TOKENS,), generator=generator).tolist()
        read_chunk(base, cache, slot, ids)
    half = batch // 2
    first, second, last = slots[:half], slots[half:], [5] * batch
    ways: dict[str, Callable[[], object]] = {
        "one version": lambda: next_logits(base, cache, slots, last),
        "two, one walk": lambda: next_logits_of(
            cache, [Rows(base, first, last[:half]), Rows(other, second, last[half:])]
        ),
        "two, a pass each": lambda: (
            next_logits(base, cache, first, last[:half]),
            next_logits(other, cache, second, last[half:]),
        ),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for name, step in ways.items():
        step()
        assert name
    for _ in range(ROUNDS):
        for name, step in ways.items():
            began_s = time.perf_counter()
            for _ in range(STEPS):
                step()
            took[name].append((time.perf_counter() - began_s) / STEPS * 1000)
    return {name: statistics.median(each) for name, each in took.items()}


def main() -> None:
    """Print milliseconds a step, and what two versions cost against one."""
    threads = os.cpu_count() or 1
    torch.set_num_threads(threads)
    base = load_base(ModelSettings()).decoder
    layers = LearnerSettings().last_layers
    other = canary(base, layers)
    print(f"bundled model, {threads} threads, the last {layers} blocks differ; ms a decode step")
    print("rows   one version   two, one walk         two, a pass each")
    with torch.inference_mode():
        for batch in BATCHES:
            ms = timed(base, other, batch)
            one = ms["one version"]
            cells = [f"{ms[name]:8.1f} ({ms[name] / one:4.2f}×)" for name in list(ms)[1:]]
            print(f"{batch:4} {one:13.1f}  {cells[0]:>18}   {cells[1]:>18}")
    print(f"goal: at most {GOAL:g}× in one walk")


if __name__ == "__main__":
    main()
