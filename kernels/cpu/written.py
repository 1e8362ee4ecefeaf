"""Loops that write full-rank members: signs from an address or from bit planes, or deviates."""

import numpy as np
from numba import float32, int32, uint32

from kernels.cpu.compiled import CHUNK, PAIRS, Array, compiled
from kernels.cpu.noise import fill_normals, fill_words

LANES = 128  # words side by side in a plane: long enough for vector loops, BLOCK in cache
BLOCK = PAIRS * LANES  # elements of one transposed block of sign planes


@compiled
def write_member(
    out: Array, base: Array, key: np.uint64, tensor: int, first: int, pair: int, scale: float
) -> None:
    """Write base ± scale, with the signs of side FULL at elements first...

    out, base: flat float32; scale: 2^s, or −2^s for the pair's − member
    """
    words = np.empty(CHUNK + 8, np.uint32)
    bit, plus, minus = uint32(pair % PAIRS), float32(scale), float32(-scale)
    for begin in range(0, out.size, CHUNK):
        count = min(CHUNK, out.size - begin)
        offset = fill_words(words, key, pair // PAIRS, tensor, 2, first + begin, count)
        noise = words[offset : offset + count]
        target, source = out[begin : begin + count], base[begin : begin + count]
        for e in range(count):
            odd = (noise[e] >> bit) & uint32(1)
            target[e] = source[e] + (minus if odd else plus)


@compiled
def fill_planes(
    start: int, stop: int, planes: Array, key: np.uint64, group: int, tensor: int
) -> None:
    """Write the signs of blocks start..stop-1 as one bit plane a pair.

    A member then reads one bit an element, not a word. Bit i of planes[pair, block, lane] is
    element block · BLOCK + i · LANES + lane: neighbours need one vector load and one shift.
    Transposing 32 × 32 bits by halves: Warren, Hacker's Delight, sec. 7-3.

    planes: (32, blocks, LANES) uint32
    """
    words = np.empty(BLOCK + 8, np.uint32)
    for block in range(start, stop):
        fill_words(words, key, group, tensor, 2, block * BLOCK, BLOCK)
        half, mask = uint32(16), uint32(0x0000FFFF)
        while half:
            for row in range(PAIRS):
                if row & half == 0:
                    upper = words[row * LANES : (row + 1) * LANES]
                    lower = words[(row + half) * LANES : (row + half + 1) * LANES]
                    for lane in range(LANES):
                        swap = ((upper[lane] >> half) ^ lower[lane]) & mask
                        upper[lane] ^= uint32(swap << half)
                        lower[lane] ^= uint32(swap)
            half = uint32(half >> uint32(1))
            mask = uint32(mask ^ uint32(mask << half))
        for pair in range(PAIRS):
            planes[pair, block] = words[pair * LANES : (pair + 1) * LANES]


@compiled
def write_member_from_plane(out: Array, base: Array, plane: Array, scale: float) -> None:
    """Write base ± scale, with signs from a bit plane.

    out, base: flat float32 of whole blocks; plane: (blocks, LANES) uint32
    """
    plus, minus = float32(scale), float32(-scale)
    for block in range(plane.shape[0]):
        lanes = plane[block]
        for i in range(PAIRS):
            start = block * BLOCK + i * LANES
            target, source = out[start : start + LANES], base[start : start + LANES]
            for lane in range(LANES):
                odd = (lanes[lane] >> uint32(i)) & uint32(1)
                target[lane] = source[lane] + (minus if odd else plus)


@compiled
def write_normal_member(
    out: Array, base: Array, key: np.uint64, tensor: int, side: int, first: int, pair: int,
    unit: float, table: Array,
) -> None:  # fmt: skip
    """Write base + unit · deviate, with the deviates of elements first...

    out, base: flat float32; unit: negative for the pair's − member
    """
    drawn = np.empty((1, CHUNK), np.int8)
    for begin in range(0, out.size, CHUNK):
        count = min(CHUNK, out.size - begin)
        fill_normals(0, count, drawn[:, :count], key, tensor, side, first + begin, pair, table)
        write_deviates(
            out[begin : begin + count], base[begin : begin + count], drawn[0, :count], unit
        )


@compiled
def write_deviates(out: Array, base: Array, drawn: Array, unit: float) -> None:
    """Write base + unit · deviate: the product is exact, the sum is rounded once.

    The base less the opposite, so that a deviate of 0 leaves −0 what it is.

    out, base: flat float32; drawn: int8; unit: negative for the pair's − member
    """
    turn, size = int32(-1 if unit > 0 else 1), float32(abs(unit))
    for e in range(out.size):
        out[e] = base[e] - size * float32(int32(turn * int32(drawn[e])))
