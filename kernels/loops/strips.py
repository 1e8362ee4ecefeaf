"""Weights of 4, 8 or 16 bits in strips of outputs, and the product that reads them as they are.

Turns numbers, scales and offsets, row by row, into half strips (kernels.loops.lanes says how they
lie), and multiplies rows by them, on several threads. A row's result depends on that row and the
weight's bits alone: not on how many rows there are, nor on the threads.

Knows nothing of models, names or files.
"""

import threading
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor

from kernels.cpu.compiled import Array
from kernels.loops.lanes import (
    BFLOAT16,
    BYTES,
    FLOAT16,
    FLOAT32,
    GROUP,
    HALF,
    NIBBLES,
    SIGNED,
    STRIP,
)
from kernels.loops.product import half_strips, has_openmp, on_all_threads, unpack_halves

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

_SCRATCH = threading.local()


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
            on_all_threads(*all_of_it, _own_scratch(threads, self.shape[1]), threads)
        else:
            half_strips(*all_of_it, _own_scratch(1, self.shape[1]), 0, self._halves)
        return out if width == self.shape[0] else out[:, : self.shape[0]].contiguous()

    def plain(self) -> Tensor:
        """Make the weight: (out, in) float32."""
        out, inputs = self.shape
        made = self.held
        if self.kind != "float32":
            made = np.empty((self._halves // 2, inputs, STRIP), np.float32)
            unpack_halves(self.number, self.address, made.ctypes.data, inputs, self._halves)
        return torch.from_numpy(made).transpose(1, 2).reshape(-1, inputs)[:out]

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


def scratch(threads: int, depth: int) -> Array:
    """Return what threads unpack weights of so many inputs into: (threads, depth, HALF) float32.

    It begins at a line of the cache: half of all loads would else touch two.
    """
    lanes = _LINE_BYTES // 4
    found = np.empty(threads * depth * HALF + lanes, np.float32)
    first = -found.ctypes.data // 4 % lanes
    return found[first : first + threads * depth * HALF].reshape(threads, depth, HALF)


def _own_scratch(threads: int, depth: int) -> int:
    """Return the address of a scratch of the calling thread, good until its next product."""
    held: Array | None = getattr(_SCRATCH, "held", None)
    if held is None or held.size < threads * depth * HALF:
        held = _SCRATCH.held = scratch(threads, depth)
    return int(held.ctypes.data)


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
