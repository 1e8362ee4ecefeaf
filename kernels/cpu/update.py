"""Updates on the CPU: compiled loops over rows of the master, on several threads.

`advance` does everything to a piece of a row while it is in cache, so memory is passed once:
master read and written, base read, weights written.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from torch import Tensor

from kernels.change import COLUMNS, DECAY_LOG2, FULL, INT32_MAX, NORMAL, ROWS, Change, Frozen
from kernels.cpu import rounding, sums
from kernels.cpu.compiled import PAIRS, Array
from kernels.cpu.noise import chosen_words, fill_words
from kernels.cpu.threads import Threads
from kernels.cpu.weights import PIECE_ELEMENTS, rewrite
from kernels.dtypes import require_finite
from kernels.errors import OVERFLOW, ExplodedError
from kernels.normal import deviates

Moved = tuple[bool, bool, int]
"""Whether an integer wrapped, whether all weights are finite, the weights' part of the digest."""

Move = Callable[[int, int, Array, Array, float], Moved]
"""Adds to rows start..stop-1, wrapping; rounds base to out at unit 2^exponent, unless empty."""

RANK1_NOISES: Final = ("rank1", "screened")
NOTHING: Final = np.empty((0, 0), np.float32)  # no weights to round
NO_DEVIATES: Final = deviates()[:0]  # of signs


def accumulate(threads: Threads, master: Tensor, change: Change) -> None:
    """Add a change, or leave the master as it was.

    raises: ExplodedError when an element would leave int32
    """
    if any(wrapped for wrapped, _, _ in _move_all(threads, master, change)):
        _move_all(threads, master, change.taken_out())
        raise ExplodedError(OVERFLOW)


def decay(threads: Threads, master: Tensor, share: int) -> None:
    """Draw every integer of a contiguous master towards zero."""
    flat = master.view(-1).numpy()

    def loop(start: int, stop: int) -> None:
        rounding.draw_in(flat[start:stop], share, DECAY_LOG2)

    threads.over(flat.size, loop)


def materialise(threads: Threads, base: Tensor, master: Tensor, *, exponent: int) -> Tensor:
    """Round base + 2^exponent · K once, both contiguous.

    raises: ExplodedError when a weight is not finite
    """
    out, integers, unit = torch.empty_like(base), master.view(-1).numpy(), 2.0**exponent

    def write(target: Array, source: Array, first: int) -> bool:
        part = integers[first : first + source.size]
        return bool(rounding.round_weights(target, source, part, unit))

    if not rewrite(threads, out, base, write):
        require_finite(out)
    return _finite_after_cast(out)


def digest(threads: Threads, master: Tensor) -> int:
    """Sum the mix of every element that is not 0."""
    flat = master.view(-1).numpy()

    def loop(start: int, stop: int) -> int:
        return int(rounding.mix_sum(flat[start:stop], start))

    return sum(threads.over(flat.size, loop)) % 2**64


def advance(
    threads: Threads, master: Tensor, base: Tensor, change: Change, *, exponent: int
) -> tuple[Tensor, int]:
    """Accumulate, materialise and digest, both contiguous.

    raises: ExplodedError; the master is then as it was
    """
    out, move, unit = torch.empty_like(base), _onto(master, change), 2.0**exponent

    def loop(start: int, stop: int) -> Moved:
        return _weigh(move, base, out, start, stop, unit)

    parts = threads.over(len(master), loop, items=master.shape[1])
    try:
        if any(wrapped for wrapped, _, _ in parts):
            raise ExplodedError(OVERFLOW)
        if not all(finite for _, finite, _ in parts):
            require_finite(out)
        _finite_after_cast(out)
    except ExplodedError:
        _move_all(threads, master, change.taken_out())
        raise
    return out, sum(part for _, _, part in parts) % 2**64


def _move_all(threads: Threads, master: Tensor, change: Change) -> list[Moved]:
    """Add a change to a whole master, wrapping, and round nothing."""
    move, (height, width) = _onto(master, change), master.shape
    return threads.over(
        height, lambda start, stop: move(start, stop, NOTHING, NOTHING, 0.0), items=width
    )


def _onto(master: Tensor, change: Change) -> Move:
    """Return the loop that adds a change to a master's rows."""
    if change.noise in RANK1_NOISES:
        return _rank1(master, change)
    return _directed(master, change) if change.noise == "directed" else _full(master, change)


