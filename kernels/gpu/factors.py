# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""The two thin matrices whose product is a rank-1 sum: c_p a_p and b_p, zeros where frozen.

Of drawn signs a tiny launch writes them, of chosen and told ones torch does. All are float16,
filled up to whole groups of 32 pairs, and hold integers that float16 has exactly.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.change import COLUMNS, ROWS, Change, Span
from kernels.gpu.launch import masked, moving, words_of
from kernels.gpu.noise import PAIRS, vector_words, write_chosen

FACTOR_BLOCK = 512  # elements a program: one counter a thread of four warps


@triton.jit(do_not_specialize=["tensor", "key_low", "key_high"])
def factor_kernel(
    out, coefficients, moves, count, padded, tensor, key_low, key_high,
    SIDE: tl.constexpr, MASKED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write one side's factors of one group of 32 pairs as float16.

    SIDE ROWS: out (count, padded) gets c_p · a_p; COLUMNS: out (padded, count) gets b_p, 0 for
        the pairs that only pad
    coefficients: (padded,) int32; moves: (count,) int8, 0 where frozen, read if MASKED
    """
    first, group = tl.program_id(0) * BLOCK, tl.program_id(1)
    words = vector_words(first, group, tensor, SIDE, key_low, key_high, BLOCK)
    element = first + tl.arange(0, BLOCK)
    inside = element < count
    if MASKED:
        free = tl.load(moves + element, mask=inside, other=0) != 0
    else:
        free = inside
    for bit in tl.static_range(PAIRS):
        pair = group * PAIRS + bit
        c = tl.load(coefficients + pair)
        if SIDE == 1:
            c = tl.where(c == 0, 0, 1)
            place = pair.to(tl.int64) * count + element
        else:
            place = element.to(tl.int64) * padded + pair
        signed = tl.where(((words >> bit) & 1) == 0, c, -c)
        tl.store(out + place, tl.where(free, signed, 0).to(tl.float16), mask=inside)


def drawn_factors(master: Tensor, change: Change, coefficients: Tensor) -> tuple[Tensor, Tensor]:
    """Write c_p a_p (out, pairs) and b_p (pairs, in) as float16."""
    height, width = master.shape
    pairs, device = len(coefficients), master.device
    left = torch.empty(height, pairs, dtype=torch.float16, device=device)
    right = torch.empty(pairs, width, dtype=torch.float16, device=device)
    mask, masks = masked(change.frozen), moving(change.frozen, master)
    sides = zip((ROWS, COLUMNS), (left, right), (height, width), masks, mask.values(), strict=True)
    for side, out, count, moves, is_masked in sides:
        factor_kernel[triton.cdiv(count, FACTOR_BLOCK), pairs // PAIRS.value](
            out, coefficients, moves, count, pairs, *words_of(change.address),
            SIDE=side, MASKED=is_masked, BLOCK=FACTOR_BLOCK, num_warps=4,
        )  # fmt: skip
    return left, right


def chosen_factors(master: Tensor, change: Change, coefficients: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same of screened pairs; zeros stand where the last group has no pair."""
    height, width = master.shape
    pairs, device = len(coefficients), master.device
    left = torch.zeros(height, pairs, dtype=torch.float16, device=device)
    right = torch.zeros(pairs, width, dtype=torch.float16, device=device)
    assert change.chosen is not None  # the caller has asked
    rows, columns = (
        write_chosen(change.address, Span(side, count), numbers, device=device)
        for side, count, numbers in (
            (ROWS, height, change.chosen.rows), (COLUMNS, width, change.chosen.columns)
        )
    )  # fmt: skip
    rows, columns = change.frozen.zeroed(rows, columns)
    # integers up to 255, exact in float16
    left[:, : len(rows)] = (rows.T * coefficients[: len(rows)]).to(torch.float16)
    right[: len(rows)] = columns.to(torch.float16)
    return left, right


def told_factors(master: Tensor, change: Change) -> tuple[Tensor, Tensor]:
    """Return c_p a_p and b_p of told factors, each in two pairs of integers up to 2,048.

    returns: (out, 2 · pairs) and (2 · pairs, in) float16, filled up to whole groups with zeros
    """
    assert change.factors is not None  # Change has refused what has none
    rows, columns = change.frozen.zeroed(change.factors.rows, change.factors.columns)
    weighed = rows.to(torch.int32) * torch.tensor(change.coefficients, dtype=torch.int32)[:, None]
    high = torch.div(weighed, 64, rounding_mode="trunc")
    pairs = triton.cdiv(2 * len(rows), PAIRS.value) * PAIRS.value
    left = torch.zeros(master.shape[0], pairs, dtype=torch.float16)
    right = torch.zeros(pairs, master.shape[1], dtype=torch.float16)
    left[:, : 2 * len(rows)] = torch.cat([high, weighed - 64 * high]).T.to(torch.float16)
    wide = columns.to(torch.int32)
    right[: 2 * len(rows)] = torch.cat([64 * wide, wide]).to(torch.float16)
    return left.to(master.device), right.to(master.device)
