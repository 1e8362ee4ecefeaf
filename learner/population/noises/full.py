"""Full-rank noise: W ± σ E, with signs or normal deviates for E.

Normal deviates are the noise of ES as published (Qiu et al. 2025) and of RandOpt; signs have the
same mean and spread. Each member's weights are written from the parent's, one tensor and one member
at a time, into one buffer, and never restored by subtraction. So this costs one tensor's memory,
and a product of its own for every member.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.change import NOTHING_FROZEN, Address, FullNoise, MemberNoise
from kernels.model.forward import Linear
from kernels.model.layers import Layer
from learner.population.noise import Perturbation


class FullRank:
    """Members that are written out when their layer is applied."""

    def __init__(self, perturbation: Perturbation, kind: FullNoise) -> None:
        """Keep the addresses; nothing is written yet."""
        self.size = 2 * perturbation.pairs
        self._backend = perturbation.backend
        self._noise = {
            name: MemberNoise(
                Address.of(perturbation.key, name),
                sigma_log2,
                kind,
                perturbation.frozen.get(name, NOTHING_FROZEN),
            )
            for name, sigma_log2 in perturbation.sigma_of.items()
        }

    def linear(self, members: range) -> Linear:
        """Return the linear layers of some members; see learner.population.noise."""

        def apply(name: str, layer: Layer, x: Tensor) -> Tensor:
            if name not in self._noise:
                return layer.apply(x)
            written = self._backend.full_members(layer.plain(), self._noise[name], members)
            each = x.expand(len(members), -1, -1)
            out = [F.linear(own, w, layer.bias) for own, w in zip(each, written, strict=True)]
            return torch.stack(out)

        return apply
