# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""Perturbed layers on the GPU.

A full-rank member is one pass: read the base, make the tile's noise in registers, write. A
rank-1 member is never written: rows of a batch carry the number of their member, the product by
the base weight is common to all, and each row's rank-1 term is added before the one store, its
signs unfolded from packed bits (as grouped LoRA kernels do it: Punica, Chen et al. 2023).
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.change import MemberNoise
from kernels.contract import PairFactors
from kernels.gpu.launch import EXACT, TILE, bits, masked, moving, tiles, words_of
from kernels.gpu.noise import FULL, FULL_NORMAL, PAIRS, deviates, table_on, tile_words
from kernels.gpu.numbers import load_weights, store_weights
from kernels.gpu.tuning import LINEAR, tuned


@triton.jit(
    do_not_specialize=["unit_bits", "group", "place_in_word", "tensor", "key_low", "key_high"]
)
def full_member_kernel(
    out, base, moving_rows, moving_columns, table, height, width, unit_bits, group, place_in_word,
    tensor, key_low, key_high,
    NORMAL: tl.constexpr, MASK_ROWS: tl.constexpr, MASK_COLUMNS: tl.constexpr,
    WHOLE: tl.constexpr, HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Write base + unit · noise; where frozen, the base's own bits.

    out, base: (height, width) float32, float16 or bfloat16 bits; table: of deviates, for NORMAL;
        unit_bits: float32 bits of what an integer 1 moves, negative for the pair's − member;
        place_in_word: of the pair among those of its group's words
    """
    row, column = tl.program_id(0) * HEIGHT, tl.program_id(1) * WIDTH
    rows, columns = row + tl.arange(0, HEIGHT), column + tl.arange(0, WIDTH)
    inside = (rows < height)[:, None] & (columns < width)[None, :]
    place = rows.to(tl.int64)[:, None] * width + columns[None, :]
    side: tl.constexpr = FULL_NORMAL if NORMAL else FULL
    words = tile_words(
        row, column, width, group, tensor, side, key_low, key_high, HEIGHT, WIDTH, WHOLE
    )
    old = load_weights(base + place, inside)
    if NORMAL:
        drawn = deviates(words, place_in_word.to(tl.uint32), table)
        moved = old + drawn.to(tl.float32) * unit_bits.to(tl.int32).to(tl.float32, bitcast=True)
        new = tl.where(drawn == 0, old, moved)
    else:
        sign = (words << (31 - place_in_word).to(tl.uint32)) & 0x80000000
        new = old + (sign ^ unit_bits.to(tl.uint32)).to(tl.float32, bitcast=True)
    if MASK_ROWS:
        moves = tl.load(moving_rows + rows, mask=rows < height, other=0)
        new = tl.where(moves[:, None] == 0, old, new)
    if MASK_COLUMNS:
        moves = tl.load(moving_columns + columns, mask=columns < width, other=0)
        new = tl.where(moves[None, :] == 0, old, new)
    store_weights(out + place, new, inside)


@triton.jit
def factor(
    pointer, moving, member, index, size, inside, PACKED: tl.constexpr, MASKED: tl.constexpr
):
    """Return a factor's elements for each (member, index): −1, 0 or +1, float32.

    pointer: PACKED: (groups, size) words, a bit a pair; else (members, size) int8
    moving: (size,) int8, 0 where frozen, read if MASKED; without the member's ±
    """
    if PACKED:
        pair = member >> 1
        word = tl.load(pointer + (pair // PAIRS) * size + index, mask=inside, other=0)
        sign = 1.0 - 2.0 * ((word >> (pair % PAIRS)) & 1).to(tl.float32)
        if MASKED:
            moves = tl.load(moving + index, mask=inside, other=0)
            sign = tl.where(moves == 0, 0.0, sign)
    else:
        sign = tl.load(pointer + member * size + index, mask=inside, other=0).to(tl.float32)
    return sign


@triton.jit
def project_kernel(
    out, x, members, columns, moving, rows, x_rows, width, scale,
    PACKED: tl.constexpr, MASKED: tl.constexpr, HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Write scale · ± (x_r · b_m) for each row r and its member m; 0 for member −1.

    out: (rows,) float32; x: (x_rows, width), read again from its start when rows > x_rows;
        members: (rows,) int32
    """
    row = tl.program_id(0) * HEIGHT + tl.arange(0, HEIGHT)
    inside = row < rows
    member = tl.load(members + row, mask=inside, other=-1)
    source, known = x + (row % x_rows).to(tl.int64)[:, None] * width, tl.maximum(member, 0)
    total = tl.zeros((HEIGHT, WIDTH), tl.float32)
    for start in range(0, width, WIDTH):
        index = start + tl.arange(0, WIDTH)
        tile = inside[:, None] & (index < width)[None, :]
        b = factor(columns, moving, known[:, None], index[None, :], width, tile, PACKED, MASKED)
        total += tl.load(source + index[None, :], mask=tile, other=0).to(tl.float32) * b
    dot = tl.sum(total, 1) * scale
    if PACKED:
        dot = tl.where(known % 2 == 0, dot, -dot)
    tl.store(out + row, tl.where(member < 0, 0.0, dot), mask=inside)


@triton.jit
def base_product(
    x, weight, row, column, x_rows, height, width,
    ROWS: tl.constexpr, HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Return the tile (ROWS, HEIGHT) of x Wᵀ in float32; float32 inputs keep all their bits."""
    rows, outs, ins = row + tl.arange(0, ROWS), column + tl.arange(0, HEIGHT), tl.arange(0, WIDTH)
    left = x + rows.to(tl.int64)[:, None] * width + ins[None, :]
    right = weight + outs.to(tl.int64)[None, :] * width + ins[:, None]
    sums = tl.zeros((ROWS, HEIGHT), tl.float32)
    for start in range(0, width, WIDTH):
        more = ins < width - start
        a = tl.load(left + start, mask=(rows < x_rows)[:, None] & more[None, :], other=0)
        b = tl.load(right + start, mask=(outs < height)[None, :] & more[:, None], other=0)
        sums = tl.dot(a, b, sums, input_precision="ieee")
    return sums


@tuned(LINEAR, key=["x_rows_log2", "height", "width"])
@triton.jit
def member_linear_kernel(
    y, x, weight, bias, projected, members, factors, moving,
    x_rows, copies, height, width, x_rows_log2,  # noqa: ARG001  (chooses the tile)
    BIAS: tl.constexpr, PACKED: tl.constexpr, MASKED: tl.constexpr,
    ROWS: tl.constexpr, HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Write y_r = x_r Wᵀ + bias + projected_r · a_m, the rank-1 term before the only store.

    x: (x_rows, width); weight: (height, width); y: (copies · x_rows, height): with copies > 1
        the same x serves that many blocks of rows, and its product is computed once
    projected: (copies · x_rows,) float32 of project_kernel; members: likewise int32
    """
    tiles = tl.cdiv(height, HEIGHT)
    row = tl.program_id(0) // tiles * ROWS
    column = tl.program_id(0) % tiles * HEIGHT
    rows, outs = row + tl.arange(0, ROWS), column + tl.arange(0, HEIGHT)
    sums = base_product(x, weight, row, column, x_rows, height, width, ROWS, HEIGHT, WIDTH)
    if BIAS:
        sums += tl.load(bias + outs, mask=outs < height, other=0).to(tl.float32)[None, :]
    tile = (rows < x_rows)[:, None] & (outs < height)[None, :]
    for copy in range(copies):
        batch = copy * x_rows + rows
        member = tl.maximum(tl.load(members + batch, mask=rows < x_rows, other=0), 0)
        a = factor(factors, moving, member[:, None], outs[None, :], height, tile, PACKED, MASKED)
        thin = tl.load(projected + batch, mask=rows < x_rows, other=0)[:, None] * a
        place = batch.to(tl.int64)[:, None] * height + outs[None, :]
        tl.store(y + place, (sums + thin).to(y.dtype.element_ty), mask=tile)


PROJECT = {"HEIGHT": 16, "WIDTH": 128, "num_warps": 4}


def write_member(out: Tensor, base: Tensor, noise: MemberNoise, member: int) -> None:
    """Write one full-rank member of the base to out, both contiguous."""
    pair, minus = divmod(member, 2)
    unit = torch.tensor(2.0**noise.unit_log2 * (-1 if minus else 1), dtype=torch.float32)
    frozen, is_normal = noise.frozen, noise.kind == "normal"
    group, place = divmod(pair, 2 if is_normal else PAIRS.value)
    full_member_kernel[tiles(base)](
        bits(out), bits(base), *moving(frozen, base), table_on(base.device), *base.shape,
        int(unit.view(torch.int32)), group, place, *words_of(noise.address),
        NORMAL=is_normal, **masked(frozen), WHOLE=base.shape[1] % 4 == 0, **TILE, **EXACT,
    )  # fmt: skip


def linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    members: Tensor,
    factors: PairFactors,
    *,
    sigma_log2: int,
    packed: bool,
) -> Tensor:
    """Apply each row's member to it: two launches, whatever the members.

    x: (rows of x, in); members: (rows,) int32, rows a multiple of the rows of x
    packed: the factors are bits of pairs; else int8, one row a member
    """
    x, weight = x.contiguous(), weight.detach().contiguous()
    (x_rows, width), rows, height = x.shape, len(members), weight.shape[0]
    y = torch.empty(rows, height, dtype=x.dtype, device=x.device)
    if not y.numel():
        return y
    moving_rows, moving_columns = moving(factors.frozen, x)
    mask = masked(factors.frozen)
    projected = torch.empty(rows, dtype=torch.float32, device=x.device)
    project_kernel[(triton.cdiv(rows, PROJECT["HEIGHT"]),)](
        projected, x, members, factors.columns, moving_columns, rows, x_rows, width,
        2.0**sigma_log2, PACKED=packed, MASKED=mask["MASK_COLUMNS"], **PROJECT,
    )  # fmt: skip

    def grid(shape: dict[str, int]) -> tuple[int]:
        return (triton.cdiv(x_rows, shape["ROWS"]) * triton.cdiv(height, shape["HEIGHT"]),)

    member_linear_kernel[grid](
        y, x, weight, x if bias is None else bias.detach(), projected, members, factors.rows,
        moving_rows, x_rows, rows // x_rows, height, width, x_rows.bit_length(),
        BIAS=bias is not None, PACKED=packed, MASKED=mask["MASK_ROWS"],
    )  # fmt: skip
    return y
