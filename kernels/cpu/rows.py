"""A few rows times weights that oneDNN has packed: faster than oneDNN there, and to the same bits.

For one row a product is a walk through the weights; oneDNN's kernels, made for many rows, get half
of the memory's bandwidth out of two cores, this loop nearly all of it. It reads oneDNN's own copy
(strips of 64 outputs, inputs in order) and adds in oneDNN's own order (blocks of inputs, summed
one after the other, each by fused multiply-add), so that a reply does not depend on which of the
two computed it. Whether that holds on this processor is not assumed: it is tried once for every
shape, and where one bit differs the loop is not used.

Knows nothing of models or names.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])
Array = npt.NDArray[np.float32]

MOST_ROWS = 3  # from 4 on oneDNN, which uses each weight for all rows at once, is as fast
STRIP = 64  # outputs side by side in oneDNN's layout for 512-bit vectors (AB16b64a)
# Inputs that oneDNN sums before it adds to the rest, beside "all": it depends on the shape.
_BLOCKS = (512, 1024, 256, 384, 768, 128, 64)
_TRIAL_ROWS = 1 + 2 + 3


def _compiled(*, parallel: bool) -> Callable[[Function], Function]:
    """Compile at the first call, keep the machine code on disk, run without the GIL.

    `contract` lets a product and a sum become one rounding, as in oneDNN; nothing is reordered.
    """
    options = {"cache": True, "nogil": True, "fastmath": {"contract"}, "parallel": parallel}
    return cast(Callable[[Function], Function], numba.njit(**options))


@_compiled(parallel=False)
def _some_strips(x: Array, strips: Array, out: Array, block: int, first: int, last: int) -> None:
    """Compute the outputs of strips first..last-1.

    x: (rows, in); strips: (strips, in, STRIP); out: (rows, strips · STRIP)
    """
    rows, depth = x.shape
    sums = np.empty((rows, STRIP), np.float32)
    for strip in range(first, last):
        place = strip * STRIP
        for start in range(0, depth, block):
            sums[:] = 0
            for k in range(start, min(start + block, depth)):
                for row in range(rows):
                    value = x[row, k]
                    for j in range(STRIP):
                        sums[row, j] += value * strips[strip, k, j]
            for row in range(rows):
                for j in range(STRIP):
                    if start == 0:
                        out[row, place + j] = sums[row, j]
                    else:
                        out[row, place + j] += sums[row, j]


@_compiled(parallel=True)
def _all_strips(x: Array, strips: Array, out: Array, block: int, threads: int) -> None:
    """Compute every output, on several threads."""
    count = strips.shape[0]
    for thread in numba.prange(threads):
        first, last = count * thread // threads, count * (thread + 1) // threads
        _some_strips(x, strips, out, block, first, last)


class PackedRows:
    """One packed weight, to be applied to a few rows, or read row by row."""

    def __init__(self, packed: Tensor, strips: Array, block: int) -> None:
        self._owner = packed  # of the memory that strips looks at
        self._strips, self._block = strips, block
        self._by_strip = torch.from_numpy(strips)

    def apply(self, x: Tensor) -> Tensor:
        """Multiply (…, in), at most MOST_ROWS rows, by the weight: (…, out)."""
        rows = x.reshape(-1, x.shape[-1]).numpy()
        count, threads = len(self._strips), torch.get_num_threads()
        out = torch.empty(len(rows), count * STRIP)
        if threads > 1:
            _all_strips(rows, self._strips, out.numpy(), self._block, threads)
        else:
            _some_strips(rows, self._strips, out.numpy(), self._block, 0, count)
        return out.view(*x.shape[:-1], -1)

    def read(self, rows: Tensor) -> Tensor:
        """Look up rows of the weight: (…) int64 → (…, in). Raises: IndexError."""
        return self._by_strip[rows // STRIP, :, rows % STRIP]


def packed_rows(packed: Tensor, out_features: int, in_features: int) -> PackedRows | None:
    """Return the fast product by a weight that oneDNN has packed; None where bits would differ.

    packed: what torch.ops.mkldnn._reorder_linear_weight gave
    """
    block = _equal_block(out_features, in_features)
    if block is None:
        return None
    return PackedRows(packed, _strips(packed, out_features, in_features), block)


@cache
def _equal_block(out_features: int, in_features: int) -> int | None:
    """Find the block of inputs that gives oneDNN's bits for weights of this shape, by trying."""
    if out_features % STRIP or in_features % 16 or not _has_openmp():
        return None  # padded, in a way that is not known here
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(out_features, in_features, generator=random)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, 32)
    strips = _strips(packed, out_features, in_features)
    x = torch.randn(_TRIAL_ROWS, in_features, generator=random)
    wanted = torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")
    for block in (in_features, *_BLOCKS):
        product = PackedRows(packed, strips, block)
        parts = [product.apply(rows) for rows in torch.split(x, [1, 2, 3])]
        if torch.equal(torch.cat(parts), wanted):
            return block
    return None


def _strips(packed: Tensor, out_features: int, in_features: int) -> Array:
    """Look at oneDNN's copy of a weight: (strips, in, STRIP)."""
    address = torch.ops.mkldnn.data_ptr(packed)
    floats = (ctypes.c_float * (out_features * in_features)).from_address(address)
    strips = np.ctypeslib.as_array(floats).reshape(out_features // STRIP, in_features, STRIP)
    return cast(Array, strips)


@cache
def _has_openmp() -> bool:
    """Say whether the loop can run on several threads at once, and from several threads.

    numba's own portable threads abort the process when two threads use them at once; OpenMP's do
    not, and wait as torch's do.
    """
    numba.config.THREADING_LAYER = "omp"
    x, strips, out = (np.zeros(s, np.float32) for s in ((1, 16), (1, 16, STRIP), (1, STRIP)))
    try:
        _all_strips(x, strips, out, 16, 2)
    except ValueError:  # numba: "No threading layer could be loaded", libgomp is not installed
        return False
    return True
