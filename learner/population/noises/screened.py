"""Searched moves: W ± σ a bᵀ in one tensor a pair, with the signs or factors that were found.

Which tensor and which factors is told (learner.population.screen, directed); here they are applied.
"""

import torch
from torch import Tensor

from kernels.change import NOTHING_FROZEN, Address
from kernels.model.forward import Linear
from learner.population.noise import Lines, Perturbation
from learner.population.noises.rank1 import linear_of


class Screened:
    """Members whose factors are kept, zeros in all tensors but their own."""

    def __init__(self, perturbation: Perturbation) -> None:
        """Make the chosen factors.

        raises: ValueError when the perturbation names none
        """
        where = perturbation.where
        if where is None:
            raise ValueError("searched noise needs what the search has found: where its pairs lie")
        self.size = 2 * perturbation.pairs
        self._backend = perturbation.backend
        self._sigmas = {n: s + where.unit_log2 for n, s in perturbation.sigma_of.items()}
        self._factors: dict[str, tuple[Tensor, Tensor]] = {}
        for place, spec in enumerate(perturbation.specs):
            own = [pair for pair, tensor in enumerate(where.tensors) if tensor == place]
            if own:
                frozen = perturbation.frozen.get(spec.name, NOTHING_FROZEN)
                if isinstance(where, Lines):
                    told = where.of(own)
                    device = self._backend.device
                    factors = frozen.zeroed(told.rows.to(device), told.columns.to(device))
                else:
                    address = Address.of(perturbation.key, spec.name)
                    factors = self._backend.chosen_factors(
                        address, spec.shape, where.of(own), frozen=frozen
                    )
                self._factors[spec.name] = self._of_all(own, *factors)

    def linear(self, members: range) -> Linear:
        """Return the linear layers of some members; see learner.population.noise."""
        return linear_of(self._backend, self._factors, self._sigmas, members)

    def _of_all(self, own: list[int], rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Spread the factors of some pairs over all members, the ± of each in its rows."""
        plus = torch.tensor([2 * pair for pair in own], device=rows.device)
        left, right = (part.new_zeros(self.size, part.shape[1]) for part in (rows, columns))
        left[plus], left[plus + 1] = rows, -rows
        right[plus] = right[plus + 1] = columns
        return left, right
