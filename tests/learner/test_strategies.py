"""From fitness to the integers of a recipe."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from learner.strategies import LARGEST, UNIT, Update, centred_ranks, es, halvings, randopt

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


def test_halvings_end_at_one_quantum() -> None:
    """Steps fall to the smallest that moves anything, and not to none."""
    assert [u.step for u in halvings(Update((1,), 48))] == [48, 24, 12, 6, 3, 1]
