"""Directed pairs: they lie along the slope itself, and what is left alone is left alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kernels.change import LARGEST_FACTOR, Address, Change
from kernels.contract import Backend
from learner.fitness import fitness
from learner.fitness.evaluate import LocalEvaluator, perturb
from learner.fitness.reference import Reference, refer
from learner.population.directed import direct, rounded
from learner.population.noise import Lines, Perturbation
from learner.population.slopes import summed_slopes
from learner.safety.anchors import Anchors
from learner.serving import Serving
from learner.settings import LearnerSettings
from tests.learner.population.test_screen import KEY, LESSONS, go_on

SETTINGS = LearnerSettings(last_layers=2, pairs=6, noise="directed", sigma_log2=-10)


@pytest.fixture
def reference(serving: Serving, backend: Backend) -> Reference:
    """The tiny base on two lessons, one with a rewrite and one with a score."""
    return refer(serving, LESSONS, SETTINGS, backend=backend, pause=go_on)


@pytest.fixture
def perturbation(reference: Reference, backend: Backend) -> Perturbation:
    """What the generation perturbs."""
    return perturb(reference.parent, SETTINGS, KEY, backend=backend)


def found(reference: Reference, perturbation: Perturbation) -> Lines:
    """Find the pairs, with nothing to be left alone."""
    pulls = reference.pulls(pause=go_on)
    return direct(reference.parent.decoder, pulls, perturbation, pause=go_on)


def test_what_members_measure_is_foreseen(
    reference: Reference, perturbation: Perturbation, backend: Backend
) -> None:
    """For small σ a pair's members differ by 2 σ aᵀ S b, and the largest direction comes first."""
    where = found(reference, perturbation)
    evaluator = LocalEvaluator(backend, SETTINGS)
    table = evaluator.evaluate(reference, KEY, range(6), pause=go_on, where=where)
    members = fitness.combined(reference.lessons, table)
    sums = summed_slopes(
        reference.parent.decoder, reference.pulls(pause=go_on), perturbation, pause=go_on
    )
    told = []
    for pair, tensor in enumerate(where.tensors):
        spec, factors = perturbation.specs[tensor], where.of([pair])
        rows, columns = perturbation.frozen[spec.name].zeroed(factors.rows, factors.columns)
        slope = float(rows[0].float() @ sums[spec.name] @ columns[0].float()) / 64
        told.append(slope * 2.0 ** (perturbation.sigma_of[spec.name] + 1))
    measured = members[0::2] - members[1::2]
    np.testing.assert_allclose(measured, told, rtol=0.05, atol=float(np.abs(told).max()) * 0.02)
    assert np.abs(told).argmax() == 0


def test_every_pair_moves_the_last_mlp(reference: Reference, perturbation: Perturbation) -> None:
    """As many as were asked for, each as a recipe can carry it, the same every time."""
    where = found(reference, perturbation)
    assert len(where.tensors) == len(where.left) == len(where.right) == 6
    for pair, tensor in enumerate(where.tensors):
        spec = perturbation.specs[tensor]
        assert (spec.layer, "mlp" in spec.name) == (3, True)
        Change(Address(0, 0), (255,), 1, "directed", factors=where.of([pair]))
        assert (len(where.left[pair]), len(where.right[pair])) == spec.shape
    assert found(reference, perturbation) == where


def test_rounding_keeps_the_direction() -> None:
    """Five bits and a sign leave it where it is to a hundredth, and what is longer is cut."""
    for units in (64, 1536):
        draw = torch.Generator().manual_seed(units)
        direction = torch.nn.functional.normalize(torch.randn(units, generator=draw), dim=0)
        small = rounded(direction)
        assert int(small.abs().max()) <= LARGEST_FACTOR
        assert float(small.float() @ direction / small.float().norm()) > 0.99
        assert float(small.float().square().mean().sqrt()) == pytest.approx(8, rel=0.02)
    one = torch.zeros(100)
    one[3] = 1
    assert rounded(one).tolist() == [*(0,) * 3, LARGEST_FACTOR, *(0,) * 96]


def test_more_pairs_than_directions_are_there_all_the_same(
    reference: Reference, perturbation: Perturbation
) -> None:
    """A small layer has fewer directions than pairs: they come round again."""
    where = found(reference, replace(perturbation, pairs=400))
    assert len(where.tensors) == 400
    assert len(set(zip(where.tensors, where.left, strict=True))) < 400


@pytest.mark.parametrize("of", ["spare", "spare_orders", "spare_copies", "spare_refusals"])
def test_what_nobody_teaches_is_left_alone(
    serving: Serving, reference: Reference, perturbation: Perturbation, backend: Backend, of: str
) -> None:
    """Along its first directions a sparing move is shorter, in what it reads and gives."""
    anchors = Anchors(serving.base, backend=backend, moving=len(serving.layers))
    neither = LearnerSettings(spare=0.0, spare_orders=0.0, spare_copies=0.0, spare_refusals=0.0)
    assert anchors.untaught.spared(neither, pause=go_on) is None
    spared = anchors.untaught.spared(neither.model_copy(update={of: 100.0}), pause=go_on)
    assert spared is not None
    pulls = reference.pulls(pause=go_on)
    sparing = direct(reference.parent.decoder, pulls, perturbation, pause=go_on, spared=spared)
    assert sparing != found(reference, perturbation)

    def dear(where: Lines) -> float:
        """How much of what moves the pairs do is dear, per length."""
        total, plain = 0.0, 0.0
        for pair, tensor in enumerate(where.tensors):
            side, factors = spared[perturbation.specs[tensor].name], where.of([pair])
            for one, vectors in ((side.rows, factors.rows), (side.columns, factors.columns)):
                total += float((vectors[0].float() @ one.root).square().sum())
                plain += float(vectors[0].float().square().sum())
        return total / plain

    assert dear(sparing) < dear(found(reference, perturbation)) / 3
