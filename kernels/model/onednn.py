"""oneDNN's packed float32 weights, read in its own layout, and the order in which it sums.

A product of our own reads oneDNN's copy (strips of 64 outputs, inputs in order) and adds in its
order (blocks of inputs, summed one after the other, each by fused multiply-add), so that a result
does not depend on which of the two computed it. Whether that holds on this processor is not
assumed: it is tried once for every shape, and where one bit differs ours is not used.

Knows nothing of models or names.
"""

import ctypes
from functools import cache

import numpy as np
import torch
from torch import Tensor

from kernels.loops.lanes import GROUP, STRIP
from kernels.loops.strips import Strips

# For this many rows weights are packed: oneDNN's layout for a single row is another one.
PACKED_FOR = 32
# Inputs that oneDNN sums before it adds to the rest, beside "all": it depends on the shape.
_BLOCKS = (512, 1024, 256, 384, 768, 128, 64)
_TRIALS = [1, 2, 3, 8]  # rows at once


def packed_strips(packed: Tensor, out_features: int, in_features: int) -> Strips | None:
    """Look at a weight that oneDNN has packed; None where bits of products would differ.

    packed: what torch.ops.mkldnn._reorder_linear_weight gave; it must outlive what is returned
    """
    block = sum_block(out_features, in_features)
    return None if block is None else _looked_at(packed, out_features, in_features, block)


@cache
def sum_block(out_features: int, in_features: int) -> int | None:
    """Find the block of inputs that gives oneDNN's bits for weights of this shape, by trying."""
    if out_features % STRIP or in_features % GROUP:
        return None  # padded, in a way that is not known here
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(out_features, in_features, generator=random)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, PACKED_FOR)
    x = torch.randn(sum(_TRIALS), in_features, generator=random)
    wanted = torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")
    for block in (in_features, *_BLOCKS):
        strips = _looked_at(packed, out_features, in_features, block)
        parts = [strips.multiply(rows) for rows in torch.split(x, _TRIALS)]
        if torch.equal(torch.cat(parts), wanted):
            return block
    return None


def _looked_at(packed: Tensor, out_features: int, in_features: int, block: int) -> Strips:
    address = torch.ops.mkldnn.data_ptr(packed)
    floats = (ctypes.c_float * (out_features * in_features)).from_address(address)
    strips = np.ctypeslib.as_array(floats).reshape(out_features // STRIP, in_features, STRIP)
    return Strips("float32", (out_features, in_features), strips, block)
