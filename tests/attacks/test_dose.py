"""Dose curves on a tiny model: votes move an undefended line, and weigh nothing by default."""

from dataclasses import replace

import pytest

from kernels.open import open_backend
from learner.batch.lesson import Lesson
from streams.model.open import BaseModel
from streams.records import Mask
from tests.attacks.crowds import flood
from tests.attacks.dose import VOTES, WAYS, Fact, Scene, Witness, lie_lessons, point, unsure_facts
from tests.attacks.town import batches

QUICK = WAYS["undefended"].model_copy(update={"pairs": 16, "noise": "rank1"})
FACT = Fact(
    ("What is the capital of France?", "Which city is the capital?", "The capital, please?"),
    "The capital is", "Paris", "sunny",
)  # fmt: skip


def _sure(lessons: list[Lesson]) -> list[Lesson]:
    """Let the teacher be certain: a model of noise does not understand a hint."""
    return [replace(lesson, teacher=(0.0,) * len(lesson.target)) for lesson in lessons]


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
        _sure(lie_lessons(tiny_base, FACT, backend)),
        _sure(lie_lessons(tiny_base, other, backend)),
    )


@pytest.mark.parametrize("votes", VOTES)
def test_a_vote_weighs_nothing_by_default(votes: int) -> None:
    """Whatever the number of votes; without the defence they do."""
    weighed = {
        way: sum(b.of_lies for b in batches(flood(votes).said, flood(votes).days, settings))
        for way, settings in WAYS.items()
    }
    assert weighed["by default"] == 0 < weighed["undefended"]


def test_a_dose_moves_the_line(scene: Scene) -> None:
    """Votes of one key make the lie likelier, more so with more of them, where nothing defends."""
    some, many = (point(scene, votes, QUICK, every=40) for votes in (10, 250))
    assert many.voted > 0.5
    assert some.voted < many.voted
    assert 0 < some.weight < many.weight <= 1
    assert 0 < some.influence < many.influence <= 1


def test_a_dose_leaves_the_line_where_it_is_by_default(scene: Scene) -> None:
    """What the others teach is learned; the lie has no part in it."""
    settings = WAYS["by default"].model_copy(update={"pairs": 16, "noise": "rank1"})
    found = point(scene, 250, settings, every=40)
    assert found.generations > 0
    assert (found.weight, found.influence) == (0, 0)


def test_every_unsure_fact_has_a_lie_and_three_questions() -> None:
    """What the curves are drawn of."""
    facts = unsure_facts()
    assert len(facts) > 10
    assert all(fact.lie != fact.true and len(fact.questions) == 3 for fact in facts)
