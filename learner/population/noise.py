"""The port of noise: how the members of a generation differ from the version that they stand on.

A kind of noise is one file in learner.population.noises. Members 2p and 2p+1 are the + and − of
pair p; frozen units get no noise, whatever the kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

from kernels.change import FACTOR_LOG2, Chosen, Factors, Frozen
from kernels.contract import Backend
from kernels.model.forward import Linear
from kernels.version import digits
from kernels.version.layout import TensorSpec


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the noise of screened pairs lies, one entry a pair: a few hundred bytes.

    tensors: the tensor that a pair moves, by its place in the specs; rows, columns: the numbers of
        its signs (kernels.change.Chosen)
    """

    tensors: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    unit_log2: ClassVar[int] = 0  # of what an integer of its factors' product stands for

    def of(self, pairs: Sequence[int]) -> Chosen:
        """Return the signs of some pairs."""
        return Chosen(
            tuple(self.rows[pair] for pair in pairs), tuple(self.columns[pair] for pair in pairs)
        )


@dataclass(frozen=True, slots=True)
class Lines:
    """The factors of directed pairs, one entry a pair: some thousand characters each.

    tensors: the tensor that a pair moves, by its place in the specs; left, right: its factors, as
        kernels.version.digits writes them
    """

    tensors: tuple[int, ...]
    left: tuple[str, ...]
    right: tuple[str, ...]
    unit_log2: ClassVar[int] = -2 * FACTOR_LOG2

    def of(self, pairs: Sequence[int]) -> Factors:
        """Return the factors of some pairs, all of one tensor."""
        rows, columns = (
            digits.read(of_all[pair] for pair in pairs) for of_all in (self.left, self.right)
        )
        return Factors(rows, columns)


Where: TypeAlias = Addresses | Lines


@dataclass(frozen=True, slots=True)
class Perturbation:
    """What one generation perturbs, by which key, and how far.

    sigmas_log2: log2 of each tensor's σ, in the order of the specs
    frozen: parameter name → its frozen units; missing: none
    where: of screened and directed noise where each pair lies; of other noise None
    """

    backend: Backend
    specs: Sequence[TensorSpec]
    key: int
    pairs: int
    sigmas_log2: Sequence[int]
    frozen: Mapping[str, Frozen]
    where: Where | None = None

    @property
    def sigma_of(self) -> dict[str, int]:
        """log2 of each tensor's σ, by its name."""
        return {spec.name: s for spec, s in zip(self.specs, self.sigmas_log2, strict=True)}


class Population(Protocol):
    """The members of one generation: a version's weights plus and minus the noise of each pair."""

    size: int  # members, two a pair

    def linear(self, members: range) -> Linear:
        """Return the linear layers of some members.

        A member's outputs do not depend on which others are asked for, but for the rounding of
        sums that they share.

        returns: from (len(members), tokens, in), or (1, tokens, in) while they still share their
            input, to (len(members), tokens, out)
        """
        ...
