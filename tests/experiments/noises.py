"""Four kinds of noise over the same tensors: rank 1 or full rank, signs or normal.

Each gives a population for learner.population.members.score, and the child that an update makes of
it.
Signs go the way of every version, through the integer master. Normal noise has no bits that are
the same everywhere, so its child is a float32 sum; it is here to be compared with.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.contract import FULL, Backend
from kernels.cpu.backend import CpuBackend
from kernels.model.forward import Decoder, Linear
from kernels.model.layers import Layer
from kernels.model.model import with_weights
from kernels.reference.noise import tensor_id
from kernels.version.factors import rank1_factors
from kernels.version.layout import TensorSpec
from kernels.version.master import QUANTUM_LOG2
from learner.population.members import Population
from learner.serving import Versions
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

    versions: at the parent; nothing is frozen
    """

    kind: Kind
    versions: Versions
    backend: Backend
    key: int
    pairs: int
    sigma_log2: int

    def population(self) -> Population:
        """Give its members."""
        return _FullRank(self) if self._full else self._rank1_population(self._source)

    def child(self, update: Update) -> Decoder:
        """Give the version that an update leads to."""
        if self.kind.endswith("signs"):
            return self.versions.child(self._recipe(update)).decoder
        weights = {}
        for spec, scale in zip(self.versions.specs, self.versions.scales, strict=True):
            moved = self._direction(spec, update.coefficients)
            by = update.step * 2.0 ** (scale + QUANTUM_LOG2)
            weights[spec.name] = self.parent(spec).add(moved, alpha=by)
        return Decoder(with_weights(self.versions.decoder.model, weights))

    def parent(self, spec: TensorSpec) -> Tensor:
        """Give the parent's weight."""
        weight: Tensor = self.versions.decoder.model.get_parameter(spec.name).detach()
        return weight

    def sigma(self, spec: TensorSpec) -> int:
        """Give log2 of a tensor's σ."""
        scales = zip(self.versions.specs, self.versions.scales, strict=True)
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

    def _rank1_population(self, source: Backend) -> Population:
        return Population(
            source,
            self.versions.specs,
            key=self.key,
            pairs=self.pairs,
            sigmas_log2=[self.sigma(spec) for spec in self.versions.specs],
            frozen={},
        )

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
            self.versions,
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


class _FullRank(Population):
    """Members written out in full, one after another, in their order."""

    def __init__(self, noise: Noise) -> None:
        self.size = 2 * noise.pairs
        self._written = {spec.name: _members(noise, spec) for spec in noise.versions.specs}

    def linear(self, members: range) -> Linear:
        """Give the linear layers of the next members: each may be asked for once."""
        weights = {
            name: [next(written).clone() for _ in members]
            for name, written in self._written.items()
        }

        def apply(name: str, layer: Layer, x: Tensor) -> Tensor:
            if name not in weights:
                return layer.apply(x)
            every = x.expand(len(members), -1, -1)
            pairs = zip(every, weights[name], strict=True)
            return torch.stack([F.linear(row, weight, layer.bias) for row, weight in pairs])

        return apply


def _members(noise: Noise, spec: TensorSpec) -> Iterator[Tensor]:
    """Write the members of one tensor."""
    base, sigma_log2 = noise.parent(spec), noise.sigma(spec)
    if noise.kind.endswith("signs"):
        yield from noise.backend.full_members(
            base,
            key=noise.key,
            tensor=tensor_id(spec.name),
            members=range(2 * noise.pairs),
            sigma_log2=sigma_log2,
            frozen=None,
        )
        return
    for pair in range(noise.pairs):
        drawn = noise.full_normal(spec, pair)
        for sign in (1, -1):
            yield base.add(drawn, alpha=sign * 2.0**sigma_log2)
