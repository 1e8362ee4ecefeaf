"""What a recipe says of one tensor, as the change that a backend adds.

Turns a recipe's numbers and a tensor's place in its layout into a kernels.change.Change. Knows
nothing of integers, digests or how recipes are written down.
"""

from typing import Protocol

import torch

from kernels.change import Address, Change, Chosen, Factors, Frozen, Noise
from kernels.version import digits
from kernels.version.layout import TensorSpec


class Recipe(Protocol):
    """The part of a recipe that the arithmetic needs (streams.records.Recipe has it)."""

    @property
    def noise(self) -> Noise:
        """Which noise the coefficients weigh."""

    @property
    def key(self) -> str:
        """The generation's 64-bit key, 16 hex digits."""

    @property
    def coefficients(self) -> list[int]:
        """One integer a pair."""

    @property
    def tensors(self) -> list[int]:
        """Of screened noise: the tensor that each pair moves, by its place in the layout."""

    @property
    def rows(self) -> list[int]:
        """Of screened noise: the number of each pair's row signs (kernels.change.Chosen)."""

    @property
    def columns(self) -> list[int]:
        """Of screened noise: the number of each pair's column signs."""

    @property
    def left(self) -> list[str]:
        """Of directed noise: each pair's factor of rows (kernels.version.digits)."""

    @property
    def right(self) -> list[str]:
        """Of directed noise: each pair's factor of columns."""

    @property
    def step(self) -> int:
        """u of K += u · Σ c a bᵀ."""

    @property
    def decay(self) -> int:
        """Share, of 2¹⁶, that its tensors' K loses before the step is added; 0: none."""

    @property
    def layers(self) -> list[int]:
        """Layers that moved."""

    @property
    def modules(self) -> list[str]:
        """Modules that moved."""

    @property
    def scales(self) -> list[int]:
        """log2 of each tensor's RMS, in the layout's order."""

    @property
    def digest(self) -> str:
        """Digest of the child's integers."""


def change_of(recipe: Recipe, spec: TensorSpec, *, sign: int, frozen: Frozen) -> Change:
    """Return what a recipe does to one tensor.

    sign: 1 to add it, −1 to take it out again
    raises: as Change
    """
    coefficients, chosen, factors = tuple(recipe.coefficients), None, None
    if recipe.noise in ("screened", "directed"):
        own = _pairs_of(spec, recipe)
        coefficients = tuple(recipe.coefficients[pair] for pair in own) or (0,)
        if recipe.noise == "screened":
            chosen = _signs(recipe, own)
        else:
            factors = _factors(recipe, own, spec)
    return Change(
        Address.of(int(recipe.key, 16), spec.name),
        coefficients,
        sign * recipe.step,
        recipe.noise,
        frozen,
        chosen,
        factors,
    )


def _pairs_of(spec: TensorSpec, recipe: Recipe) -> list[int]:
    """Return the pairs that move one tensor, of noise that moves one with each."""
    place = recipe.layers.index(spec.layer) * len(recipe.modules)
    place += recipe.modules.index(spec.module)
    return [pair for pair, tensor in enumerate(recipe.tensors) if tensor == place]


# Where no pair moves a tensor, one of no weight does: a backend need not know of none.


def _signs(recipe: Recipe, own: list[int]) -> Chosen:
    if not own:
        return Chosen((0,), (0,))
    rows, columns = (tuple(of_all[p] for p in own) for of_all in (recipe.rows, recipe.columns))
    return Chosen(rows, columns)


def _factors(recipe: Recipe, own: list[int], spec: TensorSpec) -> Factors:
    if not own:
        rows, columns = (torch.zeros(1, size, dtype=torch.int8) for size in spec.shape)
        return Factors(rows, columns)
    return Factors(*(digits.read(of_all[p] for p in own) for of_all in (recipe.left, recipe.right)))
