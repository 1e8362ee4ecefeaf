"""Noise on the CPU: an address in, words, signs and deviates out.

The same Philox as kernels.reference.noise, in lanes that the compiler makes vectors of.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import int8, uint32, uint64

from kernels.change import NORMAL, Address, FullNoise, Span
from kernels.cpu.compiled import CHUNK, PAIRS, Array, compiled, inlined
from kernels.cpu.threads import Threads
from kernels.normal import BITS, deviates
from kernels.reference.noise import INCREMENTS, MULTIPLIERS

_M0, _M1 = np.uint64(MULTIPLIERS[0]), np.uint64(MULTIPLIERS[1])
_K0, _K1 = np.uint32(INCREMENTS[0]), np.uint32(INCREMENTS[1])
_ENTRY = np.uint32(2**BITS - 1)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


@inlined
def _round(counter: Any, k0: Any, k1: Any) -> Any:
    """Do one round of Philox on a counter in four 64-bit lanes that hold 32 bits each.

    So the product is one vector instruction (vpmuludq); 32-bit lanes would need shuffles.
    """
    c0, c1, c2, c3 = counter
    p0, p1 = _M0 * c0, _M1 * c2
    return (
        (p1 >> _HALF) ^ c1 ^ uint64(k0),
        p1 & _LOW,
        (p0 >> _HALF) ^ c3 ^ uint64(k1),
        p0 & _LOW,
    )


@inlined
def _philox(c0: Any, group: Any, tensor: Any, side: Any, k0: Any, k1: Any) -> Any:
    """Run ten rounds, written out so that the loop around them can be vectorised."""
    c = (uint64(c0) & _LOW, uint64(group) & _LOW, uint64(tensor) & _LOW, uint64(side) & _LOW)
    c = _round(c, k0, k1)
    c = _round(c, uint32(k0 + _K0), uint32(k1 + _K1))
    c = _round(c, uint32(k0 + 2 * _K0), uint32(k1 + 2 * _K1))
    c = _round(c, uint32(k0 + 3 * _K0), uint32(k1 + 3 * _K1))
    c = _round(c, uint32(k0 + 4 * _K0), uint32(k1 + 4 * _K1))
    c = _round(c, uint32(k0 + 5 * _K0), uint32(k1 + 5 * _K1))
    c = _round(c, uint32(k0 + 6 * _K0), uint32(k1 + 6 * _K1))
    c = _round(c, uint32(k0 + 7 * _K0), uint32(k1 + 7 * _K1))
    c = _round(c, uint32(k0 + 8 * _K0), uint32(k1 + 8 * _K1))
    return _round(c, uint32(k0 + 9 * _K0), uint32(k1 + 9 * _K1))


@compiled
def fill_words(
    words: Array, key: np.uint64, group: int, tensor: int, side: int, first: int, count: int
) -> int:
    """Write the noise words of elements first.. to words[offset:] and give the offset, 0 to 3.

    words: uint32, at least 4 · ⌈(count + 3) / 4⌉ + 4 of them, as whole counters are computed
    """
    k0, k1 = uint32(key), uint32(uint64(key) >> _HALF)
    quad = first >> 2
    for q in range(((first + count + 3) >> 2) - quad):
        w0, w1, w2, w3 = _philox(quad + q, group, tensor, side, k0, k1)
        words[4 * q] = uint32(w0)
        words[4 * q + 1] = uint32(w1)
        words[4 * q + 2] = uint32(w2)
        words[4 * q + 3] = uint32(w3)
    return first & 3


@compiled
def fill_signs(
    start: int, stop: int, out: Array, key: np.uint64, tensor: int, side: int, first: int,
    first_pair: int,
) -> None:  # fmt: skip
    """Write the signs of pairs first_pair.. at elements first+start.. to out[:, start:stop].

    out: (pairs, count) int8
    """
    words = np.empty(CHUNK + 8, np.uint32)
    for begin in range(start, stop, CHUNK):
        count, offset = min(CHUNK, stop - begin), 0
        for place in range(out.shape[0]):
            pair = first_pair + place
            if place == 0 or pair % PAIRS == 0:
                offset = fill_words(words, key, pair // PAIRS, tensor, side, first + begin, count)
            noise, part = words[offset : offset + count], out[place, begin : begin + count]
            bit = uint32(pair % PAIRS)
            for e in range(count):
                part[e] = int8(1 - 2 * int8((noise[e] >> bit) & uint32(1)))


@compiled
def fill_normals(
    start: int, stop: int, out: Array, key: np.uint64, tensor: int, side: int, first: int,
    first_pair: int, table: Array,
) -> None:  # fmt: skip
    """Write normal deviates as `fill_signs` writes signs; table: kernels.normal.deviates."""
    words = np.empty(CHUNK + 8, np.uint32)
    for begin in range(start, stop, CHUNK):
        count, offset = min(CHUNK, stop - begin), 0
        for place in range(out.shape[0]):
            pair = first_pair + place
            if place == 0 or pair % 2 == 0:
                offset = fill_words(words, key, pair // 2, tensor, side, first + begin, count)
            noise, part = words[offset : offset + count], out[place, begin : begin + count]
            shift = uint32(16 - BITS if pair % 2 == 0 else 32 - BITS)
            for e in range(count):
                part[e] = table[(noise[e] >> shift) & _ENTRY]


def chosen_words(
    address: Address, side: int, count: int, numbers: Sequence[int]
) -> npt.NDArray[np.uint32]:
    """Return the signs of some pairs as words: those of the n-th of them in the bits of pair n.

    returns: (groups of 32, count) uint32, of elements from 0 on
    """
    key, whole = np.uint64(address.key), np.empty(count + 8, np.uint32)  # whole counters are made
    words = np.zeros((-(-len(numbers) // PAIRS), count), np.uint32)
    for place, number in enumerate(numbers):
        fill_words(whole, key, number // PAIRS, address.tensor, side, 0, count)
        bits = (whole[:count] >> np.uint32(number % PAIRS)) & np.uint32(1)
        words[place // PAIRS] |= bits << np.uint32(place % PAIRS)
    return words


def chosen_signs(address: Address, span: Span, numbers: Sequence[int]) -> npt.NDArray[np.int8]:
    """Return the signs of some pairs at elements from 0 on: (len(numbers), count) int8."""
    words = chosen_words(address, span.side, span.count, numbers)
    places = np.arange(len(numbers))
    shift = (places % PAIRS).astype(np.uint32)[:, None]
    bits = ((words[places // PAIRS] >> shift) & np.uint32(1)).astype(np.int8)
    return np.int8(1) - np.int8(2) * bits


def draw(
    threads: Threads, out: Array, address: Address, span: Span, kind: FullNoise, *, first_pair: int
) -> None:
    """Write the signs or deviates of some pairs at the elements of a span.

    out: (pairs, count) int8
    """
    key, table = np.uint64(address.key), deviates()

    def fill(start: int, stop: int) -> None:
        if kind == "normal":
            side = span.side + NORMAL
            fill_normals(start, stop, out, key, address.tensor, side, span.first, first_pair, table)
        else:
            fill_signs(start, stop, out, key, address.tensor, span.side, span.first, first_pair)

    threads.over(span.count, fill, items=len(out))
