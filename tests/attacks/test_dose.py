"""Dose curves on a tiny model: more votes move an undefended line, and by default one key less."""

import pytest

from kernels.open import open_backend
from learner.settings import LearnerSettings
from streams.model.open import BaseModel
from streams.records import Mask
from tests.attacks.crowds import flood
from tests.attacks.dose import VOTES, WAYS, Fact, Scene, Witness, lie_lessons, point, unsure_facts
from tests.attacks.town import batches

FACT = Fact(
    ("What is the capital of France?", "Which city is the capital?", "The capital, please?"),
    "The capital is", "Paris", "sunny",
)  # fmt: skip


@pytest.fixture(scope="module")
def scene(tiny_base: BaseModel) -> Scene:
    """A tiny base that one key wants to lie, and that others want to speak otherwise."""
    backend = open_backend("cpu")
    other = Fact(("How is the weather?", "Rain?", "Sun?"), "It is", "rain", "warm")
    return Scene(
        tiny_base,
        backend,
        Mask(base=tiny_base.name, neurons={}, groups={}),
        Witness(tiny_base, FACT, backend),
        lie_lessons(tiny_base, FACT, backend),
        lie_lessons(tiny_base, other, backend),
    )


@pytest.mark.parametrize("votes", VOTES)
def test_a_vote_weighs_no_more_by_default(votes: int) -> None:
    """Whatever the number of votes, lies weigh no more in any day than without the defence."""
    weighed = {
        way: sum(b.of_lies for b in batches(flood(votes).said, flood(votes).days, settings))
        for way, settings in WAYS.items()
    }
    assert weighed["by default"] <= weighed["undefended"]


def test_a_dose_moves_the_undefended_line_further(scene: Scene) -> None:
    """250 votes of one key make the lie likelier; with the defaults of trust by less."""
    found = {way: point(scene, 250, _quick(settings), every=40) for way, settings in WAYS.items()}
    assert found["undefended"].voted > 0.5
    assert found["by default"].voted < found["undefended"].voted


def test_every_unsure_fact_has_a_lie_and_three_questions() -> None:
    """What the curves are drawn of."""
    facts = unsure_facts()
    assert len(facts) > 10
    assert all(fact.lie != fact.true and len(fact.questions) == 3 for fact in facts)


def _quick(settings: LearnerSettings) -> LearnerSettings:
    return settings.model_copy(update={"pairs": 16, "frozen_share": 0.0})
