"""Screened signs: W ± σ a bᵀ in one tensor a pair, with the signs that a search has chosen.

Which tensor and which signs is told (learner.population.screen); here they are only applied.
"""

import torch
from torch import Tensor

from kernels.change import NOTHING_FROZEN, Address
from kernels.model.forward import Linear
from kernels.model.layers import Layer
from learner.population.noise import Perturbation


class Screened:
    """Members whose factors are kept, zeros in all tensors but their own."""

    def __init__(self, perturbation: Perturbation) -> None:
        """Draw the chosen signs.

        raises: ValueError when the perturbation names none
        """
        addresses = perturbation.addresses
        if addresses is None:
            raise ValueError(
                "screened noise needs the addresses that learner.population.screen finds"
            )
        self.size = 2 * perturbation.pairs
        self._backend = perturbation.backend
        self._sigmas = perturbation.sigma_of
        self._factors: dict[str, tuple[Tensor, Tensor]] = {}
        for place, spec in enumerate(perturbation.specs):
            own = [pair for pair, tensor in enumerate(addresses.tensors) if tensor == place]
            if own:
                rows, columns = self._backend.chosen_factors(
                    Address.of(perturbation.key, spec.name),
                    spec.shape,
                    addresses.of(own),
                    frozen=perturbation.frozen.get(spec.name, NOTHING_FROZEN),
                )
                self._factors[spec.name] = self._of_all(own, rows, columns)

    def linear(self, members: range) -> Linear:
        """Return the linear layers of some members; see learner.population.noise."""
        chosen = slice(members.start, members.stop)

        def apply(name: str, layer: Layer, x: Tensor) -> Tensor:
            if name not in self._factors:
                return layer.apply(x)
            rows, columns = self._factors[name]
            return self._backend.member_linear(
                x, layer, rows[chosen], columns[chosen], sigma_log2=self._sigmas[name]
            )

        return apply

    def _of_all(self, own: list[int], rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Spread the factors of some pairs over all members, the ± of each in its rows."""
        plus = torch.tensor([2 * pair for pair in own], device=rows.device)
        left, right = (part.new_zeros(self.size, part.shape[1]) for part in (rows, columns))
        left[plus], left[plus + 1] = rows, -rows
        right[plus] = right[plus + 1] = columns
        return left, right
