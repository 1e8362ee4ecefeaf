"""Weights of 4, 8 or 16 bits in strips of outputs, and the product that reads them as they are.

Turns numbers, scales and offsets, row by row, into strips (kernels.cpu.lanes says how they lie),
and multiplies rows by them, on several threads. A row's result depends on that row and the strip's
bits alone: not on how many rows there are, nor on the threads, nor on the processor.

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
    FLOAT16,
    FLOAT32,
    GROUP,
    HALF,
    NIBBLES,
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


@dataclass(frozen=True, slots=True, eq=False)
class Strips:
    """One weight, (out, in).

    codes: (strips, in or in / 2, STRIP); scales, offsets: (strips, in / GROUP, STRIP) float32,
        empty for floats; block: inputs that are summed before they are added to the rest
    """

    kind: Numbers
    shape: tuple[int, int]
    codes: Array
    scales: Array
    offsets: Array
    block: int

    @property
    def number(self) -> int:
        """The kind, as loops know it."""
        return _KINDS[self.kind]

    @property
    def addresses(self) -> tuple[int, int, int]:
        """Where codes, scales and offsets begin."""
        return self.codes.ctypes.data, self.scales.ctypes.data, self.offsets.ctypes.data

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return int(self.codes.nbytes + self.scales.nbytes + self.offsets.nbytes)

    def multiply(self, x: Tensor) -> Tensor:
        """Multiply (rows, in) by the weight: (rows, out)."""
        x, threads, width = x.contiguous(), torch.get_num_threads(), len(self.codes) * STRIP
        out = torch.empty(len(x), width)
        all_of_it = (
            self.number, *self.addresses, x.data_ptr(), len(x), self.shape[1], out.data_ptr(),
            width, self.block,
        )  # fmt: skip
        if threads > 1 and has_openmp():
            _on_threads(*all_of_it, threads)
        else:
            half_strips(*all_of_it, 0, 2 * len(self.codes))
        return out if width == self.shape[0] else out[:, : self.shape[0]].contiguous()

    def plain(self) -> Tensor:
        """Make the weight: (out, in) float32."""
        out, inputs = self.shape
        made = self.codes
        if self.kind != "float32":
            made = np.empty((len(self.codes), inputs, STRIP), np.float32)
            self.unpack(made.ctypes.data)
        return torch.from_numpy(made).transpose(1, 2).reshape(-1, inputs)[:out]

    def unpack(self, address: int) -> None:
        """Write the weights as floats in strips, (strips, in, STRIP), beginning at an address."""
        count, threads = len(self.codes), torch.get_num_threads()
        all_of_it = self.number, *self.addresses, address, self.shape[1]
        if threads > 1 and has_openmp():
            _unpack_on_threads(*all_of_it, count, threads)
        else:
            _unpack(*all_of_it, 0, count)

    def rows(self, ids: Tensor) -> Tensor:
        """Look up rows of the weight: (…) int64 → (…, in). Raises: IndexError."""
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < self.shape[0]:
            raise IndexError(f"a row that is not among {self.shape[0]}")
        flat = ids.reshape(-1).numpy()
        strip, lane = flat // STRIP, flat % STRIP
        numbers = self.codes[strip, :, lane]
        if self.kind == "float32":
            found = numbers
        elif self.kind in ("bfloat16", "float16"):
            found = _widened(self.kind, numbers)
        else:
            scales, offsets = self.scales[strip, :, lane], self.offsets[strip, :, lane]
            numbers = _numbers(self.kind, numbers).reshape(*scales.shape, GROUP)
            found = scales[..., None] * numbers + offsets[..., None]
        return torch.from_numpy(found).view(*ids.shape, self.shape[1])


def quantised(kind: Numbers, numbers: Array, scales: Array, offsets: Array, block: int) -> Strips:
    """Lay out a weight of small numbers.

    numbers: (out, in) uint8 under 16, or int8; scales, offsets: (out, in / GROUP) float32: a weight
        is scale · number + offset, where the product must be exact in float32
    """
    shape, (scales, offsets) = numbers.shape, (_in_strips(each) for each in (scales, offsets))
    codes = _in_strips(numbers)
    if kind in ("nibbles", "signed nibbles"):
        codes = codes.view(np.uint8) & 15
        codes = np.ascontiguousarray(codes[:, 0::2] | codes[:, 1::2] << 4)
    return Strips(kind, (shape[0], shape[1]), codes, scales, offsets, block)


def halved(kind: Numbers, bits: Array, block: int) -> Strips:
    """Lay out a weight of 16-bit floats.

    bits: (out, in) uint16
    """
    none = np.empty((-(-len(bits) // STRIP), 0, STRIP), np.float32)
    return Strips(kind, (bits.shape[0], bits.shape[1]), _in_strips(bits), none, none, block)


def _in_strips(rows: Array) -> Array:
    """Turn (out, n) into (strips, n, STRIP), zeros where there is no output."""
    missing = -len(rows) % STRIP
    whole = np.pad(rows, ((0, missing), (0, 0))) if missing else rows
    return np.ascontiguousarray(whole.reshape(-1, STRIP, rows.shape[1]).transpose(0, 2, 1))


def _numbers(kind: Numbers, codes: Array) -> Array:
    """Return the numbers of one output a row, as float32."""
    if kind == "bytes":
        return codes.astype(np.float32)
    both = np.stack((codes & 15, codes >> 4), axis=-1).reshape(len(codes), -1).astype(np.int8)
    return (both if kind == "nibbles" else (both ^ 8) - 8).astype(np.float32)


def _widened(kind: Numbers, bits: Array) -> Array:
    if kind == "float16":
        return bits.view(np.float16).astype(np.float32)
    return (bits.astype(np.uint32) << 16).view(np.float32)


@compiled
def half_strips(
    kind: int, codes: int, scales: int, offsets: int, x: int, rows: int, depth: int, out: int,
    width: int, block: int, first: int, last: int,
) -> None:  # fmt: skip
    """Compute the outputs of half strips first..last-1, for all rows.

    codes, scales, offsets: addresses of the weight's numbers; x: of (rows, depth) float32; out: of
        (rows, width) float32
    """
    code_bytes, scale_bytes = _strip_bytes(kind, depth)
    for half in range(first, last):
        strip = half // 2
        c, s = codes + strip * code_bytes, scales + strip * scale_bytes
        o, lane = offsets + strip * scale_bytes, half % 2 * HALF
        row = 0
        while row < rows:
            a, b = x + row * depth * 4, out + (row * width + strip * STRIP) * 4
            if kind == NIBBLES:
                row += _some_rows(NIBBLES, rows - row, c, s, o, lane, a, depth, b, width, block)
            elif kind == SIGNED:
                row += _some_rows(SIGNED, rows - row, c, s, o, lane, a, depth, b, width, block)
            elif kind == BYTES:
                row += _some_rows(BYTES, rows - row, c, s, o, lane, a, depth, b, width, block)
            elif kind == BFLOAT16:
                row += _some_rows(BFLOAT16, rows - row, c, s, o, lane, a, depth, b, width, block)
            elif kind == FLOAT16:
                row += _some_rows(FLOAT16, rows - row, c, s, o, lane, a, depth, b, width, block)
            else:
                row += _some_rows(FLOAT32, rows - row, c, s, o, lane, a, depth, b, width, block)


@inlined
def _some_rows(
    kind: int, rows: int, c: int, s: int, o: int, lane: int, x: int, depth: int, out: int,
    width: int, block: int,
) -> int:  # fmt: skip
    """Multiply as many rows as a loop is written for, and return how many; kind is a literal."""
    if rows >= 8:
        multiply(kind, 8, c, s, o, lane, x, depth, out, width, block)
        return 8
    if rows >= 4:
        multiply(kind, 4, c, s, o, lane, x, depth, out, width, block)
        return 4
    if rows >= 2:
        multiply(kind, 2, c, s, o, lane, x, depth, out, width, block)
        return 2
    multiply(kind, 1, c, s, o, lane, x, depth, out, width, block)
    return 1


@inlined
def _strip_bytes(kind: int, depth: int) -> tuple[int, int]:
    """Return how many bytes the codes of a strip take, and its scales."""
    if kind == NIBBLES or kind == SIGNED:  # numba compiles no `in` of globals
        return depth * STRIP // 2, depth // GROUP * STRIP * 4
    if kind == BYTES:
        return depth * STRIP, depth // GROUP * STRIP * 4
    if kind == FLOAT32:
        return depth * STRIP * 4, 0
    return depth * STRIP * 2, 0


@on_threads
def _on_threads(
    kind: int, codes: int, scales: int, offsets: int, x: int, rows: int, depth: int, out: int,
    width: int, block: int, threads: int,
) -> None:  # fmt: skip
    count = 2 * width // STRIP
    for thread in numba.prange(threads):
        first, last = count * thread // threads, count * (thread + 1) // threads
        half_strips(
            kind, codes, scales, offsets, x, rows, depth, out, width, block, first, last
        )


@cache
def has_openmp() -> bool:
    """Say whether the loop can run on several threads at once, and from several threads.

    numba's own portable threads abort the process when two threads use them at once; OpenMP's do
    not, and wait as torch's do.
    """
    numba.config.THREADING_LAYER = "omp"
    x, weight, out = (np.zeros(size, np.float32) for size in (GROUP, GROUP * STRIP, STRIP))
    places = (each.ctypes.data for each in (weight, weight, weight, x))
    try:
        _on_threads(FLOAT32, *places, 1, GROUP, out.ctypes.data, STRIP, GROUP, 2)
    except ValueError:  # numba: "No threading layer could be loaded", libgomp is not installed
        return False
    return True


@compiled
def _unpack(
    kind: int, codes: int, scales: int, offsets: int, out: int, depth: int, first: int, last: int
) -> None:
    """Write strips first..last-1 as floats."""
    code_bytes, scale_bytes = _strip_bytes(kind, depth)
    for strip in range(first, last):
        c, s = codes + strip * code_bytes, scales + strip * scale_bytes
        o, made = offsets + strip * scale_bytes, out + strip * depth * STRIP * 4
        if kind == NIBBLES:
            unpack(NIBBLES, c, s, o, made, depth)
        elif kind == SIGNED:
            unpack(SIGNED, c, s, o, made, depth)
        elif kind == BYTES:
            unpack(BYTES, c, s, o, made, depth)
        elif kind == BFLOAT16:
            unpack(BFLOAT16, c, s, o, made, depth)
        else:
            unpack(FLOAT16, c, s, o, made, depth)


@on_threads
def _unpack_on_threads(
    kind: int, codes: int, scales: int, offsets: int, out: int, depth: int, count: int, threads: int
) -> None:
    for thread in numba.prange(threads):
        first, last = count * thread // threads, count * (thread + 1) // threads
        _unpack(kind, codes, scales, offsets, out, depth, first, last)
