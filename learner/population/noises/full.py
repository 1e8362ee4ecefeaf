"""Full-rank signs: W ± σ E, the noise of ES as published (Qiu et al. 2025) and of RandOpt.

Each member's weights are written from the parent's, one tensor and one member at a time, into one
buffer, and never restored by subtraction. So this costs one tensor's memory, and a product of its
own for every member.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kernels.model.forward import Linear
from kernels.reference.noise import tensor_id
from learner.population.noise import Perturbation


class FullRank:
    """Members that are written out when their layer is applied."""

    def __init__(self, perturbation: Perturbation) -> None:
        """Keep the addresses; nothing is written yet."""
        self.size = 2 * perturbation.pairs
        self._of, self._sigmas = perturbation, perturbation.sigma_of

    def linear(self, members: range, shared: Linear) -> Linear:
        """Return the linear layers of some members; see learner.population.noise."""

        def apply(name: str, layer: nn.Linear, x: Tensor) -> Tensor:
            if name not in self._sigmas:
                return shared(name, layer, x)
            written = self._of.backend.full_members(
                layer.weight.detach(),
                key=self._of.key,
                tensor=tensor_id(name),
                members=members,
                sigma_log2=self._sigmas[name],
                frozen=self._of.frozen.get(name),
            )
            each = x.expand(len(members), -1, -1)
            out = [F.linear(own, w, layer.bias) for own, w in zip(each, written, strict=True)]
            return torch.stack(out)

        return apply
