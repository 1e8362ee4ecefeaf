"""Updates on the CPU: compiled loops over rows of the master, on several threads.

`advance` does everything to a few rows while they are in cache, so memory is passed once:
master read and written, base read, weights written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from kernels import cpu_passes
from kernels.backend import COLUMNS, FULL, ROWS, Frozen
from kernels.cpu_passes import Array
from kernels.cpu_threads import Threads
from kernels.cpu_weights import PIECE_ELEMENTS, rewrite, write_range
from kernels.dtypes import require_finite
from kernels.errors import ExplodedError
from kernels.noise import check_address

Add = Callable[[int, int], bool]  # adds to rows start..stop-1, wrapping; says whether one wrapped
Signs = Callable[[int, int, int], Array]  # (side, count, pairs) → (pairs, count) int8

OVERFLOW = "the update leaves int32; nothing was changed: take smaller steps"


@dataclass(frozen=True, slots=True)
class Generation:
    """What is added to one tensor.

    signs: the rank-1 signs of this key and tensor
    """

    key: int
    tensor: int
    coefficients: Sequence[int]
    step: int
    frozen: Frozen | None
    full_rank: bool
    signs: Signs

    def onto(self, master: Tensor) -> Add:
        """Give the loop that adds this to a master's rows."""
        return self._full(master) if self.full_rank else self._rank1(master)

    def taken_out(self) -> "Generation":
        """Give what brings the master back: sums wrap, so it does even after an overflow."""
        return replace(self, step=-self.step)

    def _rank1(self, master: Tensor) -> Add:
        pairs = -(-len(self.coefficients) // 8) * 8
        padded = np.zeros((pairs, 1), np.int16)
        padded[: len(self.coefficients), 0] = self.coefficients
        a, b = (
            self.signs(side, size, pairs)
            for side, size in zip((ROWS, COLUMNS), master.shape, strict=True)
        )
        rows, columns = _moves(master, self.frozen)
        weighted, signs = np.ascontiguousarray((a * padded * rows).T), b * columns.astype(np.int16)
        integers, step = master.numpy(), self.step

        def add(start: int, stop: int) -> bool:
            return bool(
                cpu_passes.add_rank1(integers[start:stop], weighted[start:stop], signs, step)
            )

        return add

    def _full(self, master: Tensor) -> Add:
        count, pairs = master.numel(), len(self.coefficients)
        check_address(
            key=self.key, tensor=self.tensor, side=FULL, first=0, count=count, pairs=pairs
        )
        tables = cpu_passes.byte_tables(self.coefficients)
        rows, columns = _moves(master, self.frozen)
        integers, key, tensor, step = master.numpy(), np.uint64(self.key), self.tensor, self.step

        def add(start: int, stop: int) -> bool:
            return bool(
                cpu_passes.add_full(
                    integers[start:stop], key, tensor, start, tables, step, rows[start:stop],
                    columns,
                )
            )  # fmt: skip

        return add


def accumulate(threads: Threads, master: Tensor, generation: Generation) -> None:
    """Add a generation, or leave the master as it was.

    raises: ExplodedError when an element would leave int32
    """
    height, width = master.shape
    if any(threads.over(height, generation.onto(master), items=width)):
        threads.over(height, generation.taken_out().onto(master), items=width)
        raise ExplodedError(OVERFLOW)


def materialise(threads: Threads, base: Tensor, master: Tensor, *, exponent: int) -> Tensor:
    """Round base + 2^exponent · K once, both contiguous.

    raises: ExplodedError when a weight is not finite
    """
    out = torch.empty_like(base)
    if not rewrite(threads, out, base, _rounding(master, exponent)):
        require_finite(out)
    return _finite_after_cast(out)


def digest(threads: Threads, master: Tensor) -> int:
    """Sum the mix of every element that is not 0."""
    flat = master.view(-1).numpy()
    sums = threads.over(flat.size, lambda start, stop: _mix_sum(flat, start, stop))
    return sum(sums) % 2**64


def advance(
    threads: Threads, master: Tensor, base: Tensor, generation: Generation, *, exponent: int
) -> tuple[Tensor, int]:
    """Accumulate, materialise and digest rows that fit the cache, before the next ones.

    raises: ExplodedError; the master is then as it was
    """
    height, width = master.shape
    at_once = max(1, PIECE_ELEMENTS // max(1, width))
    out, flat = torch.empty_like(base), master.view(-1).numpy()
    target, source = out.view(-1), base.view(-1)
    add, write = generation.onto(master), _rounding(master, exponent)

    def loop(start: int, stop: int) -> tuple[bool, bool, int]:
        wrapped, finite, total = False, True, 0
        for row in range(start, stop, at_once):
            end = min(row + at_once, stop)
            wrapped |= add(row, end)
            finite &= write_range(target, source, row * width, end * width, write)
            total += _mix_sum(flat, row * width, end * width)
        return wrapped, finite, total

    parts = threads.over(height, loop, items=width)
    try:
        if any(wrapped for wrapped, _, _ in parts):
            raise ExplodedError(OVERFLOW)
        if not all(finite for _, finite, _ in parts):
            require_finite(out)
        _finite_after_cast(out)
    except ExplodedError:
        threads.over(height, generation.taken_out().onto(master), items=width)
        raise
    return out, sum(total for _, _, total in parts) % 2**64


def _rounding(master: Tensor, exponent: int) -> Callable[[Array, Array, int], bool]:
    integers, unit = master.view(-1).numpy(), 2.0**exponent

    def write(target: Array, source: Array, first: int) -> bool:
        part = integers[first : first + source.size]
        return bool(cpu_passes.round_weights(target, source, part, unit))

    return write


def _finite_after_cast(weights: Tensor) -> Tensor:
    """Look again where the last cast, to half precision, may have overflowed."""
    return weights if weights.dtype == torch.float32 else require_finite(weights)


def _mix_sum(flat: Array, start: int, stop: int) -> int:
    return int(cpu_passes.mix_sum(flat[start:stop], start))


def _moves(tensor: Tensor, frozen: Frozen | None) -> tuple[Array, Array]:
    """Give (out,) and (in,) int8: 1 where a row or column may move."""
    masks = (None, None) if frozen is None else (frozen.rows, frozen.columns)
    rows, columns = (
        np.ones(size, np.int8) if mask is None else mask.numpy()
        for mask, size in zip(masks, tensor.shape, strict=True)
    )
    return rows, columns
