"""How fast rows are multiplied by weights of 4 bits, beside oneDNN's float32 product of the same.

One thread, weights of the bundled model's shapes, least of some rounds that alternate between the
two. GFLOP/s count a multiplication and an addition a weight and row, whatever else is done.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from kernels.loops.lanes import GROUP
from kernels.loops.strips import Strips, quantised
from kernels.loops.vectors import VECTORS
from kernels.model.packed import multiply_packed, pack

SHAPES = ((1536, 576), (576, 1536))
ROWS = (1, 2, 4, 8, 16, 32, 128, 512)
ROUNDS = 40


def weight(shape: tuple[int, int]) -> Strips:
    """Return a random weight of unsigned nibbles."""
    draw = np.random.default_rng(0)
    numbers = draw.integers(0, 16, shape).astype(np.uint8)
    scales = draw.random((shape[0], shape[1] // GROUP)).astype(np.float32)
    return quantised("nibbles", numbers, scales, -8 * scales, shape[1])


def least_s(*ways: Callable[[Tensor], Tensor], x: Tensor) -> list[float]:
    """Return the least processor time of each way, in seconds."""
    found = [np.inf] * len(ways)
    for _ in range(ROUNDS):
        for number, way in enumerate(ways):
            began_s = time.thread_time()
            way(x)
            found[number] = min(found[number], time.thread_time() - began_s)
    return found


def main() -> None:
    """Print a table."""
    torch.set_num_threads(1)
    print(f"vectors of 16 floats that registers hold: {VECTORS}")
    print(f"{'weight':>12} {'rows':>5} {'ours':>6} {'oneDNN':>7}  GFLOP/s, and ours over oneDNN's")
    for shape in SHAPES:
        ours = weight(shape)
        theirs = pack(ours.plain())
        for rows in ROWS:
            x = torch.randn(max(rows, 2), shape[1])[:rows]
            both = least_s(ours.multiply, lambda x, w=theirs: multiply_packed(x, w), x=x)  # type: ignore[misc]
            mine, other = (2e-9 * rows * shape[0] * shape[1] / each for each in both)
            size = f"{shape[0]} x {shape[1]}"
            print(f"{size:>12} {rows:5} {mine:6.0f} {other:7.0f} {mine / other:6.2f}")


if __name__ == "__main__":
    main()
