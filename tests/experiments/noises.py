"""Four kinds of noise over the same tensors: rank 1 or full rank, signs or normal.

Each gives a population for learner.population.members.score, and the child that an update makes of
it. Three go the way of every version, through the integer master; rank-1 normal factors are here to
be compared with, and their child is a float32 sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import torch
from torch import Tensor

from kernels import normal
from kernels.change import Address, Span
from kernels.change import Noise as KernelNoise
from kernels.contract import Backend
from kernels.cpu.backend import CpuBackend
from kernels.model.forward import Decoder
from kernels.model.model import with_weights
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

FACTORS_LOG2: Final = -2 * normal.FRACTION_LOG2  # of the product of two integer deviates


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
        """Return its members."""
        unit_log2 = FACTORS_LOG2 if self.kind == "rank 1, normal" else 0
        perturbation = Perturbation(
            self._source,
            self.serving.specs,
            key=self.key,
            pairs=self.pairs,
            sigmas_log2=[self.sigma(spec) + unit_log2 for spec in self.serving.specs],
            frozen={},
        )
        return open_population(self.noise, perturbation)

    def child(self, update: Update) -> Decoder:
        """Return the version that an update leads to."""
        if self.kind != "rank 1, normal":
            return self.serving.child(self._recipe(update)).decoder
        weights = {}
        for spec, scale in zip(self.serving.specs, self.serving.scales, strict=True):
            moved = self._direction(spec, update.coefficients)
            by = update.step * 2.0 ** (scale + QUANTUM_LOG2)
            weights[spec.name] = self.parent(spec).add(moved, alpha=by)
        return Decoder(with_weights(self.serving.decoder.model, weights))

    def parent(self, spec: TensorSpec) -> Tensor:
        """Return the parent's weight."""
        weight: Tensor = self.serving.decoder.model.get_parameter(spec.name).detach()
        return weight

    def sigma(self, spec: TensorSpec) -> int:
        """Return log2 of a tensor's σ."""
        scales = zip(self.serving.specs, self.serving.scales, strict=True)
        return self.sigma_log2 + {each.name: scale for each, scale in scales}[spec.name]

    @property
    def noise(self) -> KernelNoise:
        """The kind's name in the kernels."""
        if not self.kind.startswith("full rank"):
            return "rank1"
        return "normal" if self.kind.endswith("normal") else "full"

    @cached_property
    def _source(self) -> Backend:
        return _NormalFactors() if self.kind == "rank 1, normal" else self.backend

    def _direction(self, spec: TensorSpec, coefficients: Sequence[int]) -> Tensor:
        """Return Σ c_p E_p of rank-1 normal noise."""
        weights, plus = torch.tensor(coefficients, dtype=torch.float32), range(0, 2 * self.pairs, 2)
        rows, columns = rank1_factors(self._source, spec, key=self.key, members=plus)
        return (rows * weights[:, None]).T @ columns.float() * 2.0**FACTORS_LOG2

    def _recipe(self, update: Update) -> Recipe:
        return draft(
            self.serving,
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
