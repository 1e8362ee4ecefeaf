"""Loops over integers and weights: add, round once, sum the digest, in one pass over memory.

The last rounding takes single precision where that has the same bits as the reference's way by
float64 (`_moved` says why); what is rare, wide products and large integers, goes by float64.
"""

from typing import Any

import numpy as np
from numba import float32, float64, int32, int64, uint32, uint64

from kernels.cpu.compiled import CHUNK, Array, compiled, inlined
from kernels.reference.update import MIX_MULTIPLIER

_MIX = np.uint64(MIX_MULTIPLIER)
_HALF, _SPREAD = np.uint64(32), np.uint64(2**32 + 1)
INFINITY = np.int32(0x7F800000)  # its bits; those of NaN are above


@compiled
def add(master: Array, sums: Array, step: int, narrow: bool) -> bool:
    """Add step · sums, wrapping; say whether one wrapped.

    narrow: no product leaves int32, so that 32-bit lanes do; a sum has wrapped when its sign is
        neither summand's
    """
    if narrow:
        signs, factor = int32(0), int32(step)
        for e in range(sums.size):
            old, change = master[e], int32(factor * sums[e])
            new = int32(old + change)
            master[e] = new
            signs = int32(signs | int32(int32(old ^ new) & int32(change ^ new)))
        return bool(signs < 0)
    wrapped = int64(0)
    for e in range(sums.size):
        moved = int64(master[e]) + int64(step) * int64(sums[e])
        master[e] = int32(moved)
        wrapped |= moved ^ int64(int32(moved))
    return bool(wrapped != 0)


@compiled
def draw_in(master: Array, share: int, log2: int) -> None:
    """Take |K| · share >> log2 off the size of every element (kernels.contract.Backend.decay).

    master: flat int32
    """
    for e in range(master.size):
        k = int64(master[e])
        size = -k if k < 0 else k
        less = size - ((size * int64(share)) >> int64(log2))
        master[e] = int32(-less if k < 0 else less)


@compiled
def add_and_weigh(
    master: Array, sums: Array, base: Array, out: Array, step: int, narrow: bool, unit: float,
    first: int,
) -> tuple[bool, bool, int]:  # fmt: skip
    """Do `add`, `round_weights` and `mix_sum` in one loop, which waits for memory once.

    Three loops over the same kilobytes take a third longer: none of them has loads enough in
    flight to keep the memory busy. What is rare, wide products and large integers, has loops of
    its own before and after.
    """
    wrapped = False
    if not narrow:
        wrapped, step = add(master, sums, step, narrow), 0
    signs, reach, factor, total = int32(0), int32(0), int32(step), uint64(0)
    single, place, top = float32(unit), uint64(first) * _SPREAD, int32(0)
    for e in range(master.size):
        old, change = master[e], int32(factor * sums[e])
        k = int32(old + change)
        master[e] = k
        signs = int32(signs | int32(int32(old ^ k) & int32(change ^ k)))
        reach = int32(reach | int32(k ^ int32(k >> 31)))
        weight = _moved(base[e], single, k)
        out[e] = weight
        top = max(top, int32(np.float32(weight).view(np.int32) & int32(0x7FFFFFFF)))
        total += _mixed(place, k)
        place += _SPREAD
    if not _is_single(unit, reach):
        _round_wide(out, base, master, unit)
        return wrapped | (signs < 0), _finite(out), total
    return wrapped | (signs < 0), top < INFINITY, total


@inlined
def _moved(base: Any, single: Any, k: Any) -> Any:
    """Return float32(float64(base) + unit · K) in single precision; base's own bits where K = 0.

    unit · K is exact for |K| < 2²⁴, and a sum of two float32 rounded first to float64 and then to
    float32 is the sum rounded once, as 53 ≥ 2 · 24 + 2 (Figueroa 1995, "When is double rounding
    innocuous?"). Minus −K, so that K = 0 leaves −0 what it is.
    """
    return float32(base - float32(single * float32(int32(-k))))


@inlined
def _is_single(unit: Any, reach: Any) -> Any:
    """Say whether `_moved` is exact: no more than 24 bits, and no under- or overflow.

    reach: the bits that any K or −K − 1 has
    """
    return (reach < 2**24 - 1) & (unit >= 2.0**-126) & (unit <= 2.0**100)


@compiled
def _round_wide(out: Array, base: Array, master: Array, unit: float) -> None:
    """Round by way of float64, which holds base + unit · K of any int32 before its one rounding."""
    for e in range(out.size):
        k = master[e]
        moved = float32(float64(base[e]) + float64(unit) * float64(k))
        out[e] = base[e] if k == 0 else moved


@inlined
def _mixed(place: Any, k: Any) -> Any:
    """Return mix(index · 2³² + K), 0 where K = 0 (update.mix).

    place: index · _SPREAD, which with K is the word after its first shift
    """
    word = (place ^ uint64(uint32(k))) * _MIX
    word = (word ^ (word >> _HALF)) * _MIX
    return word ^ (word >> _HALF) if k else uint64(0)


@compiled
def _finite(weights: Array) -> bool:
    """Say whether every float32 is finite."""
    largest, bits = int32(0), weights.view(np.int32)
    for e in range(weights.size):
        largest = max(largest, int32(bits[e] & int32(0x7FFFFFFF)))
    return bool(largest < INFINITY)


@compiled
def round_weights(out: Array, base: Array, master: Array, unit: float) -> bool:
    """Write float32(float64(base) + unit · K), the base's bits where K = 0; say if all is finite.

    out, base: flat float32, not the same; master: flat int32; unit: 2^exponent
    """
    single = float32(unit)
    for begin in range(0, out.size, CHUNK):
        end = min(begin + CHUNK, out.size)
        target, source, integers = out[begin:end], base[begin:end], master[begin:end]
        reach = int32(0)
        for e in range(end - begin):
            k = integers[e]
            reach = int32(reach | int32(k ^ int32(k >> 31)))
            target[e] = _moved(source[e], single, k)
        if not _is_single(unit, reach):
            _round_wide(target, source, integers, unit)
    return _finite(out)


@compiled
def mix_sum(master: Array, first: int) -> Any:
    """Sum mix(index · 2³² + K) over elements first.. where K ≠ 0, modulo 2⁶⁴ (update.digest).

    master: flat int32
    """
    total, place = uint64(0), uint64(first) * _SPREAD
    for e in range(master.size):
        total += _mixed(place, master[e])
        place += _SPREAD
    return total
