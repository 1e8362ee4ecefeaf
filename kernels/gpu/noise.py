# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""Noise on the GPU: an address in, words, signs and deviates out, in registers.

The same Philox as kernels.reference.noise, for blocks of elements: four neighbours share a counter,
so a thread that owns four consecutive elements computes one. Nothing is read from memory but
the table of deviates, which a cache holds.
"""

from collections.abc import Sequence
from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels import normal
from kernels.change import NORMAL, Address, Span
from kernels.gpu.launch import words_of

_MULTIPLIER0, _MULTIPLIER1 = tl.constexpr(0xD2511F53), tl.constexpr(0xCD9E8D57)
_INCREMENT0, _INCREMENT1 = tl.constexpr(0x9E3779B9), tl.constexpr(0xBB67AE85)
FULL, FULL_NORMAL = tl.constexpr(2), tl.constexpr(18)
PAIRS = tl.constexpr(32)  # pairs that one word of signs serves; one of deviates serves two
UNUSED, ENTRY = tl.constexpr(16 - normal.BITS), tl.constexpr(2**normal.BITS - 1)


@triton.jit
def philox(quad, group, tensor, side: tl.constexpr, key_low, key_high):
    """Run ten rounds and return four uint32 blocks of words.

    Products are written as 32 × 32 → 64 bits: one instruction (IMAD.WIDE) for both halves,
    where umulhi and a product would be two.

    quad: uint32 block of element >> 2; group, tensor, key: 32-bit scalars
    """
    zero = quad ^ quad
    c0, c1 = quad, (zero + group).to(tl.uint32)
    c2, c3 = (zero + tensor).to(tl.uint32), zero + side
    k0, k1 = key_low.to(tl.uint32), key_high.to(tl.uint32)
    for _ in tl.static_range(10):
        p0, p1 = c0.to(tl.uint64) * _MULTIPLIER0, c2.to(tl.uint64) * _MULTIPLIER1
        c0, c1 = (p1 >> 32).to(tl.uint32) ^ c1 ^ k0, p1.to(tl.uint32)
        c2, c3 = (p0 >> 32).to(tl.uint32) ^ c3 ^ k1, p0.to(tl.uint32)
        k0, k1 = k0 + _INCREMENT0, k1 + _INCREMENT1
    return c0, c1, c2, c3


@triton.jit
def vector_words(first, group, tensor, side: tl.constexpr, key_low, key_high, SIZE: tl.constexpr):
    """Return the (SIZE,) words of elements first..; first and SIZE are multiples of 4."""
    quads = (first // 4).to(tl.uint32) + tl.arange(0, SIZE // 4).to(tl.uint32)
    w0, w1, w2, w3 = philox(quads, group, tensor, side, key_low, key_high)
    return tl.reshape(tl.join(tl.join(w0, w2), tl.join(w1, w3)), (SIZE,))


@triton.jit
def tile_words(
    row, column, width, group, tensor, side: tl.constexpr, key_low, key_high,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    """Return the (HEIGHT, WIDTH) words of a row-major side at rows row.. and columns column...

    width: columns of the whole tensor; WHOLE: it is a multiple of 4, so that neighbours share
        counters everywhere (column and WIDTH always are); without it each element runs its own
    """
    rows = row + tl.arange(0, HEIGHT)
    if WHOLE:
        quads = (column // 4 + tl.arange(0, WIDTH // 4)).to(tl.uint32)
        quads = (rows * (width // 4)).to(tl.uint32)[:, None] + quads[None, :]
        w0, w1, w2, w3 = philox(quads, group, tensor, side, key_low, key_high)
        words = tl.reshape(tl.join(tl.join(w0, w2), tl.join(w1, w3)), (HEIGHT, WIDTH))
    else:
        columns = column + tl.arange(0, WIDTH)
        element = rows.to(tl.int64)[:, None] * width + columns[None, :]
        quads, place = (element >> 2).to(tl.uint32), element & 3
        w0, w1, w2, w3 = philox(quads, group, tensor, side, key_low, key_high)
        words = tl.where(place < 2, tl.where(place == 0, w0, w1), tl.where(place == 2, w2, w3))
    return words


@triton.jit(do_not_specialize=["first", "group", "tensor", "key_low", "key_high"])
def signs_kernel(
    out, first, count, pairs, tensor, key_low, key_high,
    SIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the signs of elements first.. of one group of 32 pairs to out (pairs, count) int8."""
    group = tl.program_id(1)
    element = first - first % 4 + tl.program_id(0) * BLOCK
    words = vector_words(element, group, tensor, SIDE, key_low, key_high, BLOCK)
    place = element + tl.arange(0, BLOCK) - first
    for bit in tl.static_range(PAIRS):
        pair = group * PAIRS + bit
        inside = (place >= 0) & (place < tl.where(pair < pairs, count, 0))
        sign = 1 - 2 * ((words >> bit) & 1).to(tl.int32)
        tl.store(out + pair.to(tl.int64) * count + place, sign.to(tl.int8), inside)


