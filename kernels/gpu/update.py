# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""One pass over a tensor: add a generation, mask, round to weights, sum the digest.

Each program owns a tile: it generates the tile's noise in registers, adds step · Σ c_p a_p b_pᵀ
(or E_p) to K in integers, rounds base + 2^e · K as kernels.update says, and leaves one partial
digest and two flags. So a parameter is read and written once however many pairs there are.

Exactness of the rank-1 sum on tensor cores: inputs are integers up to 255 (exact in float16),
and every partial sum is an integer below 2²⁴, for which accumulators of 24 bits never round.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.backend import Frozen
from kernels.gpu.launch import EXACT, TILE, address, bits, masked, moving, tiles
from kernels.gpu.noise import COLUMNS, PAIRS, ROWS, tile_words, vector_words
from kernels.gpu.numbers import load_weights, store_weights

NONE, RANK1, FULL_RANK = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)


@triton.jit
def rank1_sums(
    row, column, coefficients, groups, tensor, key_low, key_high,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Give Σ c_p a_p b_pᵀ of a tile as int32: signs from bits, 32 pairs a product."""
    sums = tl.zeros((HEIGHT, WIDTH), tl.float32)
    bit = tl.arange(0, PAIRS).to(tl.uint32)
    for group in range(groups):
        c = tl.load(coefficients + group * PAIRS + tl.arange(0, PAIRS))[None, :]
        a = vector_words(row, group, tensor, ROWS, key_low, key_high, HEIGHT)
        b = vector_words(column, group, tensor, COLUMNS, key_low, key_high, WIDTH)
        weighted = tl.where(((a[:, None] >> bit[None, :]) & 1) == 0, c, -c).to(tl.float16)
        signs = tl.where(((b[None, :] >> bit[:, None]) & 1) == 0, 1.0, -1.0).to(tl.float16)
        sums = tl.dot(weighted, signs, sums)
    return sums.to(tl.int32)


@triton.jit
def full_sums(
    row, column, width, coefficients, groups, tensor, key_low, key_high,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    """Give Σ c_p E_p of a tile as int32: Σ c_p − 2 Σ (c_p where the bit is 1)."""
    sums = tl.zeros((HEIGHT, WIDTH), tl.int32)
    for group in range(groups):
        words = tile_words(
            row, column, width, group, tensor, key_low, key_high, HEIGHT, WIDTH, WHOLE
        )
        for pair in tl.static_range(PAIRS):
            c = tl.load(coefficients + group * PAIRS + pair)
            sums += tl.where((words & (1 << pair)) == 0, c, -c)
    return sums


@triton.jit
def mix(word):
    """Scramble uint64 words (kernels.update.mix)."""
    word = (word ^ (word >> 33)) * 0xFF51AFD7ED558CCD
    word = (word ^ (word >> 33)) * 0xC4CEB9FE1A85EC53
    return word ^ (word >> 33)


@triton.jit(do_not_specialize=["groups", "step", "tensor", "key_low", "key_high"])
def update_kernel(
    master, base, weights, moving_rows, moving_columns, coefficients, sums, faults,
    height, width, groups, step, unit, tensor, key_low, key_high,
    NOISE: tl.constexpr, MASK_ROWS: tl.constexpr, MASK_COLUMNS: tl.constexpr,
    WEIGHTS: tl.constexpr, WHOLE: tl.constexpr, HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Do one tile of the pass; see the module.

    master: (height, width) int32, changed unless NOISE is NONE (wrapping); base, weights: of
        that shape, float32, float16 or bfloat16 bits; moving_*: int8, 0 where frozen;
        coefficients: (32 · groups,) int32; unit: 2^exponent
    sums: (programs,) int64, each tile's part of the digest; faults: (programs,) int32, elements
        that wrapped + 2¹⁶ · weights that are not finite (a tile has fewer than 2¹⁵)
    """
    row, column = tl.program_id(0) * HEIGHT, tl.program_id(1) * WIDTH
    rows, columns = row + tl.arange(0, HEIGHT), column + tl.arange(0, WIDTH)
    inside = (rows < height)[:, None] & (columns < width)[None, :]
    place = rows.to(tl.int64)[:, None] * width + columns[None, :]
    k = tl.load(master + place, mask=inside, other=0)
    fault = tl.zeros((HEIGHT, WIDTH), tl.int32)
    if NOISE != NONE:
        if NOISE == RANK1:
            total = rank1_sums(
                row, column, coefficients, groups, tensor, key_low, key_high, HEIGHT, WIDTH
            )
        else:
            total = full_sums(
                row, column, width, coefficients, groups, tensor, key_low, key_high,
                HEIGHT, WIDTH, WHOLE,
            )  # fmt: skip
        if MASK_ROWS:
            moves = tl.load(moving_rows + rows, mask=rows < height, other=0)
            total = tl.where(moves[:, None] == 0, 0, total)
        if MASK_COLUMNS:
            moves = tl.load(moving_columns + columns, mask=columns < width, other=0)
            total = tl.where(moves[None, :] == 0, 0, total)
        moved = k.to(tl.int64) + total.to(tl.int64) * step
        k = moved.to(tl.int32)
        tl.store(master + place, k, mask=inside)
        fault = (inside & (k.to(tl.int64) != moved)).to(tl.int32)
    if WEIGHTS:
        old = load_weights(base + place, inside)
        wide = old.to(tl.float64) + k.to(tl.float64) * unit
        new = tl.where(k == 0, old, wide.to(tl.float32))
        fault += store_weights(weights + place, new, inside) << 16
    word = (place.to(tl.uint64) << 32) | k.to(tl.uint32, bitcast=True).to(tl.uint64)
    mixed = tl.where(inside & (k != 0), mix(word), 0)
    program = tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
    tl.store(sums + program, tl.sum(tl.reshape(mixed, (HEIGHT * WIDTH,)), 0).to(tl.int64))
    tl.store(faults + program, tl.sum(tl.reshape(fault, (HEIGHT * WIDTH,)), 0))


MAX_EXPONENT = 126  # 2^exponent is handed over as a float32


@dataclass(frozen=True, slots=True)
class Generation:
    """What one pass adds.

    coefficients: one a pair; step: signed
    """

    key: int
    tensor: int
    coefficients: Sequence[int]
    step: int
    frozen: Frozen | None
    full_rank: bool

    def taken_out(self) -> "Generation":
        """Give what brings the master back, wrapped or not."""
        return replace(self, step=-self.step)


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
    master: Tensor, base: Tensor | None, generation: Generation | None, *, exponent: int = 0
) -> Swept:
    """Make one pass over a tensor: add the generation, write the weights, sum the digest.

    master: contiguous; changed in place if a generation is given, wrapping
    base: None to write no weights
    raises: ValueError for an exponent that float32 does not hold
    """
    if abs(exponent) > MAX_EXPONENT:
        raise ValueError(f"exponent {exponent} leaves ±{MAX_EXPONENT}")
    source = master if base is None else base.detach().contiguous()
    weights = source if base is None else torch.empty_like(source)
    grid = tiles(master)
    programs, device = grid[0] * grid[1], master.device
    sums = torch.zeros(programs, dtype=torch.int64, device=device)
    faults = torch.zeros_like(sums, dtype=torch.int32)
    noise, step, frozen, words = NONE, 0, None, (0, 0, 0)
    coefficients = torch.zeros(0, dtype=torch.int32)
    if generation is not None:
        noise = FULL_RANK if generation.full_rank else RANK1
        step, frozen = generation.step, generation.frozen
        words = address(generation.key, generation.tensor)
        coefficients = _padded(generation.coefficients)
    update_kernel[grid](
        master, bits(source), bits(weights), *moving(frozen, master),
        coefficients.to(device), sums, faults, *master.shape, len(coefficients) // 32, step,
        2.0**exponent, *words, NOISE=noise.value, **masked(frozen), WEIGHTS=base is not None,
        WHOLE=master.shape[1] % 4 == 0, **TILE, **EXACT,
    )  # fmt: skip
    wrapped, infinite = bool((faults & 0xFFFF).any()), bool((faults >> 16).any())  # waits here
    return Swept(weights, int(sums.sum()) % 2**64, wrapped, infinite)


def _padded(coefficients: Sequence[int]) -> Tensor:
    """Fill the last group of 32 pairs with zeros."""
    padded = torch.zeros(triton.cdiv(len(coefficients), 32) * 32, dtype=torch.int32)
    padded[: len(coefficients)] = torch.tensor(coefficients, dtype=torch.int32)
    return padded
