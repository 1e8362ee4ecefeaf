"""What every evaluator guarantees: a range of pairs is the rows of the whole, to the bit."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from kernels.contract import Backend
from kernels.version import digits
from learner.batch.lesson import Lesson
from learner.fitness.evaluate import LocalEvaluator
from learner.fitness.fitness import Floats
from learner.fitness.reference import Reference, refer
from learner.population import members
from learner.population.noise import Addresses, Lines, Where
from learner.population.noises.open import NOISES
from learner.serving import Serving
from learner.settings import LearnerSettings
from streams.records import Noise

PAIRS = 7
KEY = 0xABCDEF
LESSONS = [
    Lesson("a", 0.5, 0, 0.9, (1, 20, 30), (40, 41), (-5.0, -6.0), target=(50, 51, 2),
           teacher=(-0.5, -0.25, -0.5)),
    Lesson("b", 0.5, -1, 0.9, (1, 20, 31, 32), (42, 43), (-5.0, -4.0)),
]  # fmt: skip


def settings(noise: Noise) -> LearnerSettings:
    """Return the settings of a small generation."""
    return LearnerSettings(last_layers=2, pairs=PAIRS, noise=noise)


def go_on() -> None:
    """Never pause."""


@pytest.fixture(params=NOISES)
def evaluator(request: pytest.FixtureRequest, backend: Backend) -> LocalEvaluator:
    """The local evaluator, with each kind of noise."""
    return LocalEvaluator(backend, settings(request.param))


@pytest.fixture
def reference(serving: Serving, backend: Backend, evaluator: LocalEvaluator) -> Reference:
    """The tiny base on two lessons."""
    return refer(serving, LESSONS, evaluator.settings, backend=backend, pause=go_on)


def table(evaluator: LocalEvaluator, reference: Reference, pairs: range) -> Floats:
    """Evaluate a range."""
    tensors = tuple(place % len(reference.parent.specs) for place in range(PAIRS))
    numbers = tuple(range(PAIRS))
    noise = evaluator.settings.noise
    where: Where | None = None
    if noise == "screened":
        where = Addresses(tensors, numbers, numbers)
    elif noise == "directed":
        draw = torch.Generator().manual_seed(1)
        shapes = [reference.parent.specs[tensor].shape for tensor in tensors]
        left, right = (
            tuple(
                digits.write(torch.randint(-31, 32, (1, s[side]), generator=draw))[0]
                for s in shapes
            )
            for side in (0, 1)
        )
        where = Lines(tensors, left, right)
    return evaluator.evaluate(reference, KEY, pairs, pause=go_on, where=where)


# Of members that are computed beside each other: one; an odd number, so that pieces cut pairs; two
# pieces; all.
@pytest.mark.parametrize("at_once", [1, 3, 8, 100])
@examples(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.sets(st.integers(1, PAIRS - 1)))
def test_parts_stand_side_by_side_to_the_whole(
    evaluator: LocalEvaluator, reference: Reference, at_once: int, cuts: set[int]
) -> None:
    """However a generation's pairs are shared out, the tables together are the same bits."""
    with pytest.MonkeyPatch.context() as patch:
        tokens = reference.trunk.hidden.shape[1]
        patch.setattr(members, "PIECE_TOKENS", at_once * tokens)
        whole = table(evaluator, reference, range(PAIRS))
        ends = [0, *sorted(cuts), PAIRS]
        parts = [table(evaluator, reference, range(first, end)) for first, end in pairwise(ends)]
    assert whole.shape == (len(LESSONS), 2 * PAIRS)
    assert np.concatenate(parts, axis=1).tobytes() == whole.tobytes()


def test_pairs_differ_and_are_antithetic_about_the_parent(
    evaluator: LocalEvaluator, reference: Reference
) -> None:
    """Each pair goes two ways from the parent, and no two pairs the same way."""
    found = table(evaluator, reference, range(PAIRS))
    assert len({column.tobytes() for column in found.T}) == 2 * PAIRS


@pytest.mark.parametrize("pairs", [range(3, 3), range(PAIRS + 1), range(0, 4, 2), range(-1, 2)])
def test_pairs_that_the_generation_does_not_have_are_refused(
    evaluator: LocalEvaluator, reference: Reference, pairs: range
) -> None:
    """A range that is wrong is no table of something else."""
    with pytest.raises(ValueError, match="no range of the generation's 7 pairs"):
        table(evaluator, reference, pairs)


@pytest.mark.parametrize("noise", ["screened", "directed"])
def test_searched_noise_that_was_not_searched_is_refused(
    serving: Serving, backend: Backend, noise: Noise
) -> None:
    """Where the pairs lie is part of the work that is handed out, never searched again."""
    screened = LocalEvaluator(backend, settings(noise))
    reference = refer(serving, LESSONS, screened.settings, backend=backend, pause=go_on)
    with pytest.raises(ValueError, match="what the search has found"):
        screened.evaluate(reference, KEY, range(PAIRS), pause=go_on)
