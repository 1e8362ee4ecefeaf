"""What a generation does to one tensor, as values: its noise, how members differ, what is added.

A value that exists is in range: it refuses, when it is made, what could not be exact. What must fit
a tensor is asked by kernels.contract.Backend, once for all backends.

Knows nothing of how noise is made, or of recipes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import torch
from torch import Tensor

from kernels import normal
from kernels.errors import OVERFLOW, ExplodedError

FullNoise = Literal["full", "normal"]
Noise = Literal["rank1", "screened", "directed", FullNoise]
"""Rank-1 signs a_p b_pᵀ (Sarkar et al. 2025), of pair p or of chosen numbers; rank-1 factors that
are told; a sign, or a normal deviate, for every element."""

FULL_NOISES: Final[tuple[FullNoise, ...]] = ("full", "normal")
NOISES: Final[tuple[Noise, ...]] = ("rank1", "screened", "directed", *FULL_NOISES)

ROWS, COLUMNS, FULL = 0, 1, 2  # the `side` word of the Philox counter
NORMAL: Final = 16  # added to it for normal deviates, so that no sign shares their words

WORD: Final = 2**32
MAX_ELEMENTS: Final = 4 * WORD  # element >> 2 is one counter word
MAX_DIGEST_ELEMENTS: Final = WORD  # the index is the high word of what a digest mixes
MAX_COEFFICIENT: Final = 255  # 8 bits: exact even as a bfloat16 input of a matrix product
EXACT_FLOAT32: Final = 2**24  # every integer below it is a float32: sums stay exact in any order
INT32_MAX: Final = 2**31 - 1
DECAY_LOG2: Final = 16  # a decay's share is in units of 2^-16, so that one of a few ‰ has digits
# Rows of signs, and columns of signs, of a tensor that may be chosen from. The best of so many lies
# 4 deviations out; ten times as many would reach 4.5, and take ten times as long to search.
POOL: Final = 2**14
# Told factors are integers in units of 2⁻³: five bits and a sign, so that the sums of 64 pairs stay
# exact, and a root mean square of 8 is the size of a sign.
FACTOR_LOG2: Final = 3
# A step of theirs is in units of 2⁻⁶: few pairs that all go the right way need but short ones.
STEP_LOG2: Final = 6
LARGEST_FACTOR: Final = 31


@dataclass(frozen=True, slots=True)
class Address:
    """Where the noise of one tensor in one generation lies.

    key: the generation's, unsigned 64-bit; tensor: the counter's word for the tensor (`of`)
    raises: ValueError naming the word that does not fit
    """

    key: int
    tensor: int

    def __post_init__(self) -> None:
        """Refuse what the counter cannot hold."""
        if not 0 <= self.key < WORD**2:
            raise ValueError(f"key {self.key} is not an unsigned 64-bit integer")
        if not 0 <= self.tensor < WORD:
            raise ValueError(f"tensor {self.tensor} is not an unsigned 32-bit integer")

    @staticmethod
    def of(key: int, name: str) -> "Address":
        """Return the address of a parameter, by four bytes of its name's SHA-256, little-endian.

        name: the Hugging Face name, so that layout and sharding change nothing

        >>> hex(Address.of(7, "model.layers.0.mlp.up_proj.weight").tensor)
        '0xb16528af'
        """
        return Address(key, int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little"))


@dataclass(frozen=True, slots=True)
class Span:
    """A run of elements of a tensor, as a counter numbers them.

    side: ROWS (output features), COLUMNS (input features) or FULL (row-major index); count: of
        elements from `first` on, which are those of the unfused, unsharded tensor
    raises: ValueError naming what does not fit
    """

    side: int
    count: int
    first: int = 0

    def __post_init__(self) -> None:
        """Refuse what the counter cannot hold."""
        if self.side not in (ROWS, COLUMNS, FULL):
            raise ValueError(f"side {self.side}: choose ROWS, COLUMNS or FULL")
        if self.first < 0 or self.count < 0 or self.first + self.count > MAX_ELEMENTS:
            last = self.first + self.count - 1
            raise ValueError(f"elements {self.first}..{last} leave 0..{MAX_ELEMENTS - 1}")


@dataclass(frozen=True, slots=True, eq=False)
class Frozen:
    """The frozen units of one tensor: which rows and columns may move; None: all may.

    rows: (out,) int8, 1 where the row may move and 0 where it is frozen; columns: (in,) int8
    """

    rows: Tensor | None = None
    columns: Tensor | None = None

    def check_fits(self, tensor: Tensor) -> None:
        """Refuse a tensor of another shape: the wrong units would be frozen.

        raises: ValueError
        """
        sides = ((self.rows, "rows"), (self.columns, "columns"))
        for (mask, side), size in zip(sides, tensor.shape, strict=True):
            if mask is not None and (mask.shape != (size,) or mask.dtype != torch.int8):
                raise ValueError(f"the mask of {side} must be ({size},) int8")

    def zeroed(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Return rank-1 factors with zeros where a unit is frozen.

        rows: (any, out); columns: (any, in)
        """
        if self.rows is not None:
            rows = rows * self.rows.to(rows.device)
        if self.columns is not None:
            columns = columns * self.columns.to(columns.device)
        return rows, columns


