"""Rank-1 signs: W ± σ a bᵀ (EGGROLL, Sarkar et al. 2025), all members sharing each product by W."""

from collections.abc import Mapping

from torch import Tensor

from kernels.change import NOTHING_FROZEN
from kernels.contract import Backend
from kernels.model.forward import Linear
from kernels.model.layers import Layer
from kernels.version.factors import rank1_factors
from learner.population.noise import Perturbation


class Rank1:
    """Members whose factors are kept: some thousand signs a tensor and member."""

    def __init__(self, perturbation: Perturbation) -> None:
        """Draw every member's signs."""
        self.size = 2 * perturbation.pairs
        self._backend = perturbation.backend
        self._sigmas = perturbation.sigma_of
        self._factors = {
            spec.name: rank1_factors(
                perturbation.backend,
                spec,
                key=perturbation.key,
                members=range(self.size),
                frozen=perturbation.frozen.get(spec.name, NOTHING_FROZEN),
            )
            for spec in perturbation.specs
        }

    def linear(self, members: range) -> Linear:
        """Return the linear layers of some members; see learner.population.noise."""
        return linear_of(self._backend, self._factors, self._sigmas, members)


def linear_of(
    backend: Backend,
    factors: Mapping[str, tuple[Tensor, Tensor]],
    sigmas: Mapping[str, int],
    members: range,
) -> Linear:
    """Return the linear layers of some members whose factors are kept.

    factors: by tensor, of all members: (members, rows) and (members, columns)
    sigmas: by tensor, log2 of σ
    """
    chosen = slice(members.start, members.stop)

    def apply(name: str, layer: Layer, x: Tensor) -> Tensor:
        if name not in factors:
            return layer.apply(x)
        rows, columns = factors[name]
        return backend.member_linear(
            x, layer, rows[chosen], columns[chosen], sigma_log2=sigmas[name]
        )

    return apply
