"""Members on the CPU: full-rank ones written by compiled loops, rank-1 ones as torch products.

Invariants: the base is only read; frozen rows and columns of a written member are the base's
bytes. Noise of 64 members is made once (sign planes) when they are written in a row.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kernels.contract import FULL, Frozen, PairFactors
from kernels.cpu import passes as cpu_passes
from kernels.cpu.passes import BLOCK, LANES, PAIRS, Array
from kernels.cpu.threads import Threads
from kernels.cpu.weights import rewrite
from kernels.dtypes import check_dtype
from kernels.reference.noise import check_address
from kernels.reference.update import check_frozen


@dataclass(frozen=True, slots=True)
class Perturbed:
    """One tensor under full-rank noise.

    base: (out, in), contiguous
    """

    base: Tensor
    key: int
    tensor: int
    sigma_log2: int
    frozen: Frozen | None

    def check(self, member: int) -> None:
        """Refuse what cannot be written.

        raises: ValueError
        """
        check_dtype(self.base)
        check_frozen(self.base, self.frozen)
        count, pairs = self.base.numel(), member // 2 + 1
        check_address(
            key=self.key, tensor=self.tensor, side=FULL, first=0, count=count, pairs=pairs
        )

    def scale(self, member: int) -> float:
        """Give 2^s with the member's ±."""
        return math.ldexp(-1.0 if member % 2 else 1.0, self.sigma_log2)


def write_member(threads: Threads, noise: Perturbed, member: int) -> Tensor:
    """Write one member, its noise made on the way."""
    noise.check(member)

    def write(target: Array, source: Array, first: int) -> bool:
        _from_address(target, source, first, noise, member)
        return True

    out = torch.empty_like(noise.base)
    rewrite(threads, out, noise.base, write)
    return _keep_frozen(out, noise)


def write_members(threads: Threads, noise: Perturbed, members: Sequence[int]) -> Iterator[Tensor]:
    """Write members one after another into one buffer, from planes that 64 members share."""
    out, group = torch.empty_like(noise.base), -1
    planes = np.empty((PAIRS, noise.base.numel() // BLOCK, LANES), np.uint32)
    for member in members:
        noise.check(member)
        if member // 2 // PAIRS != group:
            group = member // 2 // PAIRS
            _fill_planes(threads, planes, noise, group)
        plane = planes[member // 2 % PAIRS]

        def write(
            target: Array, source: Array, first: int, plane: Array = plane, member: int = member
        ) -> bool:
            whole = source.size // BLOCK * BLOCK
            blocks = plane[first // BLOCK : (first + whole) // BLOCK]
            cpu_passes.write_member_from_plane(
                target[:whole], source[:whole], blocks, noise.scale(member)
            )
            if whole < source.size:
                _from_address(target[whole:], source[whole:], first + whole, noise, member)
            return True

        rewrite(threads, out, noise.base, write)
        yield _keep_frozen(out, noise)


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


def _from_address(target: Array, source: Array, first: int, noise: Perturbed, member: int) -> None:
    cpu_passes.write_member(
        target, source, np.uint64(noise.key), noise.tensor, first, member // 2, noise.scale(member)
    )


def _fill_planes(threads: Threads, planes: Array, noise: Perturbed, group: int) -> None:
    threads.over(
        planes.shape[1],
        lambda start, stop: cpu_passes.fill_planes(
            start, stop, planes, np.uint64(noise.key), group, noise.tensor
        ),
        items=BLOCK,
    )


def _keep_frozen(out: Tensor, noise: Perturbed) -> Tensor:
    """Copy the frozen rows and columns back from the base, so that their bits are its bits."""
    frozen, base = noise.frozen, noise.base
    if frozen is not None and frozen.rows is not None:
        rows = frozen.rows == 0
        out[rows] = base[rows]
    if frozen is not None and frozen.columns is not None:
        columns = frozen.columns == 0
        out[:, columns] = base[:, columns]
    return out
