"""The linear layers of a model by how their weights are stored: one copy of each, made to be used.

This is the seam for further storages: what applies its layer, looks rows
up, and gives the plain weight to whatever needs the weight itself, can stand anywhere in a model.
A weight must not be changed in place.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.contract import LinearLayer


class Layer(LinearLayer, Protocol):
    """One stored linear layer. Any thread may use it."""

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """The type of what comes out."""
        ...

    @property
    def nbytes(self) -> int:
        """What the weight takes in memory."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the weight lies."""
        ...

    def rows(self, ids: Tensor) -> Tensor:
        """Look up rows of the weight: (…) int64 → (…, in)."""
        ...

    def like(self, weight: Tensor) -> "Layer":
        """Store another weight of this shape in full, with the same bias."""
        ...


@dataclass(frozen=True, slots=True)
class PlainLayer:
    """A weight as it is.

    weight: (out, in), on any device, of any type; bias: (out,)
    """

    weight: Tensor
    bias: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int]:
        out_features, in_features = self.weight.shape
        return out_features, in_features

    @property
    def dtype(self) -> torch.dtype:
        return self.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.weight.device

    @property
    def nbytes(self) -> int:
        return self.weight.nbytes

    def apply(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def plain(self) -> Tensor:
        return self.weight

    def rows(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.weight)

    def like(self, weight: Tensor) -> "PlainLayer":
        return PlainLayer(weight, self.bias)
