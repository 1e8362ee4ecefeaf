# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""One pass over a tensor: add a generation, mask, round to weights, sum the digest.

Each program owns a tile: it adds step · Σ c_p a_p b_pᵀ (or Σ c_p E_p) to K in integers, rounds
base + 2^e · K as kernels.reference.update says, and leaves one part of the digest and a count of
faults. So a parameter is read and written once however many pairs there are.

The rank-1 sum is a product of two thin matrices that a first, tiny launch writes: c_p a_p and
b_p, zeros where frozen, padded to 32 pairs. It is exact on tensor cores: inputs are integers up
to 2,048 (exact in float16), and every partial sum is an integer below 2²⁴, for which accumulators
of 24 bits never round. Told factors reach further, so c_p a_p is written as 64 h + l: two pairs,
with 64 b_p and b_p. Full-rank signs are made in registers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.change import NOTHING_FROZEN, Change, Noise
from kernels.gpu.factors import chosen_factors, drawn_factors, told_factors
from kernels.gpu.launch import EXACT, TILE, bits, masked, moving, tiles, words_of
from kernels.gpu.noise import (
    FULL,
    FULL_NORMAL,
    PAIRS,
    deviates,
    table_on,
    tile_words,
)
from kernels.gpu.numbers import highest, infinity, load_weights, store_weights

NONE, RANK1 = tl.constexpr(0), tl.constexpr(1)
FULL_RANK, NORMAL = tl.constexpr(2), tl.constexpr(3)
TABLE = tl.constexpr(18)  # numbers that full_sums reads for 32 pairs


