"""Four kinds of noise over the same tensors: rank 1 or full rank, signs or normal.

Each gives a population for learner.population.members.score, and the child that an update makes of
it.
Signs go the way of every version, through the integer master. Normal noise has no bits that are
the same everywhere, so its child is a float32 sum; it is here to be compared with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kernels.contract import FULL, Backend
from kernels.cpu.backend import CpuBackend
from kernels.model.forward import Decoder, Linear, with_weights
from kernels.reference.noise import tensor_id
from kernels.version.factors import rank1_factors
from kernels.version.layout import TensorSpec
from kernels.version.master import QUANTUM_LOG2
from learner.population.noise import Perturbation, Population
from learner.population.noises.open import open_population
from learner.serving import Serving
from learner.update.candidate import draft
from learner.update.strategies import Update
from streams.records import Recipe

Kind = Literal["rank 1, signs", "rank 1, normal", "full rank, signs", "full rank, normal"]
KINDS: Final[tuple[Kind, ...]] = (
    "rank 1, signs",
    "rank 1, normal",
    "full rank, signs",
    "full rank, normal",
)


@dataclass(frozen=True)
class Noise:
    """The noise of one generation.

    serving: at the parent; nothing is frozen
    """

    kind: Kind
    serving: Serving
    backend: Backend
    key: int
    pairs: int
    sigma_log2: int

    def population(self) -> Population:
        """Return its members: the product's, or where it has none, ours."""
        if self.kind == "full rank, normal":
            return _FullNormal(self)
        specs = self.serving.specs
        perturbation = Perturbation(
            self._source,
            specs,
            key=self.key,
            pairs=self.pairs,
            sigmas_log2=[self.sigma(spec) for spec in specs],
            frozen={},
        )
        return open_population("full" if self._full else "rank1", perturbation)

    def child(self, update: Update) -> Decoder:
        """Give the version that an update leads to."""
        if self.kind.endswith("signs"):
            return self.serving.child(self._recipe(update)).decoder
        weights = {}
        for spec, scale in zip(self.serving.specs, self.serving.scales, strict=True):
            moved = self._direction(spec, update.coefficients)
            by = update.step * 2.0 ** (scale + QUANTUM_LOG2)
            weights[spec.name] = self.parent(spec).add(moved, alpha=by)
        return Decoder(with_weights(self.serving.decoder.model, weights))

    def parent(self, spec: TensorSpec) -> Tensor:
        """Give the parent's weight."""
        weight: Tensor = self.serving.decoder.model.get_parameter(spec.name).detach()
        return weight

    def sigma(self, spec: TensorSpec) -> int:
        """Give log2 of a tensor's σ."""
        scales = zip(self.serving.specs, self.serving.scales, strict=True)
        return self.sigma_log2 + {each.name: scale for each, scale in scales}[spec.name]

    def full_normal(self, spec: TensorSpec, pair: int) -> Tensor:
        """Give a pair's normal noise; a key of its own, so that one pair costs one pair."""
        rows, columns = spec.shape
        noise = self.backend.gaussians(
            key=self.key + (pair << 32),
            tensor=tensor_id(spec.name),
            side=FULL,
            first=0,
            count=rows * columns,
            pairs=1,
        )
        return noise.view(rows, columns)

    @property
    def _full(self) -> bool:
        return self.kind.startswith("full rank")

    @cached_property
    def _source(self) -> Backend:
        return _NormalFactors() if self.kind.endswith("normal") else self.backend

    def _direction(self, spec: TensorSpec, coefficients: Sequence[int]) -> Tensor:
        """Give Σ c_p E_p of normal noise."""
        weights = torch.tensor(coefficients, dtype=torch.float32)
        if self._full:
            total = torch.zeros(spec.shape)
            for pair, weight in enumerate(weights.tolist()):
                total.add_(self.full_normal(spec, pair), alpha=weight)
            return total
        plus = range(0, 2 * self.pairs, 2)
        rows, columns = rank1_factors(self._source, spec, key=self.key, members=plus, frozen=None)
        return (rows * weights[:, None]).T @ columns

    def _recipe(self, update: Update) -> Recipe:
        return draft(
            self.serving,
            f"{self.key:016x}",
            update,
            sigma_log2=self.sigma_log2,
            noise="full" if self._full else "rank1",
        )


class _NormalFactors(CpuBackend):
    """Gives normal factors where rank-1 members ask for signs."""

    def signs(
        self, *, key: int, tensor: int, side: int, first: int, count: int, pairs: int
    ) -> Tensor:
        """Give normal noise."""
        return self.gaussians(
            key=key, tensor=tensor, side=side, first=first, count=count, pairs=pairs
        )


class _FullNormal:
    """Members written out in full, with normal noise, one after another in their order."""

    def __init__(self, noise: Noise) -> None:
        self.size = 2 * noise.pairs
        self._noise = noise
        self._specs = {spec.name: spec for spec in noise.serving.specs}

    def linear(self, members: range, shared: Linear) -> Linear:
        """Return the linear layers of some members."""

        def apply(name: str, layer: nn.Linear, x: Tensor) -> Tensor:
            if name not in self._specs:
                return shared(name, layer, x)
            every = x.expand(len(members), -1, -1)
            written = (self._written(self._specs[name], member) for member in members)
            return torch.stack(
                [F.linear(row, w, layer.bias) for row, w in zip(every, written, strict=True)]
            )

        return apply

    def _written(self, spec: TensorSpec, member: int) -> Tensor:
        drawn = self._noise.full_normal(spec, member // 2)
        sigma = (-1) ** (member % 2) * 2.0 ** self._noise.sigma(spec)
        return self._noise.parent(spec).add(drawn, alpha=sigma)
