"""What a move of a layer's weights is to leave alone: what texts that nobody teaches make of it.

A move ΔW changes a log-probability of such a text by δᵀ ΔW x, x what comes into the layer and δ
the slope in what it gives. Squared, its mean over a text is near tr(ΔWᵀ G ΔW C), with the second
moments G of δ and C of x (Kronecker's approximation of the curvature, Martens & Grosse 2015, arXiv
1503.05671, sec. 3). So directions that the texts have in common are dear, on either side, and of
moves that gain as much those are cheapest that lie along L⁻¹ S R⁻¹ (the natural gradient, Amari
1998), with R = 1 + Σ spare · C / (mean eigenvalue of C) over the kinds of texts; L likewise of G.

Knows nothing of what is taught, and of no text but vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Side:
    """M of one side of a layer, by its Cholesky factor: M = root · rootᵀ.

    root: (units, units) float32, lower triangular
    """

    root: Tensor

    @classmethod
    def of(cls, *kinds: tuple[Sequence[Tensor], float]) -> Self:
        """Return what some kinds of vectors make dear.

        kinds: of each its vectors, (positions, units) in pieces, and its spare, above 0: by how
            much a direction is dearer that is used as the mean of all is
        """
        dear = torch.eye(kinds[0][0][0].shape[1], dtype=torch.float64)
        for vectors, spare in kinds:
            wide = (each.to("cpu", torch.float64) for each in vectors)
            shared = sum(each.T @ each for each in wide)
            assert isinstance(shared, Tensor)
            mean = shared.diagonal().mean().clamp(min=torch.finfo(torch.float32).tiny)
            dear += shared.mul_(spare / mean)
        return cls(torch.linalg.cholesky(dear).float())

    def whitened(self, columns: Tensor) -> Tensor:
        """Return root⁻¹ times columns: (units, any) → the same, float64."""
        return _solved(self.root, columns, upper=False)

    def cheapened(self, columns: Tensor) -> Tensor:
        """Return root⁻ᵀ times columns, so that root⁻ᵀ root⁻¹ is M⁻¹: likewise."""
        return _solved(self.root.T, columns, upper=True)


@dataclass(frozen=True, slots=True)
class Spared:
    """What is dear in one tensor: L in what it gives, R in what it is given."""

    rows: Side
    columns: Side

    def whitened(self, total: Tensor) -> Tensor:
        """Return S as it is where neither side is dear: (out, in) → (out, in) float64."""
        return self.columns.whitened(self.rows.whitened(total).T).T


def _solved(root: Tensor, columns: Tensor, *, upper: bool) -> Tensor:
    wide = columns.to("cpu", torch.float64)
    solved: Tensor = torch.linalg.solve_triangular(root.double(), wide, upper=upper)
    return solved
