"""What a move of a layer's weights is to leave alone: what plain prose makes of the layer.

A move ΔW changes a log-probability of prose by δᵀ ΔW x, x what comes into the layer and δ the
slope in what it gives. Squared, its mean over prose is near tr(ΔWᵀ G ΔW C), with the second moments
G of δ and C of x (Kronecker's approximation of the curvature, Martens & Grosse 2015, arXiv
1503.05671, sec. 3). So directions that prose has in common are dear, on either side, and of moves
that gain as much those are cheapest that lie along L⁻¹ S R⁻¹ (the natural gradient, Amari 1998),
with R = 1 + spare · C / (mean eigenvalue of C), and L likewise of G.

Only the leading directions of each are kept; in the others L and R are 1, as nearly as one can tell
from so few positions. Knows nothing of what is taught, and of no text but vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import torch
from torch import Tensor

# Directions of a side that are dear: with 128 of them plain text was worn as much as with 512 by a
# tenth more, and a model with wide layers has no memory for all.
KEPT: Final = 512


@dataclass(frozen=True, slots=True)
class Side:
    """M of one side of a layer: 1 + V (roots² − 1) Vᵀ.

    directions: V, (units, k), orthonormal, float32; roots: (k,), of M's eigenvalues there
    """

    directions: Tensor
    roots: Tensor

    @classmethod
    def of(cls, vectors: Sequence[Tensor], spare: float) -> Self:
        """Return what some vectors make dear.

        vectors: (positions, units) each; spare: above 0, by how much a direction is dearer that is
            used as the mean of all is
        """
        of_all = torch.cat([each.to("cpu", torch.float32) for each in vectors])
        _, sizes, along = torch.linalg.svd(of_all, full_matrices=False)
        energy = sizes.square()
        mean = (energy.sum() / of_all.shape[1]).clamp(min=torch.finfo(torch.float32).tiny)
        kept = slice(0, KEPT)
        return cls(along[kept].T.contiguous(), (1 + spare * energy[kept] / mean).sqrt().double())

    def cheapened(self, columns: Tensor) -> Tensor:
        """Return M^(-1/2) times columns: (units, any) → the same, float64."""
        wide, dear = columns.to("cpu", torch.float64), self.directions.double()
        return wide + dear @ ((1 / self.roots - 1)[:, None] * (dear.T @ wide))


@dataclass(frozen=True, slots=True)
class Spared:
    """What is dear in one tensor: L in what it gives, R in what it is given."""

    rows: Side
    columns: Side

    def whitened(self, total: Tensor) -> Tensor:
        """Return L^(-1/2) S R^(-1/2): (out, in) → (out, in) float64."""
        return self.columns.cheapened(self.rows.cheapened(total).T).T
