"""Linear layers whose weights are laid out for this processor's matrix product, and only so.

oneDNN reads weights that were packed once two to three times faster than torch's default product
reads them as they lie (BENCHMARKS), at one token as at many. And a row of its result does not
depend, to the bit, on how many rows stand beside it: what lets a seeded reply be the same in any
batch. The packed copy is the only one: single rows are read out of it where its layout is known,
and the plain weight is unpacked, bit for bit, for what needs it.
"""

from collections.abc import Callable
from typing import Final, cast

import torch
from torch import Tensor

from kernels.dtypes import is_for_processor
from kernels.model.layers import Layer, PlainLayer
from kernels.model.onednn import PACKED_FOR, packed_strips

# From so many rows on oneDNN is as fast as a loop of our own.
MOST_ROWS: Final = 8

# resolved once: looking an operator up by name costs as much as a small product
_PRODUCT: Final = cast(Callable[..., Tensor], torch.ops.mkldnn._linear_pointwise.default)


def packable(weight: Tensor) -> bool:
    """Say whether a weight can be packed here: float32 on a CPU with oneDNN."""
    # what torch.backends.mkldnn.is_available says, typed
    return is_for_processor(weight.device, weight.dtype) and bool(torch._C._has_mkldnn)


def in_full(weight: Tensor, bias: Tensor | None = None, *, looked_up: bool = False) -> Layer:
    """Store a copy of a float32 weight in the fastest form that it can have here.

    Packing takes a tenth of a millisecond a megabyte.

    looked_up: its rows are read one by one, too, as an embedding's are
    """
    if packable(weight):
        layer = PackedLayer(weight, bias)
        if layer.has_rows or not looked_up:
            return layer
    return PlainLayer(weight.clone(), bias)


def pack(weight: Tensor) -> Tensor:
    """Lay a packable weight out as oneDNN multiplies it fastest: what `multiply_packed` takes."""
    return cast(Tensor, torch.ops.mkldnn._reorder_linear_weight(weight.detach(), PACKED_FOR))


def multiply_packed(x: Tensor, packed: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply (…, in), two rows or more, by a weight in oneDNN's layout."""
    return _PRODUCT(x, packed, bias, "none", [], "")


class PackedLayer:
    """A weight in oneDNN's layout."""

    dtype: Final = torch.float32
    device: Final = torch.device("cpu")

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Pack (out, in) float32."""
        out_features, in_features = weight.shape
        self.shape = (out_features, in_features)
        self.bias = bias
        self._weight = pack(weight)
        self.strips = packed_strips(self._weight, out_features, in_features)

    @property
    def has_rows(self) -> bool:
        """The layout is known here, so that single rows can be read, and few multiplied fast."""
        return self.strips is not None

    @property
    def nbytes(self) -> int:
        return 4 * self.shape[0] * self.shape[1]

    def apply(self, x: Tensor) -> Tensor:
        if self.strips is not None and x.numel() <= MOST_ROWS * x.shape[-1]:
            out = self.strips.multiply(x.reshape(-1, x.shape[-1])).view(*x.shape[:-1], -1)
            return out if self.bias is None else out.add_(self.bias)
        if x.numel() == x.shape[-1]:
            # oneDNN sums one row in another order than several, when it has over 512 inputs
            pair = x.reshape(1, -1).expand(2, -1).contiguous()
            return multiply_packed(pair, self._weight, self.bias)[0].view(*x.shape[:-1], -1)
        return multiply_packed(x, self._weight, self.bias)

    def plain(self) -> Tensor:
        return self._weight.to_dense()

    def rows(self, ids: Tensor) -> Tensor:
        return self.plain()[ids] if self.strips is None else self.strips.rows(ids)

    def like(self, weight: Tensor) -> "PackedLayer":
        return PackedLayer(weight, self.bias)
