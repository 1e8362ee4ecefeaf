"""Where a step of the bundled model goes: its products, its head, attention, and what memory gives.

The whole step on one thread and on all, then its parts alone on one thread: the loops that a step
itself runs, on the same plan, rows and pages. Attention once as it is, and once with all rows on
the same pages, which stay in the cache: what lies between is waiting for memory. Least of some
rounds.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from kernels.loops.attention import attend_rows
from kernels.loops.heads import HEADS_AT_ONCE
from kernels.loops.lanes import HALF
from kernels.loops.product import half_strips
from kernels.loops.step import BLOCK, IN, KIND, LAYERS, OUT, WEIGHTS
from kernels.loops.strips import scratch
from kernels.model.kv import KvCache
from kernels.model.step import Rows, Step, step_logits
from streams.model.open import BaseModel, load_base
from streams.settings import ModelSettings

ROWS = (1, 8, 32)
TOKENS = 112
ROUNDS = 15
NAMES = ("query", "key", "value", "output", "gate", "up", "down")


def least_ms(timed: Callable[[], Any]) -> float:
    """Return the least time of some calls, in milliseconds; the first one compiles."""
    timed()
    found = np.inf
    for _ in range(ROUNDS):
        began_s = time.perf_counter()
        timed()
        found = min(found, time.perf_counter() - began_s)
    return 1e3 * found


def products_ms(step: Step, lines: np.ndarray[Any, Any], rows: int) -> float:
    """Return what products of some lines of a plan take, for all rows."""
    draw = np.random.default_rng(0)
    x = draw.standard_normal((rows, step.plan[:, IN].max()), np.float32)
    out = np.empty((rows, step.plan[:, OUT].max()), np.float32)
    unpacked = scratch(1, step.plan[:, IN].max())[0]

    def multiply() -> None:
        for line in lines:
            half_strips(
                line[KIND], line[WEIGHTS], x.ctypes.data, rows, line[IN], out.ctypes.data,
                line[OUT], line[BLOCK], unpacked.ctypes.data, 0, line[OUT] // HALF,
            )  # fmt: skip

    return least_ms(multiply)


def attention_ms(step: Step, read: Rows) -> float:
    """Return what attention of all blocks takes."""
    sizes = step.sizes
    shape = len(read.lengths), sizes.heads, sizes.head_dim
    q, out = np.zeros(shape, np.float32), np.empty(shape, np.float32)
    scores = np.empty((HEADS_AT_ONCE, int(read.lengths.max())), np.float32)
    memory, scale = read.memory.numpy(), np.float32(sizes.head_dim**-0.5)

    def attend() -> None:
        for block in range(sizes.num_layers):
            attend_rows(
                0, shape[0] * sizes.kv_heads, 1, q, memory, block, read.tables, read.lengths,
                scale, out, scores,
            )  # fmt: skip

    return least_ms(attend)


def measure(base: BaseModel, rows: int) -> None:
    """Print the parts of a step of so many rows."""
    step = base.decoder.step
    assert step is not None, "the bundled model has a plan"
    cache = KvCache(base.decoder, capacity=2 * TOKENS, tokens=2 * TOKENS * rows)
    slots = [cache.open() for _ in range(rows)]
    for slot in slots:  # pages one after the other, as replies take them that begin together
        cache.reserve(slot, TOKENS)
        cache.grow([slot], TOKENS - 1)
    memory = cache.pages.memory.normal_()
    tables, lengths = (np.asarray(each) for each in cache.places([(slot, 1) for slot in slots]))
    hidden = torch.randn(rows, len(step.norms[0]))
    rope = torch.rand(rows, step.sizes.head_dim), torch.rand(rows, step.sizes.head_dim)
    read = Rows(hidden, rope, memory, tables, lengths, np.arange(rows))
    whole = []
    for threads in sorted({1, os.cpu_count() or 1}):
        torch.set_num_threads(threads)
        whole.append(f"{threads}: {least_ms(lambda: step_logits([step], [rows], read)):.1f} ms")
    print(f"{rows} rows of {TOKENS} tokens; threads: {', '.join(whole)}; on one of them:")
    torch.set_num_threads(1)
    for number, name in [*enumerate(NAMES), (-1, "head")]:
        lines = step.plan[-1:] if name == "head" else step.plan[number:-1:LAYERS]
        flops = 2.0 * rows * (lines[:, IN] * lines[:, OUT]).sum()
        took = products_ms(step, lines, rows)
        print(f"  {name:<10}{took:8.2f} ms {flops / took / 1e6:6.0f} GFLOP/s")
    bytes_read = lengths.sum() * 2 * step.sizes.kv_heads * step.sizes.head_dim * 4
    bytes_read *= step.sizes.num_layers
    took = attention_ms(step, read)
    print(f"  {'attention':<10}{took:8.2f} ms {bytes_read / took / 1e6:6.1f} GB/s")
    tables[:] = tables[0]
    print(f"  {'in cache':<10}{attention_ms(step, read):8.2f} ms")


def main() -> None:
    """Measure each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", type=int, default=ROWS)
    chosen, base = parser.parse_args(), load_base(ModelSettings())
    for rows in chosen.rows:
        measure(base, rows)
    floats = torch.randn(2**26).numpy()
    print(f"a plain sum reads {floats.nbytes / least_ms(floats.sum) / 1e6:.1f} GB/s")


if __name__ == "__main__":
    main()
