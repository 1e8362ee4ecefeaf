"""Draws a token of each row from what is left of its distribution, without sorting it.

What is left is found by thresholds: the least weight that stays is bisected, bit by bit, among the
few tokens that are likely enough to be looked at. Of equally likely tokens the first ones stay. The
draw then goes through what is left in the order of the vocabulary.

A row's sums are cut into lanes by its length alone, so its token depends on no other row and on no
thread. Knows nothing of torch, temperature's meaning or requests: NumPy arrays in and out.
"""

import math

import numpy as np

from kernels.cpu.compiled import Array, compiled, vectorised
from kernels.loops.attention import LOG2_E, power_of_two
from kernels.loops.heads import float_of

_LEAST_POWER = np.float32(-126.0)
_BITS_OF_ONE = np.int32(0x3F800000)
# Each threshold that is tried lets in what is so many times less likely than the one before.
_RUNG = np.float32(1 / 8)
# Sums of float32 weights in another order differ by less: what is looked at must surely be enough.
_SLACK = 1 + 1e-4
_BLOCK = 256  # tokens that are passed over at once
# So many are summed in float32 before the sum is added to one of float64: twice as many a vector.
_SUMMED = 1024


@vectorised("float64(float32[::1], float32, float32, float32[::1])")
def _weigh(scores: Array, highest: np.float32, scale: np.float32, weights: Array) -> float:
    """Write e^((score - highest) · scale) in units of log2, exactly 1 at the highest; sum them."""
    total = 0.0
    for first in range(0, len(scores), _SUMMED):
        part = np.float32(0.0)
        for i in range(first, min(first + _SUMMED, len(scores))):
            t = (scores[i] - highest) * scale
            weights[i] = power_of_two(t) if t > _LEAST_POWER else np.float32(0.0)
            part += weights[i]
        total += float(part)
    return total


@vectorised("void(int64, int64, float32[:,::1], float32[::1], float64[::1])")
def log_totals(first: int, last: int, scores: Array, highest: Array, totals: Array) -> None:
    """Write the log of the sum of e^score of rows first..last-1, which a log-probability is of.

    scores: (rows, vocabulary) float32; highest: (rows,), of each row, NaN where one is NaN
    totals: (rows,) float64, nats; NaN where a row's highest is not finite
    """
    for row in range(first, last):
        total = 0.0
        for start in range(0, scores.shape[1], _SUMMED):
            part = np.float32(0.0)
            for i in range(start, min(start + _SUMMED, scores.shape[1])):
                t = (scores[row, i] - highest[row]) * LOG2_E
                part += power_of_two(t) if t > _LEAST_POWER else np.float32(0.0)
            total += float(part)
        totals[row] = highest[row] + math.log(total) if np.isfinite(highest[row]) else np.nan


@vectorised("float64(float32[::1], float64, boolean[::1])")
def _share(logits: Array, total: float, allowed: Array) -> float:
    """Sum e^(logit − total) of what is allowed."""
    share, highest = 0.0, np.float32(total)
    for first in range(0, len(logits), _SUMMED):
        part = np.float32(0.0)
        for i in range(first, min(first + _SUMMED, len(logits))):
            t = (logits[i] - highest) * LOG2_E
            part += power_of_two(t) if allowed[i] and t > _LEAST_POWER else np.float32(0.0)
        share += float(part)
    return share


@vectorised(
    "void(int64, int64, float32[:,::1], float32[:,::1], float64[::1], boolean[:,::1], int64[::1],"
    " float32[:,::1], float64[::1])"
)
def hold_rows(
    first: int, last: int, scores: Array, logits: Array, totals: Array, allowed: Array,
    places: Array, held: Array, shares: Array,
) -> None:  # fmt: skip
    """Write rows first..last-1 of the scores without what is not allowed.

    scores, logits: (rows, vocabulary) float32; totals: (rows,) float64, nats: the log of the sum of
        e^logit; allowed: (masks, vocabulary) bool; places: (rows,) int64, of a row's mask in it, −1
        where it has none, and is copied
    held: (rows, vocabulary) float32, −inf: not allowed; shares: (rows,) float64, of probability
        that the mask leaves, written where there is one
    """
    for row in range(first, last):
        if places[row] < 0:
            held[row] = scores[row]
            continue
        mask = allowed[places[row]]
        for i in range(scores.shape[1]):
            held[row, i] = scores[row, i] if mask[i] else np.float32(-np.inf)
        shares[row] = _share(logits[row], totals[row], mask)


@vectorised("int64(float32[::1], float32)")
def _count(weights: Array, least: np.float32) -> int:
    count = 0
    for i in range(len(weights)):
        count += weights[i] >= least
    return count


@vectorised("float64(float32[::1], float32)")
def _mass(weights: Array, least: np.float32) -> float:
    mass = 0.0
    for first in range(0, len(weights), _SUMMED):
        part = np.float32(0.0)
        for i in range(first, min(first + _SUMMED, len(weights))):
            part += weights[i] if weights[i] >= least else np.float32(0.0)
        mass += float(part)
    return mass


