"""How fast the encoder of the judge reads a message, in 8 bits and by oneDNN's float32 products.

One thread, as a learner has on two cores; median of rounds that alternate between the two.
"""

import statistics
import time

import torch
from torch import Tensor

from kernels.model.packed import multiply_packed, pack
from learner.judges.tuned import encoder as tuned
from learner.judges.tuned.eights import EightBitLayer

WORDS = (5, 30, 100, 200)
ROUNDS = 40


class Floats:
    """What stood in the place of 8 bits before."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._weight, self._bias = pack(weight), bias

    def apply(self, x: Tensor) -> Tensor:
        """Multiply (rows, in) float32: (rows, out)."""
        return multiply_packed(x, self._weight, self._bias)


def opened(layer: type[EightBitLayer] | type[Floats]) -> tuned.Encoder:
    """Return an encoder whose products are of a kind."""
    tuned.EightBitLayer = layer  # type: ignore[attr-defined,assignment]
    return tuned.Encoder.open()


def main() -> None:
    """Print a table."""
    torch.set_num_threads(1)
    both = opened(Floats), opened(EightBitLayer)
    print(f"{'words':>6} {'float32':>8} {'8 bits':>7}  ms, and float32's over 8 bits'")
    for words in WORDS:
        text = "query: " + " ".join(f"it is what it is {n}" for n in range(words // 6 + 1))
        took: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            for encoder, times in zip(both, took, strict=True):
                began_s = time.perf_counter()
                encoder.chances(text)
                times.append(1000 * (time.perf_counter() - began_s))
        floats, eights = map(statistics.median, took)
        print(f"{words:6} {floats:8.1f} {eights:7.1f}  {floats / eights:.2f}", flush=True)


if __name__ == "__main__":
    main()
