"""Members on the CPU: full-rank ones written by compiled loops, rank-1 ones as torch products.

Invariants: the base is only read; frozen rows and columns of a written member are the base's
bytes. Noise of 64 members is made once (sign planes) when they are written in a row.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from kernels.change import FULL, NORMAL, Address, Frozen, Perturbation
from kernels.contract import PairFactors
from kernels.cpu import written
from kernels.cpu.compiled import PAIRS, Array
from kernels.cpu.noise import fill_normals
from kernels.cpu.threads import Threads
from kernels.cpu.weights import rewrite
from kernels.cpu.written import BLOCK, LANES
from kernels.normal import deviates


def write_member(threads: Threads, base: Tensor, perturbation: Perturbation, member: int) -> Tensor:
    """Write one member of a contiguous base, its noise made on the way."""

    def write(target: Array, source: Array, first: int) -> bool:
        _from_address(target, source, first, perturbation, member)
        return True

    out = torch.empty_like(base)
    rewrite(threads, out, base, write)
    return _keep_frozen(out, base, perturbation.frozen)


def write_signs(
    threads: Threads, base: Tensor, perturbation: Perturbation, members: Sequence[int]
) -> Iterator[Tensor]:
    """Write members of signs one after another into one buffer, from planes that 64 share."""
    out, group = torch.empty_like(base), -1
    planes = np.empty((PAIRS, base.numel() // BLOCK, LANES), np.uint32)
    for member in members:
        if member // 2 // PAIRS != group:
            group = member // 2 // PAIRS
            _fill_planes(threads, planes, perturbation.address, group)
        plane = planes[member // 2 % PAIRS]

        def write(
            target: Array, source: Array, first: int, plane: Array = plane, member: int = member
        ) -> bool:
            whole = source.size // BLOCK * BLOCK
            blocks = plane[first // BLOCK : (first + whole) // BLOCK]
            written.write_member_from_plane(
                target[:whole], source[:whole], blocks, _unit(perturbation, member)
            )
            if whole < source.size:
                _from_address(target[whole:], source[whole:], first + whole, perturbation, member)
            return True

        rewrite(threads, out, base, write)
        yield _keep_frozen(out, base, perturbation.frozen)


def write_normals(
    threads: Threads, base: Tensor, perturbation: Perturbation, members: Sequence[int]
) -> Iterator[Tensor]:
    """Write normal members one after another into one buffer, from deviates that 4 share."""
    out, group = torch.empty_like(base), -1
    drawn = np.empty((2, base.numel()), np.int8)
    for member in members:
        if member // 4 != group:
            group = member // 4
            _fill_normals(threads, drawn, perturbation.address, group)

        def write(
            target: Array,
            source: Array,
            first: int,
            drawn: Array = drawn[member // 2 % 2],
            member: int = member,
        ) -> bool:
            here = drawn[first : first + source.size]
            written.write_deviates(target, source, here, _unit(perturbation, member))
            return True

        rewrite(threads, out, base, write)
        yield _keep_frozen(out, base, perturbation.frozen)


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


def _unit(perturbation: Perturbation, member: int) -> float:
    """Return what an integer 1 of the noise moves, with the member's ±."""
    return math.ldexp(-1.0 if member % 2 else 1.0, perturbation.unit_log2)


def _from_address(
    target: Array, source: Array, first: int, perturbation: Perturbation, member: int
) -> None:
    key, tensor = np.uint64(perturbation.address.key), perturbation.address.tensor
    pair, unit = member // 2, _unit(perturbation, member)
    if perturbation.noise == "normal":
        written.write_normal_member(
            target, source, key, tensor, FULL + NORMAL, first, pair, unit, deviates()
        )
    else:
        written.write_member(target, source, key, tensor, first, pair, unit)


def _fill_planes(threads: Threads, planes: Array, address: Address, group: int) -> None:
    key = np.uint64(address.key)
    threads.over(
        planes.shape[1],
        lambda start, stop: written.fill_planes(start, stop, planes, key, group, address.tensor),
        items=BLOCK,
    )


def _fill_normals(threads: Threads, drawn: Array, address: Address, group: int) -> None:
    key, table = np.uint64(address.key), deviates()
    threads.over(
        drawn.shape[1],
        lambda start, stop: fill_normals(
            start, stop, drawn, key, address.tensor, FULL + NORMAL, 0, 2 * group, table
        ),
    )


def _keep_frozen(out: Tensor, base: Tensor, frozen: Frozen) -> Tensor:
    """Copy the frozen rows and columns back from the base, so that their bits are its bits."""
    if frozen.rows is not None:
        rows = frozen.rows == 0
        out[rows] = base[rows]
    if frozen.columns is not None:
        columns = frozen.columns == 0
        out[:, columns] = base[:, columns]
    return out
