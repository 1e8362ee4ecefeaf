"""What a move of the last block's MLP is to leave alone: the inputs that plain prose gives it.

A move ΔW changes what the layer makes of an input x by ΔW x, and of all inputs of prose by
tr(ΔW C ΔWᵀ), C = the mean of x xᵀ there: right-hand factors of Kronecker's approximation of the
curvature (Martens & Grosse 2015, sec. 3). So directions that many inputs of prose have in common
are dear, and among moves that gain as much, those are cheapest which lie along S M⁻¹, M = 1 + spare
· C / (mean eigenvalue of C). The search of signs (learner.population.screen) goes by that.

Only the leading directions of C are kept; in the others M is 1, as nearly as one can tell from so
few inputs. Knows nothing of what is taught, and of no text but tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import torch
from torch import Tensor

from kernels.model.forward import Decoder
from kernels.model.layers import Layer
from kernels.version.layout import MLP
from learner.population.members import Trunk

# Directions of C that are dear: they hold 90 % and more of what prose has in common.
KEPT: Final = 128


@dataclass(frozen=True, slots=True)
class Spared:
    """M of one tensor: 1 + V (roots² − 1) Vᵀ.

    directions: V, (in, k), orthonormal; roots: (k,), of M's eigenvalues there; both float64
    """

    directions: Tensor
    roots: Tensor

    @classmethod
    def of(cls, inputs: Sequence[Tensor], spare: float) -> Self:
        """Return what inputs make dear.

        inputs: (positions, in) each; spare: above 0, by how much a direction is dearer that is
            used as the mean of all is
        """
        shared = sum(wide.T @ wide for wide in (x.to("cpu", torch.float64) for x in inputs))
        assert isinstance(shared, Tensor)
        values, vectors = torch.linalg.eigh(shared)
        kept = slice(-min(KEPT, len(values)), None)
        mean = values.sum() / len(values)
        return cls(vectors[:, kept], (1 + spare * values[kept].clamp(min=0) / mean).sqrt())

    def cheapened(self, total: Tensor) -> Tensor:
        """Return S M^(-1/2): (out, in) → (out, in) float64."""
        return self._scaled(total, 1 / self.roots)

    def dear(self, along: Tensor) -> Tensor:
        """Return M^(1/2) of directions in its rows: (n, in) → (n, in) float64."""
        return self._scaled(along, self.roots)

    def lengths(self, signs: Tensor) -> Tensor:
        """Return how long signs are as M sees it: (n, in) → (n,) float32."""
        within = signs @ self.directions.float()
        return (signs.shape[1] + within.square() @ (self.roots.square() - 1).float()).sqrt()

    def _scaled(self, rows: Tensor, scales: Tensor) -> Tensor:
        wide = rows.to("cpu", torch.float64)
        return wide + ((wide @ self.directions) * (scales - 1)) @ self.directions.T


@torch.inference_mode()
def inputs_of(decoder: Decoder, trunk: Trunk) -> Mapping[str, Tensor]:
    """Return what comes into the linear layers of the last block's MLP.

    returns: by the weight's name, (wanted rows, in)
    """
    last = decoder.num_layers - 1
    names = {f"model.layers.{last}.mlp.{module}.weight" for module in MLP}
    seen: dict[str, Tensor] = {}

    def watch(name: str, layer: Layer, x: Tensor) -> Tensor:
        if name in names:
            seen[name] = x[0].clone()  # later steps write over it
        return layer.apply(x)

    decoder.run(
        trunk.hidden, rope=trunk.rope, attend=trunk.scored.packed.attend, layers=trunk.layers,
        linear=watch, wanted=trunk.scored.wanted,
    )  # fmt: skip
    return seen
