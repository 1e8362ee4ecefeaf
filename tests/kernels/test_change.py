"""Values that exist are in range: what could round or wrap is refused when it is made."""

from collections.abc import Callable

import pytest
import torch

from kernels.change import (
    Address,
    Change,
    Chosen,
    Factors,
    FullNoise,
    MemberNoise,
    Noise,
    Span,
    most_weight,
)
from kernels.errors import ExplodedError


@pytest.mark.parametrize(
    ("coefficients", "step", "message"),
    [
        ((), 1, "at least one"),
        ((256,), 1, "255"),
        ((255,) * 65794, 1, "2²⁴"),
        ((1,), 2**31, "int32"),
    ],
)
def test_a_change_that_could_round_is_refused(
    coefficients: tuple[int, ...], step: int, message: str
) -> None:
    """Too large coefficients, sums or steps are refused before anything moves."""
    with pytest.raises(ValueError, match=message):
        Change(Address(0, 0), coefficients, step)


def test_a_normal_change_counts_what_a_deviate_can_be() -> None:
    """Fewer pairs of normal noise fit a sum, and a step that could leave int32 alone is refused."""
    Change(Address(0, 0), (255,) * 534, 1, "normal")
    with pytest.raises(ValueError, match=r"123 · .* reaches 2²⁴"):
        Change(Address(0, 0), (255,) * 535, 1, "normal")
    with pytest.raises(ExplodedError, match="int32"):
        Change(Address(0, 0), (255,) * 534, 2**13, "normal")


@pytest.mark.parametrize(
    ("noise", "chosen"), [("screened", None), ("screened", (1, 2)), ("rank1", (1,)), ("full", (1,))]
)
def test_signs_are_chosen_of_screened_noise_alone(
    noise: Noise, chosen: tuple[int, ...] | None
) -> None:
    """A change without signs that it needs, or with signs that it would not read, is refused."""
    signs = Chosen(chosen, chosen) if chosen else None
    with pytest.raises(ValueError, match="as many as pairs"):
        Change(Address(0, 0), (1,), 1, noise, chosen=signs)


@pytest.mark.parametrize(("noise", "pairs"), [("directed", 0), ("directed", 2), ("rank1", 1)])
def test_factors_are_told_of_directed_noise_alone(noise: Noise, pairs: int) -> None:
    """A change without factors that it needs, or with some that it would not read, is refused."""
    one = torch.ones(pairs, 3, dtype=torch.int8)
    factors = Factors(one, one) if pairs else None
    with pytest.raises(ValueError, match="as many as pairs"):
        Change(Address(0, 0), (1,), 1, noise, factors=factors)


def test_factors_that_could_round_are_refused() -> None:
    """They are small integers, of as many rows as columns, and so few that sums stay exact."""
    good = torch.full((1, 3), -31, dtype=torch.int8)
    for bad in (good.int(), good[0], good - 1, good.repeat(2, 1)):
        with pytest.raises(ValueError, match=r"int8|±31"):
            Factors(good, bad)
    told = Factors(good.repeat(69, 1), good.repeat(69, 1))
    with pytest.raises(ValueError, match=r"961 · .* reaches 2²⁴"):
        Change(Address(0, 0), (255,) * 69, 1, "directed", factors=told)
    few = Factors(good, good)
    with pytest.raises(ExplodedError, match="int32"):
        Change(Address(0, 0), (255,), 2**27, "directed", factors=few)


def test_a_product_that_rounds_up_out_of_int32_is_refused() -> None:
    """A step that is half a unit short of 2³¹ at the largest sum is told from one that is less."""
    one = torch.full((1, 1), 31, dtype=torch.int8)
    factors, unit = Factors(one, one), 2**12
    found = []
    for weight in range(1, 256):
        step = -(-(2**31 * unit - unit // 2) // (961 * weight))
        if step < 2**31 and step * 961 * weight < 2**31 * unit:
            found.append((weight, step))
    assert found
    for weight, step in found:
        Change(Address(0, 0), (weight,), step - 1, "directed", factors=factors)
        with pytest.raises(ExplodedError, match="int32"):
            Change(Address(0, 0), (weight,), step, "directed", factors=factors)


@pytest.mark.parametrize("noise", ["rank1", "full", "normal"])
def test_the_largest_weight_of_a_change_is_told(noise: Noise) -> None:
    """Coefficients of so much are taken, and of one more are not."""
    whole = (255,) * (most_weight(noise) // 255)
    rest = most_weight(noise) - sum(whole)
    Change(Address(0, 0), (*whole, rest), 1, noise)
    with pytest.raises(ValueError, match="2²⁴"):
        Change(Address(0, 0), (*whole, rest, 1), 1, noise)


def test_signs_outside_the_pool_cannot_be_chosen() -> None:
    """A number is of the pool, on both sides, and each pair has two."""
    for rows, columns in (((0,), (2**14,)), ((-1,), (0,)), ((0, 1), (0,))):
        with pytest.raises(ValueError, match=r"numbers from 0|are chosen"):
            Chosen(rows, columns)


@pytest.mark.parametrize(
    "master",
    [
        torch.zeros(2, 2),
        torch.zeros(4, dtype=torch.int32),
        torch.zeros(4, 4, dtype=torch.int32)[:, ::2],
    ],
    ids=["floats", "flat", "strided"],
)
def test_a_change_fits_a_contiguous_matrix_of_int32(master: torch.Tensor) -> None:
    """Loops over memory would take any other tensor for something else."""
    with pytest.raises(ValueError, match="int32"):
        Change(Address(0, 0), (1,), 1).check_fits(master)


@pytest.mark.parametrize(("kind", "member"), [("full", -1), ("full", 2**38), ("normal", 2**34)])
def test_a_member_outside_the_counter_is_refused(kind: FullNoise, member: int) -> None:
    """A number that would wrap gives an error, never another member's noise."""
    noise = MemberNoise(Address(0, 0), 0, kind)
    noise.check_fits(torch.zeros(2, 2), [0, max(0, member - 1)])
    with pytest.raises(ValueError, match="members"):
        noise.check_fits(torch.zeros(2, 2), [0, member])


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Address(2**64, 0), "key"),
        (lambda: Address(-1, 0), "key"),
        (lambda: Address(0, 2**32), "tensor"),
        (lambda: Span(3, 1), "side"),
        (lambda: Span(0, 1, -1), "elements"),
        (lambda: Span(0, 1, 2**34), "elements"),
    ],
)
def test_an_address_outside_the_counter_is_refused(make: Callable[[], object], named: str) -> None:
    """A word that does not fit is an error that names it, never a silent wrap."""
    with pytest.raises(ValueError, match=named):
        make()
