"""From fitness to the integers of a recipe."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kernels.change import Address, Change, most_weight
from learner.update.strategies import (
    LARGEST,
    UNIT,
    Update,
    centred_ranks,
    es,
    fitted,
    randopt,
    shrunk,
)

FITNESS = st.integers(1, 24).flatmap(
    lambda pairs: arrays(np.float64, 2 * pairs, elements=st.floats(-1e6, 1e6, width=32))
)


@given(FITNESS)
def test_ranks_survive_monotone_maps(fitness: np.ndarray) -> None:
    """Only the order of the members matters."""
    whole = np.round(fitness)  # far enough apart that the map's own rounding joins no two
    assert np.array_equal(centred_ranks(whole), centred_ranks(np.arctan(whole / 1e3) * 7 + 3))


@given(FITNESS)
def test_ranks_sum_to_zero(fitness: np.ndarray) -> None:
    """Ranks are centred and bounded."""
    ranks = centred_ranks(fitness)
    assert ranks.sum() == pytest.approx(0, abs=1e-9)
    assert np.abs(ranks).max() <= 0.5


@given(FITNESS)
def test_swapping_every_pair_turns_the_update_round(fitness: np.ndarray) -> None:
    """Antithetic members: exchanging + and − changes the sign of every coefficient."""
    swapped = fitness.reshape(-1, 2)[:, ::-1].ravel()
    ours, theirs = (es(f, step=1.5, sigma_log2=-4, quantum_log2=-18) for f in (fitness, swapped))
    assert [-c for c in ours.coefficients] == list(theirs.coefficients)
    assert ours.step == theirs.step


@given(FITNESS)
def test_coefficients_stay_in_range(fitness: np.ndarray) -> None:
    """Every coefficient fits a recipe, and their root mean square is the unit."""
    update = es(fitness, step=1.5, sigma_log2=-4, quantum_log2=-18)
    assert max(abs(c) for c in update.coefficients) <= LARGEST
    if any(update.coefficients) and max(abs(c) for c in update.coefficients) < LARGEST:
        size = np.sqrt(np.mean(np.square(update.coefficients)))
        assert size == pytest.approx(UNIT, rel=0.02)


def test_members_that_do_not_differ_move_nothing() -> None:
    """Equal fitness is no direction."""
    for update in (
        es(np.ones(8), step=1.5, sigma_log2=-4, quantum_log2=-18),
        randopt(np.ones(8), top_k=2, sigma_log2=-4, quantum_log2=-18),
    ):
        assert not any(update.coefficients)


def test_the_step_is_the_settings_step() -> None:
    """u · 64 quanta are step · σ / pairs; and at least one quantum."""
    update = es(np.arange(16.0), step=1.5, sigma_log2=-4, quantum_log2=-18)
    assert update.step == round(1.5 * 2**14 / (8 * 64))
    tiny = es(np.arange(16.0), step=1e-9, sigma_log2=-4, quantum_log2=-18)
    assert tiny.step == 1


def test_randopt_folds_the_best_members() -> None:
    """The best K members are averaged; both of a pair cancel."""
    fitness = np.array([9.0, 0, 1, 8, 7, 7.5, 0, 0])
    update = randopt(fitness, top_k=4, sigma_log2=-4, quantum_log2=-18)
    assert update.coefficients == (UNIT, -UNIT, 0, 0)
    assert update.step == round(2**14 / (4 * 64))


@given(st.integers(1, 10_000), st.floats(0), st.floats(1e-6, 1.0))
def test_a_shrinking_step_ends_and_never_by_a_leap(step: int, moved: float, budget: float) -> None:
    """Each try is smaller, at least half as large, and the last moves nothing."""
    tries = [step]
    while tries[-1] > 0:
        tries.append(shrunk(tries[-1], moved, budget))
        assert tries[-2] // 2 <= tries[-1] < tries[-2]
    assert tries[-1] == 0


def test_a_shrunk_step_meets_the_budget_when_kl_is_quadratic() -> None:
    """One try more is enough where KL grows with the square of the step, up to four times it."""
    for step, times in itertools.product((48, 64, 500), (1.05, 1.5, 2.0, 3.5)):
        smaller = shrunk(step, 0.05 * times, 0.05)
        assert 0.05 * times * (smaller / step) ** 2 <= 0.05


def test_a_step_is_no_longer_than_its_goal_asks_for() -> None:
    """Half the goal, half the step; past what the settings allow the goal changes nothing."""
    fitness = np.arange(16.0)
    whole = es(fitness, step=1.5, sigma_log2=-4, quantum_log2=-18)
    # every pair differs by 1, so a step of 1 is foreseen to gain half a unit, with all c at 64
    half = es(fitness, step=1.5, goal=0.75 / 2, sigma_log2=-4, quantum_log2=-18)
    assert half.coefficients == whole.coefficients
    assert half.step == pytest.approx(whole.step / 2, abs=1)
    assert es(fitness, step=1.5, goal=99.0, sigma_log2=-4, quantum_log2=-18) == whole


def test_nothing_to_gain_is_no_step() -> None:
    """What ranks alone never do: the step shrinks to nothing."""
    assert es(np.arange(16.0), step=1.5, goal=0.0, sigma_log2=-4, quantum_log2=-18).step == 0


@pytest.mark.parametrize("pairs", [2000, 2700, 4096])
def test_many_pairs_of_normal_noise_fit_a_sum(pairs: int) -> None:
    """Coefficients shrink as far as sums stay exact, and the step grows; fewer stay."""
    fitness = np.random.default_rng(0).normal(size=2 * pairs)
    update = es(fitness, step=6.0 * pairs, sigma_log2=-4, quantum_log2=-18)
    fit = fitted(update, most_weight("normal"))
    Change(Address(0, 0), fit.coefficients, fit.step, "normal")
    if pairs == 2000:
        assert fit == update
        return
    ours, theirs = (each.step * np.asarray(each.coefficients) for each in (fit, update))
    assert np.abs(ours - theirs).max() < 2 * fit.step  # they are rounded, and so is the step
    assert sum(map(abs, fit.coefficients)) > 0.95 * most_weight("normal")


@given(st.lists(st.integers(-255, 255), min_size=1), st.integers(0, 2**20), st.integers(1, 2000))
def test_what_is_fitted_keeps_its_signs_and_its_bound(
    coefficients: list[int], step: int, most: int
) -> None:
    """No coefficient changes its side, and they weigh no more than they may."""
    fit = fitted(Update(tuple(coefficients), step), most)
    assert sum(map(abs, fit.coefficients)) <= most
    assert all(a * b >= 0 for a, b in zip(fit.coefficients, coefficients, strict=True))
