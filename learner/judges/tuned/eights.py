"""A matrix product in 8 bits, whose sums are exact on every processor: whole numbers.

Weights keep a scale a row, what they multiply one a row that is found as it comes (dynamic
quantization, vector by vector: Dettmers et al. 2022, "LLM.int8()", section 2). Processors multiply
bytes two to four times as fast as float32 (BENCHMARKS), in a quarter of the memory.

Knows nothing of what is encoded.
"""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

# Weights have 63 steps to each side. Processors without VNNI add two products of a byte up to 255
# in 16 bits, which with 127 would be cut off; and the sum of 1,536 products stays a whole number
# that float32 holds.
STEPS: Final = 63
INPUT_STEPS: Final = 127
MOST_INPUTS: Final = 2**24 // (STEPS * INPUT_STEPS)
# Rows are multiplied so many at a time: the code of a product is made for a number of rows, and few
# are kept (deploy.up.process).
ROWS: Final = 16
# So that a row of zeros has a scale, too.
_LEAST: Final = 1e-30


def multiplies_bytes(has: Mapping[str, object]) -> bool:
    """Say whether a processor multiplies bytes exactly, and faster than floats.

    has: what torch.cpu.get_capabilities gives

    oneDNN's kernels for AVX-512 without VNNI were seen to cut sums off (ONEDNN_MAX_CPU_ISA).

    >>> multiplies_bytes({"avx2": True}), multiplies_bytes({"avx2": True, "avx512_f": True})
    (True, False)
    """
    vnni = bool(has.get("avx512_vnni") or has.get("avx_vnni"))
    return vnni or bool(has.get("avx2") and not has.get("avx512_f"))


class EightBitLayer:
    """x · weightᵀ + bias, x and weight rounded to 8 bits."""

    def __init__(self, weight: Tensor, bias: Tensor, *, of_bytes: bool | None = None) -> None:
        """Round (out, in) float32 to the nearest of its row's steps.

        of_bytes: whether bytes are multiplied, or floats of the same values; None: what is fast
        here. Both give the same bits.
        raises: ValueError when there are so many inputs that a sum could be inexact
        """
        if weight.shape[1] > MOST_INPUTS:
            raise ValueError(f"{weight.shape[1]} inputs are more than {MOST_INPUTS}")
        if of_bytes is None:
            of_bytes = multiplies_bytes(torch.cpu.get_capabilities())
        of_bytes &= weight.shape[1] > 1  # torch 2.13 multiplies bytes wrongly where there is one
        largest = weight.abs().amax(1).clamp_min(_LEAST)
        rounded = torch.round(weight * (STEPS / largest)[:, None])
        self._weight = rounded.to(torch.int8 if of_bytes else torch.float32).t()
        self._scales, self._bias = largest / (STEPS * INPUT_STEPS), bias

    def apply(self, x: Tensor) -> Tensor:
        """Multiply (rows, in) float32: (rows, out)."""
        largest = x.abs().amax(1, keepdim=True).clamp_min(_LEAST)
        rounded = (x * (INPUT_STEPS / largest)).round_()
        return torch.addcmul(self._bias, self._sums(rounded) * largest, self._scales)

    def _sums(self, rounded: Tensor) -> Tensor:
        """The sums of products, whole numbers: (rows, out) int32 or float32."""
        if self._weight.dtype == torch.int8:
            rows = len(rounded)
            padded = rounded.new_empty(-(-rows // ROWS) * ROWS, rounded.shape[1], dtype=torch.int8)
            padded[:rows] = rounded
            return torch._int_mm(padded, self._weight)[:rows]
        return rounded @ self._weight