def _rank1(master: Tensor, change: Change) -> Move:
    height, width = master.shape
    row_words, column_words = _words(change, ROWS, height), _words(change, COLUMNS, width)
    coefficients = np.zeros(len(row_words) * PAIRS, np.int16)
    coefficients[: len(change.coefficients)] = change.coefficients
    moves, columns = _moves(master, change.frozen)
    tables = sums.rank1_tables(column_words, coefficients, columns)
    integers, step, narrow = master.numpy(), change.step, _narrow(change)

    def move(start: int, stop: int, base: Array, out: Array, unit: float) -> Moved:
        found: Moved = sums.move_rank1(
            integers[start:stop], base, out, base.size > 0, start, row_words, moves, tables,
            step, narrow, unit,
        )  # fmt: skip
        return found

    return move


def _full(master: Tensor, change: Change) -> Move:
    side, tables, table = FULL, sums.byte_tables, NO_DEVIATES
    if change.noise == "normal":
        side, tables, table = FULL + NORMAL, sums.two_by_two, deviates()
    by_word = tables(change.coefficients)
    moves, columns = _moves(master, change.frozen)
    integers, key, tensor = master.numpy(), np.uint64(change.address.key), change.address.tensor
    step, narrow = change.step, _narrow(change)

    def move(start: int, stop: int, base: Array, out: Array, unit: float) -> Moved:
        found: Moved = sums.move_full(
            integers[start:stop], base, out, base.size > 0, start, key, tensor, side,
            moves, columns, by_word, table, step, narrow, unit,
        )  # fmt: skip
        return found

    return move


def _directed(master: Tensor, change: Change) -> Move:
    assert change.factors is not None  # Change has refused what has none
    rows, columns = change.frozen.zeroed(change.factors.rows, change.factors.columns)
    weighed = rows.numpy().T.astype(np.int32) * np.array(change.coefficients, np.int32)
    integers, factors = master.numpy(), columns.numpy()

    def move(start: int, stop: int, base: Array, out: Array, unit: float) -> Moved:
        found: Moved = sums.move_directed(
            integers[start:stop], base, out, base.size > 0, start, weighed, factors,
            change.step, change.fraction_log2, unit,
        )  # fmt: skip
        return found

    return move


def _narrow(change: Change) -> bool:
    """Whether no product of step and sum leaves int32."""
    return abs(change.step) * change.reach <= INT32_MAX


def _words(change: Change, side: int, count: int) -> Array:
    """Return the noise of one side: (groups of 32 pairs, count) uint32."""
    if change.chosen is not None:
        numbers = change.chosen.rows if side == ROWS else change.chosen.columns
        return chosen_words(change.address, side, count, numbers)
    groups = -(-len(change.coefficients) // PAIRS)
    key, tensor = np.uint64(change.address.key), change.address.tensor
    whole = np.empty(count + 8, np.uint32)  # fill_words writes whole counters
    words = np.empty((groups, count), np.uint32)
    for group in range(groups):
        fill_words(whole, key, group, tensor, side, 0, count)
        words[group] = whole[:count]
    return words


def _weigh(move: Move, base: Tensor, out: Tensor, start: int, stop: int, unit: float) -> Moved:
    """Move rows start..stop-1 and round them; other dtypes than float32 a cached piece at a time.

    base, out: the whole tensors, of one dtype
    """
    if base.dtype == torch.float32:
        return move(start, stop, base[start:stop].numpy(), out[start:stop].numpy(), unit)
    at_once = max(1, PIECE_ELEMENTS // max(1, base.shape[1]))
    wrapped, finite, total = False, True, 0
    for row in range(start, stop, at_once):
        end = min(row + at_once, stop)
        wide = base[row:end].float()
        written = torch.empty_like(wide)
        piece = move(row, end, wide.numpy(), written.numpy(), unit)
        out[row:end] = written
        wrapped, finite, total = wrapped or piece[0], finite and piece[1], total + piece[2]
    return wrapped, finite, total


def _finite_after_cast(weights: Tensor) -> Tensor:
    """Look again where the last cast, to half precision, may have overflowed."""
    return weights if weights.dtype == torch.float32 else require_finite(weights)


def _moves(tensor: Tensor, frozen: Frozen) -> tuple[Array, Array]:
    """Return (out,) and (in,) int8: 1 where a row or column may move."""
    rows, columns = (
        np.ones(size, np.int8) if mask is None else mask.numpy()
        for mask, size in zip((frozen.rows, frozen.columns), tensor.shape, strict=True)
    )
    return rows, columns
