"""Weights of 4, 8 or 16 bits in strips of outputs, and the product that reads them as they are.

Turns numbers, scales and offsets, row by row, into half strips (kernels.cpu.lanes says how they
lie), and multiplies rows by them, on several threads. A row's result depends on that row and the
weight's bits alone: not on how many rows there are, nor on the threads.

Knows nothing of models, names or files.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import numba
import numpy as np
import torch
from torch import Tensor

from kernels.cpu.compiled import Array, compiled, inlined, on_threads
from kernels.cpu.lanes import (
    BFLOAT16,
    BYTES,
    CODE_BYTES,
    FLOAT16,
    FLOAT32,
    GROUP,
    HALF,
    NIBBLES,
    SCALE_BYTES,
    SIGNED,
    STRIP,
    multiply,
    unpack,
)

Numbers = Literal["nibbles", "signed nibbles", "bytes", "bfloat16", "float16", "float32"]
"""Unsigned and signed numbers of 4 bits, signed ones of 8, the bits of floats, and floats."""

_KINDS: Final[dict[Numbers, int]] = {
    "nibbles": NIBBLES, "signed nibbles": SIGNED, "bytes": BYTES, "bfloat16": BFLOAT16,
    "float16": FLOAT16, "float32": FLOAT32,
}  # fmt: skip

# Layers lie side by side in pieces of memory that the system can map by large pages: a walk through
# many small arrays spends a fifth of its time on finding them.
_PIECE_BYTES: Final = 2**24
_LINE_BYTES: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Strips:
    """One weight, (out, in).

    held: a line a half strip: of numbers (halves, groups) of `_group` each, of 16-bit floats
        (halves, in, HALF); of floats (strips, in, STRIP)
    block: inputs that are summed before they are added to the rest
    """

    kind: Numbers
    shape: tuple[int, int]
    held: Array
    block: int

    @property
    def number(self) -> int:
        """The kind, as loops know it."""
        return _KINDS[self.kind]

    @property
    def address(self) -> int:
        """Where the weights begin."""
        return int(self.held.ctypes.data)

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return int(self.held.nbytes)

    @property
    def _halves(self) -> int:
        return -(-self.shape[0] // STRIP) * 2

    def multiply(self, x: Tensor) -> Tensor:
        """Multiply (rows, in) by the weight: (rows, out)."""
        x, threads, width = x.contiguous(), torch.get_num_threads(), self._halves * HALF
        out = torch.empty(len(x), width)
        all_of_it = (
            self.number, self.address, x.data_ptr(), len(x), self.shape[1], out.data_ptr(), width,
            self.block,
        )  # fmt: skip
        if threads > 1 and has_openmp():
            _on_threads(*all_of_it, threads)
        else:
            half_strips(*all_of_it, 0, self._halves)
        return out if width == self.shape[0] else out[:, : self.shape[0]].contiguous()

    def plain(self) -> Tensor:
        """Make the weight: (out, in) float32."""
        out, inputs = self.shape
        made = self.held
        if self.kind != "float32":
            made = np.empty((self._halves // 2, inputs, STRIP), np.float32)
            self.unpack(made.ctypes.data)
        return torch.from_numpy(made).transpose(1, 2).reshape(-1, inputs)[:out]

    def unpack(self, address: int) -> None:
        """Write the weights as floats in strips, (strips, in, STRIP), beginning at an address."""
        threads = torch.get_num_threads()
        all_of_it = self.number, self.address, address, self.shape[1]
        if threads > 1 and has_openmp():
            _unpack_on_threads(*all_of_it, self._halves, threads)
        else:
            _unpack(*all_of_it, 0, self._halves)

    def rows(self, ids: Tensor) -> Tensor:
        """Look up rows of the weight: (…) int64 → (…, in). Raises: IndexError."""
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < self.shape[0]:
            raise IndexError(f"a row that is not among {self.shape[0]}")
        flat = ids.reshape(-1).numpy()
        if self.kind == "float32":
            found = self.held[flat // STRIP, :, flat % STRIP]
        else:
            found = self._looked_up(flat // HALF, flat % HALF)
        return torch.from_numpy(found).view(*ids.shape, self.shape[1])

    def _looked_up(self, half: Array, lane: Array) -> Array:
        if self.kind == "float16":
            return self.held[half, :, lane].view(np.float16).astype(np.float32)
        if self.kind == "bfloat16":
            return (self.held[half, :, lane].astype(np.uint32) << 16).view(np.float32)
        scales, offsets = (
            self.held[side][half, :, lane][..., None] for side in ("scales", "offsets")
        )
        numbers = self.held["numbers"][half, :, :, lane]  # (ids, groups, GROUP or GROUP / 2)
        if self.kind != "bytes":
            both = np.stack((numbers & 15, numbers >> 4), axis=-1)
            numbers = both.reshape(*numbers.shape[:-1], GROUP).astype(np.int8)
            if self.kind == "signed nibbles":
                numbers = (numbers ^ 8) - 8
        found: Array = (scales * numbers.astype(np.float32) + offsets).reshape(len(half), -1)
        return found


def quantised(kind: Numbers, numbers: Array, scales: Array, offsets: Array, block: int) -> Strips:
    """Lay out a weight of small numbers.

    numbers: (out, in) uint8 under 16, or int8; scales, offsets: (out, in / GROUP) float32: a weight
        is scale · number + offset, where the product must be exact in float32
    """
    out, inputs = numbers.shape
    halves, groups = -(-out // STRIP) * 2, inputs // GROUP
    held = _room((halves, groups), _group(kind))
    for side, of_groups in (("scales", scales), ("offsets", offsets)):
        held[side] = _in_halves(of_groups)
    codes = _in_halves(numbers).reshape(halves, groups, GROUP, HALF)
    if kind != "bytes":
        codes = codes.view(np.uint8) & 15
        codes = codes[:, :, 0::2] | codes[:, :, 1::2] << 4
    held["numbers"] = codes
    return Strips(kind, (out, inputs), held, block)


def halved(kind: Numbers, bits: Array, block: int) -> Strips:
    """Lay out a weight of 16-bit floats.

    bits: (out, in) uint16
    """
    laid = _in_halves(bits)
    held = _room(laid.shape, np.dtype(np.uint16))
    held[...] = laid
    return Strips(kind, (bits.shape[0], bits.shape[1]), held, block)


def _group(kind: Numbers) -> np.dtype[np.void]:
    """Describe what lies in memory for a group of inputs and half a strip of outputs."""
    lines, number = (GROUP, np.int8) if kind == "bytes" else (GROUP // 2, np.uint8)
    return np.dtype(
        [("scales", "f4", HALF), ("offsets", "f4", HALF), ("numbers", number, (lines, HALF))]
    )


def _in_halves(rows: Array) -> Array:
    """Turn (out, n) into (halves, n, HALF), zeros where there is no output."""
    missing = -len(rows) % STRIP
    whole = np.pad(rows, ((0, missing), (0, 0))) if missing else rows
    return np.ascontiguousarray(whole.reshape(-1, HALF, rows.shape[1]).transpose(0, 2, 1))


class _Piece:
    """A piece of memory that arrays are cut from; it is freed when the last of them is."""

    memory: Array = np.empty(0, np.uint8)
    used: int = 0


def _room(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
    """Return an array beside the one before it."""
    size = int(np.prod(shape)) * dtype.itemsize
    if size > _PIECE_BYTES // 4:
        return np.empty(shape, dtype)
    if _Piece.used + size > len(_Piece.memory):
        _Piece.memory, _Piece.used = np.empty(_PIECE_BYTES, np.uint8), 0
    found = _Piece.memory[_Piece.used : _Piece.used + size].view(dtype).reshape(shape)
    _Piece.used += -(-size // _LINE_BYTES) * _LINE_BYTES
    return found


@compiled
def half_strips(
    kind: int, weights: int, x: int, rows: int, depth: int, out: int, width: int, block: int,
    first: int, last: int,
) -> None:  # fmt: skip
    """Compute the outputs of half strips first..last-1, for all rows.

    weights, x, out: addresses of the weight, of (rows, depth) and of (rows, width) float32
    """
    for half in range(first, last):
        w = weights + _half_bytes(kind, depth, half)
        row = 0
        while row < rows:
            a, b = x + row * depth * 4, out + (row * width + half * HALF) * 4
            if kind == NIBBLES:
                row += _some_rows(NIBBLES, rows - row, w, a, depth, b, width, block)
            elif kind == SIGNED:
                row += _some_rows(SIGNED, rows - row, w, a, depth, b, width, block)
            elif kind == BYTES:
                row += _some_rows(BYTES, rows - row, w, a, depth, b, width, block)
            elif kind == BFLOAT16:
                row += _some_rows(BFLOAT16, rows - row, w, a, depth, b, width, block)
            elif kind == FLOAT16:
                row += _some_rows(FLOAT16, rows - row, w, a, depth, b, width, block)
            else:
                row += _some_rows(FLOAT32, rows - row, w, a, depth, b, width, block)


@inlined
def _some_rows(
    kind: int, rows: int, weights: int, x: int, depth: int, out: int, width: int, block: int
) -> int:
    """Multiply as many rows as a loop is written for, and return how many; kind is a literal."""
    if rows >= 8:  # their sums fill half of the registers of AVX-512
        multiply(kind, 8, weights, x, depth, out, width, block)
        return 8
    if rows >= 4:
        multiply(kind, 4, weights, x, depth, out, width, block)
        return 4
    if rows >= 2:
        multiply(kind, 2, weights, x, depth, out, width, block)
        return 2
    multiply(kind, 1, weights, x, depth, out, width, block)
    return 1


@inlined
def _half_bytes(kind: int, depth: int, half: int) -> int:
    """Return where a half strip begins."""
    if kind == FLOAT32:
        return half // 2 * depth * STRIP * 4 + half % 2 * HALF * 4
    if kind in (BFLOAT16, FLOAT16):
        return half * depth * HALF * 2
    codes = CODE_BYTES[2] if kind == BYTES else CODE_BYTES[0]
    return half * (depth // GROUP) * (SCALE_BYTES + codes)


@on_threads
def _on_threads(
    kind: int, weights: int, x: int, rows: int, depth: int, out: int, width: int, block: int,
    threads: int,
) -> None:  # fmt: skip
    count = width // HALF
    for thread in numba.prange(threads):
        first, last = count * thread // threads, count * (thread + 1) // threads
        half_strips(kind, weights, x, rows, depth, out, width, block, first, last)


@cache
def has_openmp() -> bool:
    """Say whether the loop can run on several threads at once, and from several threads.

    numba's own portable threads abort the process when two threads use them at once; OpenMP's do
    not, and wait as torch's do.
    """
    numba.config.THREADING_LAYER = "omp"
    x, weight, out = (np.zeros(size, np.float32) for size in (GROUP, GROUP * STRIP, STRIP))
    try:
        _on_threads(
            FLOAT32, weight.ctypes.data, x.ctypes.data, 1, GROUP, out.ctypes.data, STRIP, GROUP, 2
        )
    except ValueError:  # numba: "No threading layer could be loaded", libgomp is not installed
        return False
    return True


@compiled
def _unpack(kind: int, weights: int, out: int, depth: int, first: int, last: int) -> None:
    """Write half strips first..last-1 as floats."""
    for half in range(first, last):
        w, made = weights + _half_bytes(kind, depth, half), out + _half_bytes(FLOAT32, depth, half)
        if kind == NIBBLES:
            unpack(NIBBLES, w, made, depth)
        elif kind == SIGNED:
            unpack(SIGNED, w, made, depth)
        elif kind == BYTES:
            unpack(BYTES, w, made, depth)
        elif kind == BFLOAT16:
            unpack(BFLOAT16, w, made, depth)
        else:
            unpack(FLOAT16, w, made, depth)


@on_threads
def _unpack_on_threads(
    kind: int, weights: int, out: int, depth: int, count: int, threads: int
) -> None:
    for thread in numba.prange(threads):
        first, last = count * thread // threads, count * (thread + 1) // threads
        _unpack(kind, weights, out, depth, first, last)