@triton.jit(do_not_specialize=["tensor", "key_low", "key_high"])
def chosen_kernel(
    out, numbers, count, tensor, key_low, key_high, SIDE: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """Write the signs of elements 0..count-1 of the pair numbers[n] to row n of out, int8."""
    first, row = tl.program_id(0) * BLOCK, tl.program_id(1)
    number = tl.load(numbers + row)
    words = vector_words(first, number // PAIRS, tensor, SIDE, key_low, key_high, BLOCK)
    place = first + tl.arange(0, BLOCK)
    sign = 1 - 2 * ((words >> (number % PAIRS)) & 1).to(tl.int32)
    tl.store(out + row.to(tl.int64) * count + place, sign.to(tl.int8), place < count)


@triton.jit(do_not_specialize=["tensor", "key_low", "key_high"])
def words_kernel(
    out, count, tensor, key_low, key_high, SIDE: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """Write the words of elements 0..count-1 of each group to out (groups, count) int32."""
    first, group = tl.program_id(0) * BLOCK, tl.program_id(1)
    words = vector_words(first, group, tensor, SIDE, key_low, key_high, BLOCK)
    place = first + tl.arange(0, BLOCK)
    tl.store(out + group * count + place, words.to(tl.int32, bitcast=True), place < count)


@triton.jit
def deviates(words, half, table):
    """Return the deviates, as int32, of the even (half 0) or odd (1) of the two pairs of a word.

    table: kernels.normal.deviates on the device
    """
    entry = (words >> (UNUSED + 16 * half)) & ENTRY
    return tl.load(table + entry.to(tl.int32)).to(tl.int32)


@triton.jit(do_not_specialize=["first", "pairs", "tensor", "key_low", "key_high"])
def normals_kernel(
    out, table, first, count, pairs, tensor, key_low, key_high,
    SIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the deviates of elements first.. of the two pairs of a word to out (pairs, count)."""
    group = tl.program_id(1)
    element = first - first % 4 + tl.program_id(0) * BLOCK
    words = vector_words(element, group, tensor, SIDE, key_low, key_high, BLOCK)
    place = element + tl.arange(0, BLOCK) - first
    for half in tl.static_range(2):
        pair = group * 2 + half
        inside = (place >= 0) & (place < tl.where(pair < pairs, count, 0))
        drawn = deviates(words, half, table)
        tl.store(out + pair.to(tl.int64) * count + place, drawn.to(tl.int8), inside)


SIGNS_BLOCK = 1024


def write_signs(address: Address, span: Span, *, pairs: int, device: torch.device) -> Tensor:
    """Return (pairs, count) int8 signs."""
    out = torch.empty(pairs, span.count, dtype=torch.int8, device=device)
    if out.numel():
        grid = (triton.cdiv(span.count + 3, SIGNS_BLOCK), triton.cdiv(pairs, 32))
        signs_kernel[grid](
            out, span.first, span.count, pairs, *words_of(address),
            SIDE=span.side, BLOCK=SIGNS_BLOCK,
        )  # fmt: skip
    return out


def write_chosen(
    address: Address, span: Span, numbers: Sequence[int], *, device: torch.device
) -> Tensor:
    """Return the signs of some pairs at elements from 0 on, (len(numbers), count) int8."""
    out = torch.empty(len(numbers), span.count, dtype=torch.int8, device=device)
    if out.numel():
        chosen = torch.tensor(list(numbers), dtype=torch.int32, device=device)
        grid = (triton.cdiv(span.count, SIGNS_BLOCK), len(numbers))
        chosen_kernel[grid](
            out, chosen, span.count, *words_of(address), SIDE=span.side, BLOCK=SIGNS_BLOCK
        )
    return out


def pack_words(address: Address, span: Span, *, pairs: int, device: torch.device) -> Tensor:
    """Return (groups of 32 pairs, count) int32: a bit a sign.

    span: from element 0 on
    """
    out = torch.empty(triton.cdiv(pairs, 32), span.count, dtype=torch.int32, device=device)
    grid = (triton.cdiv(span.count, SIGNS_BLOCK), len(out))
    words_kernel[grid](out, span.count, *words_of(address), SIDE=span.side, BLOCK=SIGNS_BLOCK)
    return out


def write_normals(address: Address, span: Span, *, pairs: int, device: torch.device) -> Tensor:
    """Return (pairs, count) int8 deviates."""
    out = torch.empty(pairs, span.count, dtype=torch.int8, device=device)
    if out.numel():
        grid = (triton.cdiv(span.count + 3, SIGNS_BLOCK), triton.cdiv(pairs, 2))
        normals_kernel[grid](
            out, table_on(device), span.first, span.count, pairs, *words_of(address),
            SIDE=span.side + NORMAL, BLOCK=SIGNS_BLOCK,
        )  # fmt: skip
    return out


@cache
def table_on(device: torch.device) -> Tensor:
    """Return the table of deviates on a device, where it stays."""
    return torch.from_numpy(normal.deviates().copy()).to(device)