@triton.jit
def rank1_sums(
    rows, columns, left, right, height, width, groups,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Return a tile of the product of left (height, pairs) and right (pairs, width) as int32."""
    pair = tl.arange(0, PAIRS)
    a_place = left + rows.to(tl.int64)[:, None] * (groups * PAIRS) + pair[None, :]
    b_place = right + pair.to(tl.int64)[:, None] * width + columns[None, :]
    sums = tl.zeros((HEIGHT, WIDTH), tl.float32)
    for _ in range(groups):
        a = tl.load(a_place, mask=(rows < height)[:, None], other=0)
        b = tl.load(b_place, mask=(columns < width)[None, :], other=0)
        sums = tl.dot(a, b, sums)
        a_place += PAIRS
        b_place += PAIRS * width
    return sums.to(tl.int32)


@triton.jit
def full_sums(
    row, column, width, tables, groups, tensor, key_low, key_high,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    """Return Σ c_p E_p of a tile as int32: two pairs a multiplication, see `pair_tables`.

    With b_p the sign's bit, flipped where c_p < 0, the sum is Σ|c_p| − 2 Σ |c_p| b_p. Bits p and
    p + 16 times (|c_p| · 2¹⁶ + |c_{p+16}|) leave |c_p| b_p + |c_{p+16}| b_{p+16} in the upper
    half word; below it is a sum under 2¹⁶, above it what 32 bits drop.
    """
    sums = tl.zeros((HEIGHT, WIDTH), tl.int32)
    for group in range(groups):
        table = tables + group * TABLE
        words = tile_words(
            row, column, width, group, tensor, FULL, key_low, key_high, HEIGHT, WIDTH, WHOLE
        )
        words ^= tl.load(table + 16).to(tl.uint32, bitcast=True)
        both = tl.zeros((HEIGHT, WIDTH), tl.uint32)
        for pair in tl.static_range(16):
            both += ((words >> pair) & 0x00010001) * tl.load(table + pair).to(tl.uint32)
        sums += tl.load(table + 17) - 2 * (both >> 16).to(tl.int32)
    return sums


@triton.jit
def normal_sums(
    row, column, width, coefficients, table, groups, tensor, key_low, key_high,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    """Return Σ c_p z_p of a tile as int32: a word serves two pairs.

    coefficients: (2 · groups,) int32
    """
    sums = tl.zeros((HEIGHT, WIDTH), tl.int32)
    for group in range(groups):
        words = tile_words(
            row, column, width, group, tensor, FULL_NORMAL, key_low, key_high, HEIGHT, WIDTH, WHOLE
        )
        for half in tl.static_range(2):
            c = tl.load(coefficients + 2 * group + half)
            sums += c * deviates(words, half, table)
    return sums


@triton.jit
def mix(word):
    """Scramble uint64 words (kernels.reference.update.mix)."""
    word = (word ^ (word >> 32)) * 0xD6E8FEB86659FD93
    word = (word ^ (word >> 32)) * 0xD6E8FEB86659FD93
    return word ^ (word >> 32)


@triton.jit(do_not_specialize=["groups", "step", "tensor", "key_low", "key_high"])
def update_kernel(
    master, base, weights, left, right, moving_rows, moving_columns, tables, sums, faults,
    height, width, groups, step, unit, tensor, key_low, key_high,
    NOISE: tl.constexpr, FRACTION_LOG2: tl.constexpr,
    MASK_ROWS: tl.constexpr, MASK_COLUMNS: tl.constexpr,
    WEIGHTS: tl.constexpr, EVEN: tl.constexpr, WHOLE: tl.constexpr,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Do one tile of the pass; see the module.

    master: (height, width) int32, changed unless NOISE is NONE (wrapping); base, weights: of
        that shape, float32, float16 or bfloat16 bits; left, right: factors, for RANK1;
        FRACTION_LOG2: an integer of the noise, times the step, is 2^−this;
        moving_*: int8, 0 where frozen, and tables (groups, TABLE) int32, for FULL_RANK; unit:
        2^exponent; EVEN: the tensor is whole tiles
    sums: (programs,) int64, each tile's part of the digest; faults: (programs,) int32, 1 if an
        element wrapped, plus 2 if a weight is not finite
    """
    row, column = tl.program_id(0) * HEIGHT, tl.program_id(1) * WIDTH
    rows, columns = row + tl.arange(0, HEIGHT), column + tl.arange(0, WIDTH)
    inside = (rows < height)[:, None] & (columns < width)[None, :]
    if EVEN:
        inside = tl.full((HEIGHT, WIDTH), 1, tl.int1)
    place = rows.to(tl.int64)[:, None] * width + columns[None, :]
    k = tl.load(master + place, mask=inside, other=0)
    fault = 0
    if NOISE != NONE:
        if NOISE == RANK1:
            total = rank1_sums(rows, columns, left, right, height, width, groups, HEIGHT, WIDTH)
        else:
            if NOISE == NORMAL:
                total = normal_sums(
                    row, column, width, tables, left, groups, tensor, key_low, key_high,
                    HEIGHT, WIDTH, WHOLE,
                )  # fmt: skip
            else:
                total = full_sums(
                    row, column, width, tables, groups, tensor, key_low, key_high,
                    HEIGHT, WIDTH, WHOLE,
                )  # fmt: skip
            total = tl.where(inside, total, 0)
            if MASK_ROWS:
                moves = tl.load(moving_rows + rows, mask=rows < height, other=0)
                total = tl.where(moves[:, None] == 0, 0, total)
            if MASK_COLUMNS:
                moves = tl.load(moving_columns + columns, mask=columns < width, other=0)
                total = tl.where(moves[None, :] == 0, 0, total)
        change = total.to(tl.int64) * step
        if FRACTION_LOG2 > 0:  # in whole units, halves away from zero; int32 holds it (Change)
            whole = (change + (1 << (FRACTION_LOG2 - 1)) + (change >> 63)) >> FRACTION_LOG2
            change = whole.to(tl.int32).to(tl.int64)
        moved = k.to(tl.int64) + change
        k = moved.to(tl.int32)
        tl.store(master + place, k, mask=inside)
        beyond = (moved >> 32).to(tl.int32) ^ (k >> 31)  # 0 where 32 bits hold the sum
        fault += (highest(beyond, HEIGHT * WIDTH) != 0).to(tl.int32)
    if WEIGHTS:
        old = load_weights(base + place, inside)
        wide = old.to(tl.float64) + k.to(tl.float64) * unit
        new = tl.where(k == 0, old, wide.to(tl.float32))
        magnitude = store_weights(weights + place, new, inside)
        fault += 2 * (highest(magnitude, HEIGHT * WIDTH) >= infinity(weights)).to(tl.int32)
    index = (rows * width)[:, None] + columns[None, :]  # below 2³² for tensors with a digest
    word = (index.to(tl.uint32).to(tl.uint64) << 32) | k.to(tl.uint32, bitcast=True).to(tl.uint64)
    mixed = tl.where(k == 0, 0, mix(word))
    program = tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
    tl.store(sums + program, tl.sum(tl.reshape(mixed, (HEIGHT * WIDTH,)), 0).to(tl.int64))
    tl.store(faults + program, fault)


_NOISES: Final[Mapping[Noise, tl.constexpr]] = {
    "rank1": RANK1, "screened": RANK1, "directed": RANK1, "full": FULL_RANK, "normal": NORMAL,
}  # fmt: skip
MAX_EXPONENT = 126  # 2^exponent is handed over as a float32


@dataclass(frozen=True, slots=True)
class Swept:
    """What one pass left, its faults and partial sums read.

    weights: as the base; of no meaning without one
    """

    weights: Tensor
    digest: int
    wrapped: bool
    infinite: bool


def sweep(
    master: Tensor, base: Tensor | None, change: Change | None, *, exponent: int = 0
) -> Swept:
    """Make one pass over a tensor: add the change, write the weights, sum the digest.

    master: contiguous; changed in place if there is a change, wrapping
    base: contiguous; None to write no weights
    raises: ValueError for an exponent that float32 does not hold
    """
    if abs(exponent) > MAX_EXPONENT:
        raise ValueError(f"exponent {exponent} leaves ±{MAX_EXPONENT}")
    source = master if base is None else base
    weights = source if base is None else torch.empty_like(source)
    programs = tiles(master)[0] * tiles(master)[1]
    sums = torch.zeros(programs, dtype=torch.int64, device=master.device)
    faults = torch.zeros_like(sums, dtype=torch.int32)
    noise, fraction_log2, step, groups = NONE, 0, 0, 0
    frozen, words = NOTHING_FROZEN, (0, 0, 0)
    tables, left, right = master, master, master  # of no meaning without a change
    if change is not None:
        noise, fraction_log2 = _NOISES[change.noise], change.fraction_log2
        step, frozen, words = change.step, change.frozen, words_of(change.address)
        pairs_a_word = 2 if noise is NORMAL else PAIRS.value
        coefficients = _padded(change.coefficients, pairs_a_word)
        groups = len(coefficients) // pairs_a_word
        if change.factors is not None:
            left, right = told_factors(master, change)
            groups = len(right) // pairs_a_word
        elif noise is RANK1:
            factors = drawn_factors if change.chosen is None else chosen_factors
            left, right = factors(master, change, coefficients.to(master.device))
        elif noise is FULL_RANK:
            tables = pair_tables(coefficients).to(master.device)
        else:
            tables, left = coefficients.to(master.device), table_on(master.device)
    even = all(size % tile == 0 for size, tile in zip(master.shape, TILE.values(), strict=True))
    update_kernel[tiles(master)](
        master, bits(source), bits(weights), left, right, *moving(frozen, master), tables,
        sums, faults, *master.shape, groups, step, 2.0**exponent, *words,
        NOISE=noise.value, FRACTION_LOG2=fraction_log2, **masked(frozen),
        WEIGHTS=base is not None, EVEN=even, WHOLE=master.shape[1] % 4 == 0, **TILE, **EXACT,
    )  # fmt: skip
    wrapped, infinite = bool((faults & 1).any()), bool((faults & 2).any())  # waits here
    return Swept(weights, int(sums.sum()) % 2**64, wrapped, infinite)


def pair_tables(coefficients: Tensor) -> Tensor:
    """Return what full_sums reads: 16 multipliers, the mask of negative pairs, and Σ|c|.

    coefficients: (32 · groups,)
    returns: (groups, 18) int32

    >>> pair_tables(torch.tensor([3, -5] + [0] * 30))[0, [0, 1, 16, 17]].tolist()
    [196608, 327680, 2, 8]
    """
    pairs = coefficients.view(-1, 32).long()
    multipliers = (pairs[:, :16].abs() << 16) + pairs[:, 16:].abs()
    negative = ((pairs < 0) << torch.arange(32)).sum(dim=1, keepdim=True)
    total = pairs.abs().sum(dim=1, keepdim=True)
    return torch.cat([multipliers, negative, total], dim=1).to(torch.int32)


def _padded(coefficients: Sequence[int], multiple: int) -> Tensor:
    """Fill the last group of pairs with zeros."""
    padded = torch.zeros(triton.cdiv(len(coefficients), multiple) * multiple, dtype=torch.int32)
    padded[: len(coefficients)] = torch.tensor(coefficients, dtype=torch.int32)
    return padded
