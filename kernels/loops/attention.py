"""Each row attends to its own past, in compiled loops over the pages of a KV cache.

Each row is one new token, and sees exactly its own length, so nothing is masked, padded or copied,
and a row's result is the same to the bit whatever other rows stand beside it and wherever its pages
lie.

Knows nothing of torch's modules, rope or versions: NumPy arrays in, NumPy arrays out.
"""

import numpy as np

from kernels.cpu.compiled import Array, compiled, inlined, vectorised
from kernels.loops.heads import HEADS_AT_ONCE, float_of, score, weigh

LOG2_E = np.float32(np.log2(np.e))
_LOWEST = np.float32(-3.0e38)
_TINY, _HUGE = np.float32(-126.0), np.float32(126.0)  # 2^t of a float32 that is not subnormal
_BIAS, _MANTISSA_BITS = np.int32(127), np.int32(23)
# 2^f on [0, 1), Taylor series of e^(f ln 2): relative error under 2e-7, about one float32 unit
_C = tuple(np.float32(np.log(2) ** n / factorial) for n, factorial in
           ((1, 1), (2, 2), (3, 6), (4, 24), (5, 120), (6, 720), (7, 5040)))  # fmt: skip
_C1, _C2, _C3, _C4, _C5, _C6, _C7 = _C
_ONE = np.float32(1.0)


@inlined
def power_of_two(t: np.float32) -> np.float32:
    """Return 2^t, with t cut to what a normal float32 can be; a loop of it is vector code."""
    t = max(min(t, _HUGE), _TINY)
    whole = np.floor(t)
    f = t - whole
    exact: np.float32 = float_of((np.int32(whole) + _BIAS) << _MANTISSA_BITS)
    fraction: np.float32 = _ONE + f * (
        _C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * (_C6 + f * _C7)))))
    )
    return exact * fraction


@vectorised("void(float32[::1])")
def _softmax(scores: Array) -> None:
    """Replace the scores of one head by their shares of the whole."""
    highest = _LOWEST
    for place in range(len(scores)):
        highest = max(highest, scores[place])
    total = np.float32(0.0)
    for place in range(len(scores)):
        scores[place] = power_of_two((scores[place] - highest) * LOG2_E)
        total += scores[place]
    for place in range(len(scores)):
        scores[place] /= total


@compiled
def _score(
    heads: int, q: int, keys: int, ahead: int, places: int, width: int, scale: np.float32, out: int,
    stride: int,
) -> None:  # fmt: skip
    if heads == 3:
        score(3, q, keys, ahead, places, width, scale, out, stride)
    elif heads == 2:
        score(2, q, keys, ahead, places, width, scale, out, stride)
    else:
        score(1, q, keys, ahead, places, width, scale, out, stride)


@compiled
def _weigh(
    heads: int, shares: int, stride: int, values: int, ahead: int, places: int, width: int, out: int
) -> None:
    if heads == 3:
        weigh(3, shares, stride, values, ahead, places, width, out)
    elif heads == 2:
        weigh(2, shares, stride, values, ahead, places, width, out)
    else:
        weigh(1, shares, stride, values, ahead, places, width, out)


@compiled
def write_row(
    row: int, kv: int, new: Array, memory: Array, layer: int, tables: Array, lengths: Array
) -> None:
    """Write a new token's key and value where its row ends.

    new: (2, rows, kv_heads, d); memory, tables, lengths: as attend_rows
    """
    tokens, last = memory.shape[4], lengths[row] - 1
    page, place = tables[row, last // tokens], last % tokens
    for x in range(memory.shape[5]):
        memory[page, layer, 0, kv, place, x] = new[0, row, kv, x]
        memory[page, layer, 1, kv, place, x] = new[1, row, kv, x]


@inlined
def _page(memory: Array, page: int, layer: int, side: int, kv: int) -> int:
    """Return the address of the keys (0) or values (1) of one head in a page."""
    number = ((page * memory.shape[1] + layer) * 2 + side) * memory.shape[3] + kv
    address: int = memory.ctypes.data + 4 * number * memory.shape[4] * memory.shape[5]
    return address


@compiled
def attend_rows(
    start: int, stop: int, step: int, q: Array, memory: Array, layer: int, tables: Array,
    lengths: Array, scale: np.float32, out: Array, scores: Array,
) -> None:  # fmt: skip
    """Attend for the pairs (row, KV head) start, start + step, … under stop, numbered row by row.

    q, out: (rows, heads, d) float32, d of whole vectors
    memory: (pages, layers, 2, kv_heads, tokens, d); tables: (rows, most) int32, the pages of each
        row in order; lengths: (rows,) int64, how much of them it sees, its own token included
    scores: (HEADS_AT_ONCE, longest) float32 scratch of the calling thread
    """
    kv_heads, tokens, width = memory.shape[3], memory.shape[4], memory.shape[5]
    group, begin, stride = q.shape[1] // kv_heads, scores.ctypes.data, scores.shape[1]
    for item in range(start, stop, step):
        row, kv, following = item // kv_heads, item % kv_heads, min(item + step, stop - 1)
        length, table = lengths[row], tables[row]
        pages = (length + tokens - 1) // tokens
        after = _page(
            memory, tables[following // kv_heads, 0], layer, 0, following % kv_heads
        )  # the keys of whatever comes next
        for head in range(kv * group, (kv + 1) * group, HEADS_AT_ONCE):
            heads = min(HEADS_AT_ONCE, (kv + 1) * group - head)
            for n in range(pages):
                keys, more = _page(memory, table[n], layer, 0, kv), n + 1 < pages
                ahead = _page(memory, table[n + 1 if more else 0], layer, 0 if more else 1, kv)
                _score(
                    heads, q[row, head].ctypes.data, keys, ahead, min(tokens, length - n * tokens),
                    width, scale, begin + 4 * n * tokens, stride,
                )  # fmt: skip
            for each in range(heads):
                _softmax(scores[each, :length])
            out[row, head : head + heads] = np.float32(0.0)
            for n in range(pages):
                values = _page(memory, table[n], layer, 1, kv)
                ahead = _page(memory, table[n + 1], layer, 1, kv) if n + 1 < pages else after
                _weigh(
                    heads, begin + 4 * n * tokens, stride, values, ahead,
                    min(tokens, length - n * tokens), width, out[row, head].ctypes.data,
                )  # fmt: skip