@compiled
def _gather(weights: Array, least: np.float32, kept: Array, ids: Array) -> int:
    """Take the tokens of at least this weight, in order, and count them."""
    count = 0
    for first in range(0, len(weights), _BLOCK):
        last = min(first + _BLOCK, len(weights))
        if _count(weights[first:last], least):  # in most blocks nothing is
            for i in range(first, last):
                kept[count], ids[count] = weights[i], i
                count += weights[i] >= least
    return count


@compiled
def _keep(kept: Array, ids: Array, count: int, least: np.float32, ties: int) -> int:
    """Of what was gathered, keep what is above the least weight, and so many that have it."""
    left = 0
    for i in range(count):
        is_tie = kept[i] == least
        stays = kept[i] > least or (is_tie and ties > 0)
        ties -= is_tie
        kept[left], ids[left] = kept[i], ids[i]
        left += stays
    return left


@compiled
def _cut_to_most(kept: Array, ids: Array, count: int, most: int) -> int:
    """Keep the `most` largest weights."""
    if count <= most:
        return count
    least, over = np.int32(0), _BITS_OF_ONE + np.int32(1)
    while over - least > 1:
        middle = least + (over - least) // 2
        if _count(kept[:count], float_of(middle)) >= most:
            least = middle
        else:
            over = middle
    above = _count(kept[:count], float_of(over))
    return _keep(kept, ids, count, float_of(least), most - above)


@compiled
def _cut_to_mass(kept: Array, ids: Array, count: int, goal: float) -> int:
    """Keep the largest weights that together reach a goal; one at least."""
    least, over = np.int32(0), _BITS_OF_ONE + np.int32(1)
    while over - least > 1:
        middle = least + (over - least) // 2
        if _mass(kept[:count], float_of(middle)) >= goal:
            least = middle
        else:
            over = middle
    missing = goal - _mass(kept[:count], float_of(over))
    weight = float_of(least)
    ties = max(math.ceil(missing / weight), 1) if weight > 0 else count
    return _keep(kept, ids, count, weight, ties)


@compiled
def _looked_at(
    weights: Array, total: float, top_k: int, min_p: np.float32, top_p: float, kept: Array,
    ids: Array,
) -> int:  # fmt: skip
    """Gather tokens among which all are that stay."""
    smallest = max(min_p, float_of(np.int32(1 << 23)))
    least = smallest if min_p > 0 else np.float32(1.0)
    while least > smallest:
        if top_k > 0:
            enough = _count(weights, least) >= top_k
        else:
            enough = _mass(weights, least) >= top_p * total * _SLACK
        if enough:
            break
        least = max(least * _RUNG, smallest)
    return _gather(weights, least, kept, ids)


@compiled
def _left(
    weights: Array, total: float, top_k: int, min_p: np.float32, top_p: float, kept: Array,
    ids: Array,
) -> int:  # fmt: skip
    """Gather the tokens that stay, and count them."""
    count = _looked_at(weights, total, top_k, min_p, top_p, kept, ids)
    if top_k > 0:
        count = _cut_to_most(kept, ids, count, top_k)
    if top_p < 1:
        limited = top_k > 0 or min_p > 0
        whole = _mass(kept[:count], np.float32(0.0)) if limited else total
        count = _cut_to_mass(kept, ids, count, top_p * whole)
    return count


@compiled
def _drawn(weights: Array, point: float) -> tuple[int, float]:
    """Return the place at which the sum of weights passes its point, and its share of the whole."""
    total = 0.0
    for i in range(len(weights)):
        total += weights[i]
    goal, passed, place = point * total, 0.0, 0
    for i in range(len(weights)):
        if weights[i] > 0:
            place = i
        passed += weights[i]
        if passed > goal:
            break
    return place, weights[place] / total


@compiled
def draw_rows(
    first: int, last: int, scores: Array, highest: Array, scales: Array, top_k: Array,
    min_p: Array, top_p: Array, points: Array, scratch: Array, ids: Array, tokens: Array,
    shares: Array,
) -> None:  # fmt: skip
    """Draw a token of each of the rows first..last-1.

    scores: (rows, vocabulary) float32; highest: (rows,), of each row, NaN where one is NaN
    scales: (rows,) float32: log2(e) / temperature; top_k, min_p, top_p: (rows,), 0, 0 and 1 leave
        everything; points: (rows,) of [0, 1), which decide the tokens
    scratch: (2, vocabulary) float32, ids: (vocabulary,) int32, of the calling thread
    tokens: (rows,) int64, the result; shares: (rows,) float64, its share of what was left, NaN for
        a row that is not finite
    """
    weights, kept = scratch[0], scratch[1]
    for row in range(first, last):
        tokens[row], shares[row] = 0, np.nan
        if not np.isfinite(highest[row]):
            continue
        total = _weigh(scores[row], highest[row], scales[row], weights)
        if top_k[row] == 0 and min_p[row] == 0 and top_p[row] >= 1:
            tokens[row], shares[row] = _drawn(weights, points[row])
            continue
        count = _left(weights, total, top_k[row], min_p[row], top_p[row], kept, ids)
        place, shares[row] = _drawn(kept[:count], points[row])
        tokens[row] = ids[place]
