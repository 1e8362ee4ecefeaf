"""Four kinds of noise over the same tensors: rank 1 or full rank, signs or normal.

Each gives a population for learner.population.members.score, and the child that an update makes of
it. Three go the way of every version, through the integer master; rank-1 normal factors are here to
be compared with, and their child is a float32 sum.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kernels import normal
from kernels.change import Address, FullNoise, MemberNoise, Span
from kernels.change import Noise as KernelNoise
from kernels.contract import Backend
from kernels.cpu.backend import CpuBackend
from kernels.model.forward import Decoder, Linear, with_weights
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

FACTORS_LOG2: Final = -2 * normal.FRACTION_LOG2  # of the product of two integer deviates


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
        """Return its members."""
        return self._rank1_population() if self.noise == "rank1" else _FullRank(self)

    def child(self, update: Update) -> Decoder:
        """Return the version that an update leads to."""
        if self.kind != "rank 1, normal":
            return self.versions.child(self._recipe(update)).decoder
        weights = {}
        for spec, scale in zip(self.versions.specs, self.versions.scales, strict=True):
            moved = self._direction(spec, update.coefficients)
            by = update.step * 2.0 ** (scale + QUANTUM_LOG2)
            weights[spec.name] = self.parent(spec).add(moved, alpha=by)
        return Decoder(with_weights(self.versions.decoder.model, weights))

    def parent(self, spec: TensorSpec) -> Tensor:
        """Return the parent's weight."""
        weight: Tensor = self.versions.decoder.model.get_parameter(spec.name).detach()
        return weight

    def sigma(self, spec: TensorSpec) -> int:
        """Return log2 of a tensor's σ."""
        scales = zip(self.versions.specs, self.versions.scales, strict=True)
        return self.sigma_log2 + {each.name: scale for each, scale in scales}[spec.name]

    @property
    def noise(self) -> KernelNoise:
        """The kind's name in the kernels."""
        if not self.kind.startswith("full rank"):
            return "rank1"
        return "normal" if self.kind.endswith("normal") else "full"

    def _rank1_population(self) -> Population:
        unit_log2 = FACTORS_LOG2 if self.kind.endswith("normal") else 0
        return Population(
            self._source,
            self.versions.specs,
            key=self.key,
            pairs=self.pairs,
            sigmas_log2=[self.sigma(spec) + unit_log2 for spec in self.versions.specs],
            frozen={},
        )

    @cached_property
    def _source(self) -> Backend:
        return _NormalFactors() if self.kind.endswith("normal") else self.backend

    def _direction(self, spec: TensorSpec, coefficients: Sequence[int]) -> Tensor:
        """Return Σ c_p E_p of rank-1 normal noise."""
        weights, plus = torch.tensor(coefficients, dtype=torch.float32), range(0, 2 * self.pairs, 2)
        rows, columns = rank1_factors(self._source, spec, key=self.key, members=plus)
        return (rows * weights[:, None]).T @ columns.float() * 2.0**FACTORS_LOG2

    def _recipe(self, update: Update) -> Recipe:
        return draft(
            self.versions,
            f"{self.key:016x}",
            update,
            sigma_log2=self.sigma_log2,
            noise=self.noise,
        )


class _NormalFactors(CpuBackend):
    """Returns normal factors, integers in units of 2⁻⁵, where rank-1 members ask for signs."""

    def signs(self, address: Address, span: Span, *, pairs: int) -> Tensor:
        """Return normal noise."""
        return self.normals(address, span, pairs=pairs)


class _FullRank(Population):
    """Members written out in full, one after another, in their order."""

    def __init__(self, noise: Noise) -> None:
        self.size = 2 * noise.pairs
        self._written = {spec.name: _members(noise, spec) for spec in noise.versions.specs}

    def linear(self, members: range, shared: Linear) -> Linear:
        """Return the linear layers of the next members: each may be asked for once."""
        weights = {
            name: [next(written).clone() for _ in members]
            for name, written in self._written.items()
        }

        def apply(name: str, layer: nn.Linear, x: Tensor) -> Tensor:
            if name not in weights:
                return shared(name, layer, x)
            every = x.expand(len(members), -1, -1)
            pairs = zip(every, weights[name], strict=True)
            return torch.stack([F.linear(row, weight, layer.bias) for row, weight in pairs])

        return apply


def _members(noise: Noise, spec: TensorSpec) -> Iterator[Tensor]:
    """Write the members of one tensor."""
    kind: FullNoise = "normal" if noise.noise == "normal" else "full"
    given = MemberNoise(Address.of(noise.key, spec.name), noise.sigma(spec), kind)
    return noise.backend.full_members(noise.parent(spec), given, range(2 * noise.pairs))
