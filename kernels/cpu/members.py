"""Members on the CPU: full-rank ones written by a compiled loop, rank-1 ones as torch products.

Invariants: the base is only read; frozen rows and columns of a written member are the base's bytes.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numba import float32, int32
from torch import Tensor

from kernels.change import FULL, Frozen, MemberNoise, Span
from kernels.contract import PairFactors
from kernels.cpu.compiled import Array, compiled
from kernels.cpu.noise import draw
from kernels.cpu.threads import Threads
from kernels.cpu.weights import rewrite

PAIRS_AT_ONCE = 8  # whose noise is drawn together and kept, a byte an element each


def write_members(
    threads: Threads, base: Tensor, noise: MemberNoise, members: Sequence[int]
) -> Iterator[Tensor]:
    """Write members of a contiguous base one after another into one buffer."""
    out, span, first = torch.empty_like(base), Span(FULL, base.numel()), -1
    pairs = min(PAIRS_AT_ONCE, len({member // 2 for member in members}))
    unit = math.ldexp(1.0, noise.unit_log2)
    drawn = np.empty((pairs, base.numel()), np.int8)
    for member in members:
        pair, minus = divmod(member, 2)
        if first < 0 or pair // pairs != first // pairs:
            first = pair // pairs * pairs
            draw(threads, drawn, noise.address, span, noise.kind, first_pair=first)
        _write(threads, out, base, drawn[pair - first], turn=1 if minus else -1, unit=unit)
        yield _keep_frozen(out, base, noise.frozen)


def _write(
    threads: Threads, out: Tensor, base: Tensor, noise: Array, *, turn: int, unit: float
) -> None:
    def write(target: Array, source: Array, first: int) -> bool:
        write_noise(target, source, noise[first : first + source.size], turn, unit)
        return True

    rewrite(threads, out, base, write)


@compiled
def write_noise(out: Array, base: Array, noise: Array, turn: int, unit: float) -> None:
    """Write base − turn · unit · noise: the product is exact, the sum is rounded once.

    Less the opposite, so that noise of 0 leaves −0 what it is.

    out, base: flat float32; noise: int8; turn: −1 for the pair's + member, 1 for its −
    """
    size = float32(unit)
    for e in range(out.size):
        out[e] = base[e] - size * float32(int32(turn * int32(noise[e])))


def add_members(
    shared: Tensor, x: Tensor, rows: Tensor, columns: Tensor, *, sigma_log2: int
) -> Tensor:
    """Add each member's rank-1 term to the product that all share, in place if it is theirs alone.

    shared: (members or 1, tokens, out); x: (members or 1, tokens, in); rows: (members, out);
        columns: (members, in)
    """
    scale, a = 2.0**sigma_log2, rows.to(x.dtype)[:, None, :]
    if len(x) == len(rows):
        # products with ±1 and a sum: a third of the time of as many thin matrix products
        projected = (x * columns.to(x.dtype)[:, None, :]).sum(dim=2, keepdim=True)
        return shared.addcmul_(projected, a, value=scale)
    projected = (x[0] @ columns.to(x.dtype).T).T[:, :, None]
    return torch.addcmul(shared, projected, a, value=scale)


def rows_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    members: Tensor,
    factors: PairFactors,
    *,
    sigma_log2: int,
) -> Tensor:
    """Apply to each row its own member: the product is common, factors are gathered by row.

    x: (rows, in); members: (rows,) int64, −1 for the base
    """
    y = torch.nn.functional.linear(x, weight, bias)
    scale = torch.where(members % 2 == 0, 2.0**sigma_log2, -(2.0**sigma_log2))
    scale = torch.where(members < 0, 0.0, scale).to(x.dtype)
    pairs = members.clamp(min=0) // 2
    projected = (x * factors.columns[pairs].to(x.dtype)).sum(dim=1) * scale
    return y.addcmul_(projected[:, None], factors.rows[pairs].to(x.dtype))


def _keep_frozen(out: Tensor, base: Tensor, frozen: Frozen) -> Tensor:
    """Copy the frozen rows and columns back from the base, so that their bits are its bits."""
    if frozen.rows is not None:
        rows = frozen.rows == 0
        out[rows] = base[rows]
    if frozen.columns is not None:
        columns = frozen.columns == 0
        out[:, columns] = base[:, columns]
    return out