NOTHING_FROZEN: Final = Frozen()

# The largest integer of a noise, and the log2 of its unit; of signs 1 and 0.
_LARGEST: Final[Mapping[Noise, int]] = {"normal": normal.LARGEST, "directed": LARGEST_FACTOR**2}
_FRACTIONS_LOG2: Final[Mapping[Noise, int]] = {
    "normal": normal.FRACTION_LOG2,
    "directed": 2 * FACTOR_LOG2 + STEP_LOG2,
}


@dataclass(frozen=True, slots=True)
class MemberNoise:
    """The noise that full-rank members of a generation get in one tensor: ± 2^s · E.

    sigma_log2: s, of this tensor; frozen units receive none
    """

    address: Address
    sigma_log2: int
    kind: FullNoise = "full"
    frozen: Frozen = NOTHING_FROZEN

    @property
    def unit_log2(self) -> int:
        """The log2 of what an integer 1 of the noise moves a weight by."""
        return self.sigma_log2 - _fraction_log2(self.kind)

    def check_fits(self, base: Tensor, members: Sequence[int]) -> None:
        """Refuse what would be other noise than that of these members of this tensor.

        raises: ValueError
        """
        self.frozen.check_fits(base)
        Span(FULL, base.numel())  # refuses what a counter cannot number
        pairs = WORD * (2 if self.kind == "normal" else 32)  # a word of noise serves so many
        if not all(0 <= member < 2 * pairs for member in members):
            raise ValueError(f"members {min(members)}..{max(members)} do not fit the counter")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which signs of the pool screened pairs have in one tensor, one number a pair for each side.

    Pair p has the row signs that rank-1 noise has for pair rows[p], and the column signs of pair
    columns[p]. A number may come twice.

    raises: ValueError for sides of two lengths, or a number outside the pool
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what names no signs."""
        if len(self.rows) != len(self.columns):
            raise ValueError(
                f"{len(self.rows)} rows of signs are chosen, {len(self.columns)} columns"
            )
        check_in_pool((*self.rows, *self.columns))


def check_in_pool(numbers: Sequence[int]) -> None:
    """Refuse numbers of signs outside the pool. Raises: ValueError."""
    if not all(0 <= number < POOL for number in numbers):
        raise ValueError(f"chosen signs have numbers from 0 to {POOL - 1}")


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """The rank-1 factors of directed pairs in one tensor, in units of 2⁻³.

    rows: (pairs, out) int8; columns: (pairs, in) int8; all from −31 to 31
    raises: ValueError for sides of two lengths, of another type, or with larger integers
    """

    rows: Tensor
    columns: Tensor

    def __post_init__(self) -> None:
        """Refuse what could not be exact."""
        for side in (self.rows, self.columns):
            if side.dim() != 2 or side.dtype != torch.int8 or len(side) != len(self.rows):
                raise ValueError("factors are (pairs, units) int8, as many rows as columns")
            if side.numel() and int(side.to(torch.int16).abs().max()) > LARGEST_FACTOR:
                raise ValueError(f"a factor leaves ±{LARGEST_FACTOR}")


@dataclass(frozen=True, slots=True)
class Change:
    """What a generation adds to the integers of one tensor: K += step · Σ_p c_p E_p.

    Normal E_p are integers in units of 2⁻⁵ (kernels.normal), directed ones a_p b_pᵀ of 2⁻⁶, with a
    step of 2⁻⁶: their sum times the step is rounded to an integer, halves away from zero, so that
    −step is still exactly the opposite.

    coefficients: one a pair, at least one, |c_p| ≤ 255; step: signed, negative takes the generation
        out again
    chosen: of screened noise the signs of each pair; factors: of directed noise; else None
    raises: ValueError for coefficients or a step of which a sum could round, or for signs or
        factors that are not told where they must be; ExplodedError for a change of units that
        could leave int32 on its own
    """

    address: Address
    coefficients: tuple[int, ...]
    step: int
    noise: Noise = "rank1"
    frozen: Frozen = NOTHING_FROZEN
    chosen: Chosen | None = None
    factors: Factors | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be exact."""
        pairs = len(self.chosen.rows) if self.chosen else None
        if pairs != (len(self.coefficients) if self.noise == "screened" else None):
            raise ValueError("screened noise, and no other, has chosen signs: as many as pairs")
        pairs = len(self.factors.rows) if self.factors else None
        if pairs != (len(self.coefficients) if self.noise == "directed" else None):
            raise ValueError("directed noise, and no other, has factors: as many as pairs")
        if not self.coefficients:
            raise ValueError("a change has at least one coefficient; 0 is one that moves nothing")
        if any(abs(c) > MAX_COEFFICIENT for c in self.coefficients):
            raise ValueError(f"a coefficient leaves ±{MAX_COEFFICIENT}")
        if self.reach >= EXACT_FLOAT32:
            what = f"{_LARGEST.get(self.noise, 1)} · Σ|c|"
            raise ValueError(f"{what} reaches 2²⁴: a float32 product would round; use fewer pairs")
        if abs(self.step) > INT32_MAX:
            raise ValueError(f"step {self.step} leaves int32")
        half = (1 << self.fraction_log2) >> 1
        largest = (abs(self.step) * self.reach + half) >> self.fraction_log2
        if self.fraction_log2 and largest > INT32_MAX:
            raise ExplodedError(OVERFLOW)

    @property
    def fraction_log2(self) -> int:
        """One integer of the noise is 2^−this."""
        return _fraction_log2(self.noise)

    @property
    def reach(self) -> int:
        """The largest magnitude that a sum of c_p E_p can have, in integers of the noise."""
        return _LARGEST.get(self.noise, 1) * sum(abs(c) for c in self.coefficients)

    def check_fits(self, master: Tensor) -> None:
        """Refuse integers that this is not a change of.

        raises: ValueError
        """
        if master.dtype != torch.int32 or master.dim() != 2 or not master.is_contiguous():
            raise ValueError("the master is a contiguous (out, in) int32 tensor")
        if master.numel() >= MAX_DIGEST_ELEMENTS:
            raise ValueError(f"a master has under {MAX_DIGEST_ELEMENTS} elements")
        self.frozen.check_fits(master)
        factors = self.factors
        if factors and (factors.rows.shape[1], factors.columns.shape[1]) != master.shape:
            raise ValueError(f"the factors are of another tensor than one of {tuple(master.shape)}")

    def taken_out(self) -> "Change":
        """Return what brings the integers back: sums wrap, so it does even after an overflow."""
        return replace(self, step=-self.step)


def most_weight(noise: Noise) -> int:
    """Return how large Σ|c_p| of a change may be.

    >>> most_weight("rank1"), most_weight("normal")
    (16777215, 136400)
    """
    return (EXACT_FLOAT32 - 1) // _LARGEST.get(noise, 1)


def _fraction_log2(noise: Noise) -> int:
    return _FRACTIONS_LOG2.get(noise, 0)
