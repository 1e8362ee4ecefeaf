"""Linear layers whose weights stay the bits that they came as: 4 or 8 bits in blocks, or 16.

The product makes each weight in a register and adds in the order of the packed float32 product, so
a reply has the same bits whichever of the two a layer uses, alone or in any batch. What a layer
stores is proved when it is made: it gives the plain weight back, bit for bit, or is not used. A
version that moves such a layer has it in full (`like`).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kernels.dtypes import is_for_processor
from kernels.loops.lanes import GROUP
from kernels.loops.strips import Numbers, Strips, halved, quantised
from kernels.model.layers import Layer
from kernels.model.onednn import sum_block
from kernels.model.packed import in_full


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """A quantised weight: number by number, and for each GROUP of inputs a scale and an offset.

    numbers: (out, in), uint8 under 16 (nibbles) or int8 (others); scales, offsets: (out, in /
        GROUP) float32; a weight is scale · number + offset, and the product is exact in float32
    """

    kind: Numbers
    numbers: npt.NDArray[np.generic]
    scales: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.float32]


class BlocksLayer:
    """A weight in strips of small numbers or of 16-bit floats."""

    dtype: Final = torch.float32
    device: Final = torch.device("cpu")

    def __init__(self, strips: Strips, bias: Tensor | None = None) -> None:
        self.strips, self.bias = strips, bias

    @property
    def shape(self) -> tuple[int, int]:
        return self.strips.shape

    @property
    def nbytes(self) -> int:
        return self.strips.nbytes

    def apply(self, x: Tensor) -> Tensor:
        out = self.strips.multiply(x.reshape(-1, x.shape[-1])).view(*x.shape[:-1], -1)
        return out if self.bias is None else out.add_(self.bias)

    def plain(self) -> Tensor:
        return self.strips.plain()

    def rows(self, ids: Tensor) -> Tensor:
        return self.strips.rows(ids)

    def like(self, weight: Tensor) -> Layer:
        return in_full(weight, self.bias)


def as_it_came(
    weight: Tensor, bias: Tensor | None = None, blocks: Blocks | None = None
) -> BlocksLayer | None:
    """Store a weight in the bits that it came as; None where that is not possible here.

    weight: (out, in); blocks: what it was made of, if that is known
    raises: ValueError when the blocks do not give the weight back
    """
    out_features, in_features = weight.shape
    if not is_for_processor(weight.device, weight.dtype) or in_features % GROUP:
        return None
    block = sum_block(out_features, in_features) or in_features
    if blocks is not None:
        found = quantised(blocks.kind, blocks.numbers, blocks.scales, blocks.offsets, block)
    else:
        half = _as_16_bits(weight)
        if half is None:
            return None
        found = halved(*half, block)
    layer = BlocksLayer(found, bias)
    if not torch.equal(layer.plain().view(torch.int32), weight.contiguous().view(torch.int32)):
        raise ValueError("its blocks do not give the weight")
    return layer


def _as_16_bits(weight: Tensor) -> tuple[Numbers, npt.NDArray[np.uint16]] | None:
    """Return the bits of a weight that loses nothing as 16-bit floats."""
    if not bool((weight.contiguous().view(torch.int32) & 0xFFFF).any()):
        return "bfloat16", weight.bfloat16().view(torch.uint16).numpy()
    half = weight.half()
    if torch.equal(half.float().view(torch.int32), weight.contiguous().view(torch.int32)):
        return "float16", half.view(torch.uint16).numpy()
    return None
