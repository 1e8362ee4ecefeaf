"""Searched signs: their effect is foreseen, the same every time, and none lies in a frozen unit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kernels.change import Address, Chosen, Frozen
from kernels.contract import Backend
from learner.batch.lesson import Lesson
from learner.fitness import fitness
from learner.fitness.evaluate import LocalEvaluator, perturb
from learner.fitness.reference import Reference, refer
from learner.population.noise import Addresses, Perturbation
from learner.population.screen import screen
from learner.population.slopes import slopes_of_weights
from learner.serving import Serving
from learner.settings import LearnerSettings

KEY = 0xABCDEF
SETTINGS = LearnerSettings(last_layers=2, pairs=12, noise="screened", sigma_log2=-10)
LESSONS = [
    Lesson("a", 0.5, 0, 0.9, (1, 20, 30), (40, 41), (-5.0, -6.0), target=(50, 51, 2),
           teacher=(-0.5, -0.25, -0.5)),
    Lesson("b", 0.5, -1, 0.9, (1, 20, 31, 32), (42, 43), (-5.0, -4.0)),
]  # fmt: skip


def go_on() -> None:
    """Never pause."""


@pytest.fixture
def reference(serving: Serving, backend: Backend) -> Reference:
    """The tiny base on two lessons, one with a rewrite and one with a score."""
    return refer(serving, LESSONS, SETTINGS, backend=backend, pause=go_on)


def perturbed(reference: Reference, backend: Backend, key: int = KEY) -> Perturbation:
    """Return what the generation perturbs."""
    return perturb(reference.parent, SETTINGS, key, backend=backend)


def searched(reference: Reference, perturbation: Perturbation) -> Addresses:
    """Search on the reference."""
    pulls = reference.pulls(pause=go_on)
    return screen(reference.parent.decoder, pulls, perturbation, pause=go_on)


def foreseen(reference: Reference, perturbation: Perturbation, addresses: Addresses) -> list[float]:
    """Return 2 σ aᵀ S b of each pair: by how much its + is fitter than its −."""
    sums: dict[str, torch.Tensor] = {}
    for pull in reference.pulls(pause=go_on):
        for name, total in slopes_of_weights(reference.parent.decoder, pull, perturbation).items():
            sums[name] = sums.get(name, 0) + total
    found = []
    for pair, tensor in enumerate(addresses.tensors):
        spec = perturbation.specs[tensor]
        rows, columns = perturbation.backend.chosen_factors(
            Address.of(perturbation.key, spec.name), spec.shape, addresses.of([pair]),
            frozen=perturbation.frozen[spec.name],
        )  # fmt: skip
        slope = rows[0].float() @ sums[spec.name] @ columns[0].float()
        found.append(float(slope) * 2.0 ** (perturbation.sigma_of[spec.name] + 1))
    return found


def test_what_members_measure_is_foreseen(reference: Reference, backend: Backend) -> None:
    """For small σ the pairs differ by what the closed form says, frozen units and all."""
    perturbation = perturbed(reference, backend)
    addresses = searched(reference, perturbation)
    evaluator = LocalEvaluator(backend, SETTINGS)
    table = evaluator.evaluate(reference, KEY, range(12), pause=go_on, where=addresses)
    members = fitness.combined(reference.lessons, table)
    measured, told = members[0::2] - members[1::2], foreseen(reference, perturbation, addresses)
    assert np.abs(measured).max() > 1e-3
    np.testing.assert_allclose(measured, told, rtol=0.05, atol=float(np.abs(told).max()) * 0.02)


def test_chosen_signs_lie_along_the_slope_as_others_do_not(
    reference: Reference, backend: Backend
) -> None:
    """A chosen pair foresees several times what a pair of plain rank-1 noise does."""
    perturbation = perturbed(reference, backend)
    addresses = searched(reference, perturbation)
    numbers = tuple(range(12))
    plain = Addresses(addresses.tensors, numbers, numbers)
    best, others = (np.abs(foreseen(reference, perturbation, a)) for a in (addresses, plain))
    assert best.mean() > 4 * others.mean()


def test_the_same_plan_searches_the_same_signs(reference: Reference, backend: Backend) -> None:
    """The key is all the chance there is: a crash repeats the search to the same numbers."""
    perturbation = perturbed(reference, backend)
    assert searched(reference, perturbation) == searched(reference, perturbation)
    assert searched(reference, perturbation) != searched(
        reference, perturbed(reference, backend, 5)
    )


def test_every_pair_moves_the_last_mlp(reference: Reference, backend: Backend) -> None:
    """As many pairs as were asked for, all in tensors that have a closed form."""
    perturbation = perturbed(reference, backend)
    addresses = searched(reference, perturbation)
    assert len(addresses.tensors) == len(addresses.rows) == len(addresses.columns) == 12
    for tensor in addresses.tensors:
        assert perturbation.specs[tensor].layer == 3
        assert "mlp" in perturbation.specs[tensor].name


def test_a_frozen_unit_has_no_slope(reference: Reference, backend: Backend) -> None:
    """Nothing is searched along what may not move."""
    perturbation = perturbed(reference, backend)
    spec = next(s for s in perturbation.specs if (s.layer, s.module) == (3, "up_proj"))
    moves = torch.zeros(spec.shape[0], dtype=torch.int8)
    moves[3] = 1
    only = replace(perturbation, frozen={**perturbation.frozen, spec.name: Frozen(rows=moves)})
    (pull,) = reference.pulls(pause=go_on)
    total = slopes_of_weights(reference.parent.decoder, pull, only)[spec.name]
    assert bool(total[3].any())
    assert not bool(total[moves == 0].any())


def test_without_a_slope_the_noise_is_plain(reference: Reference, backend: Backend) -> None:
    """Where nothing is to be gained, the pairs are those of rank-1 noise, and all are there."""
    flat = replace(reference, lessons=tuple(replace(x, weight=0.0) for x in reference.lessons))
    addresses = searched(flat, perturbed(flat, backend))
    assert addresses.rows == addresses.columns == tuple(range(12))


def test_nothing_to_search_in_is_refused(reference: Reference, backend: Backend) -> None:
    """Layers below have no closed form."""
    perturbation = perturbed(reference, backend)
    below = [spec for spec in perturbation.specs if spec.layer == 2]
    with pytest.raises(ValueError, match="last block's MLP"):
        searched(reference, replace(perturbation, specs=below, sigmas_log2=[-4] * len(below)))


def test_the_addresses_of_some_pairs_are_theirs() -> None:
    """A tensor is handed the signs of its own pairs, in order."""
    assert Addresses((4, 5, 4), (1, 2, 3), (7, 8, 9)).of([0, 2]) == Chosen((1, 3), (7, 9))
