"""One new token a row attends to its own past, in compiled loops over the pages of a KV cache.

Each row sees exactly its own length, so nothing is masked, padded or copied, and a row's result
is the same to the bit whatever other rows stand beside it and wherever its pages lie.

Knows nothing of torch's modules, rope or versions: NumPy arrays in, NumPy arrays out.
"""

import numpy as np

from kernels.cpu.compiled import Array, inlined, vectorised

LOG2_E = np.float32(np.log2(np.e))
_LOWEST = np.float32(-3.0e38)
_TINY = np.float32(-126.0)  # 2^t of a float32 that is not subnormal
_BIAS, _MANTISSA_BITS = np.int32(127), np.int32(23)
# 2^f on [0, 1), Taylor series of e^(f ln 2): relative error under 2e-7, about one float32 unit
_C = tuple(np.float32(np.log(2) ** n / factorial) for n, factorial in
           ((1, 1), (2, 2), (3, 6), (4, 24), (5, 120), (6, 720), (7, 5040)))  # fmt: skip
_C1, _C2, _C3, _C4, _C5, _C6, _C7 = _C
_ONE = np.float32(1.0)


@inlined
def power_of_two(f: np.float32) -> np.float32:
    """Return 2^f for f in [0, 1)."""
    return _ONE + f * (_C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * (_C6 + f * _C7))))))


@vectorised
def attend_rows(
    start: int,
    stop: int,
    q: Array,
    new: Array,
    memory: Array,
    layer: int,
    tables: Array,
    lengths: Array,
    scale: np.float32,
    out: Array,
    scores: Array,
    powers: Array,
    exponents: Array,
) -> None:
    """Write and attend for the pairs (row, KV head) numbered start..stop-1, row-major.

    q, out: (rows, heads, d) float32; new: (2, rows, kv_heads, d), keys and values of the new tokens
    memory: (pages, layers, 2, kv_heads, tokens, d); tables: (rows, most) int32, the pages of each
        row in order; lengths: (rows,) int64, how long its past is, the new token included
    scores, powers: (longest,) float32 scratch of the calling thread; exponents: powers' bits
        as int32
    """
    kv_heads, tokens, width = memory.shape[3], memory.shape[4], memory.shape[5]
    group = q.shape[1] // kv_heads
    for item in range(start, stop):
        row, kv = item // kv_heads, item % kv_heads
        length, table = lengths[row], tables[row]
        page, place = table[(length - 1) // tokens], (length - 1) % tokens
        for x in range(width):
            memory[page, layer, 0, kv, place, x] = new[0, row, kv, x]
            memory[page, layer, 1, kv, place, x] = new[1, row, kv, x]
        for head in range(kv * group, (kv + 1) * group):
            query, seen = q[row, head], out[row, head]
            for first in range(0, length, tokens):
                past = memory[table[first // tokens], layer, 0, kv]
                for place in range(min(tokens, length - first)):
                    product = np.float32(0.0)
                    for x in range(width):
                        product += query[x] * past[place, x]
                    scores[first + place] = product * scale
            # softmax; e^s as 2^t, written so that the loop is vector code (expf is a call)
            highest = _LOWEST
            for place in range(length):
                highest = max(highest, scores[place])
            for place in range(length):
                t = max((scores[place] - highest) * LOG2_E, _TINY)
                whole = np.floor(t)
                f = t - whole
                exponents[place] = (np.int32(whole) + _BIAS) << _MANTISSA_BITS
                scores[place] = power_of_two(f)
            total = np.float32(0.0)
            for place in range(length):
                scores[place] *= powers[place]
                total += scores[place]
            for x in range(width):
                seen[x] = np.float32(0.0)
            for first in range(0, length, tokens):
                content = memory[table[first // tokens], layer, 1, kv]
                for place in range(min(tokens, length - first)):
                    share = scores[first + place] / total
                    for x in range(width):
                        seen[x] += share * content[place, x]
