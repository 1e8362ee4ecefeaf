"""One new token a row attends to its own past, in compiled loops over a KV cache.

Each row sees exactly its own length, so nothing is masked, padded or copied, and a row's result
is the same to the bit whatever other rows stand beside it.

Knows nothing of torch's modules, rope or versions: NumPy arrays in, NumPy arrays out.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Function = TypeVar("Function", bound=Callable[..., Any])
Array = npt.NDArray[Any]

_LOG2_E = np.float32(np.log2(np.e))
_LOWEST = np.float32(-3.0e38)
_TINY = np.float32(-126.0)  # 2^t of a float32 that is not subnormal
_BIAS, _MANTISSA_BITS = np.int32(127), np.int32(23)
# 2^f on [0, 1), Taylor series of e^(f ln 2): relative error under 2e-7, about one float32 unit
_C = tuple(np.float32(np.log(2) ** n / factorial) for n, factorial in
           ((1, 1), (2, 2), (3, 6), (4, 24), (5, 120), (6, 720), (7, 5040)))  # fmt: skip
_C1, _C2, _C3, _C4, _C5, _C6, _C7 = _C
_ONE = np.float32(1.0)


def _compiled(function: Function) -> Function:
    """Compile at the first call, keep the machine code on disk, run without the GIL.

    The flags let a sum be cut into vector lanes (the cut depends on the shape only), and keep the
    rules of NaN and infinity: a fault must show.
    """
    flags = {"reassoc", "contract", "arcp", "nsz"}
    return cast(Function, numba.njit(cache=True, nogil=True, fastmath=flags)(function))


@_compiled
def attend_rows(
    start: int,
    stop: int,
    q: Array,
    keys: Array,
    values: Array,
    slots: Array,
    lengths: Array,
    scale: np.float32,
    out: Array,
    scores: Array,
    powers: Array,
    exponents: Array,
) -> None:
    """Attend for the pairs (row, KV head) numbered start..stop-1, row-major.

    q, out: (rows, heads, d) float32; keys, values: (slots, kv_heads, capacity, d) float32
    slots, lengths: (rows,) int64, where each row's past lies and how long it is, itself included
    scores, powers: (capacity,) float32 scratch of the calling thread; exponents: powers' bits
        as int32
    """
    kv_heads, width = keys.shape[1], keys.shape[3]
    group = q.shape[1] // kv_heads
    for item in range(start, stop):
        row, kv = item // kv_heads, item % kv_heads
        length = lengths[row]
        past, content = keys[slots[row], kv], values[slots[row], kv]
        for head in range(kv * group, (kv + 1) * group):
            query, seen = q[row, head], out[row, head]
            for place in range(length):
                product = np.float32(0.0)
                for x in range(width):
                    product += query[x] * past[place, x]
                scores[place] = product * scale
            # softmax; e^s as 2^t, written so that the loop is vector code (expf is a call)
            highest = _LOWEST
            for place in range(length):
                highest = max(highest, scores[place])
            for place in range(length):
                t = max((scores[place] - highest) * _LOG2_E, _TINY)
                whole = np.floor(t)
                f = t - whole
                exponents[place] = (np.int32(whole) + _BIAS) << _MANTISSA_BITS
                scores[place] = _ONE + f * (
                    _C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * (_C6 + f * _C7)))))
                )
            total = np.float32(0.0)
            for place in range(length):
                scores[place] *= powers[place]
                total += scores[place]
            for x in range(width):
                seen[x] = np.float32(0.0)
            for place in range(length):
                share = scores[place] / total
                for x in range(width):
                    seen[x] += share * content[place, x]
