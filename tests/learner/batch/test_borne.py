"""Which complaints of a wish teach it, and that nobody's voice grows or shrinks by it."""

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner.batch.borne import accepted_alone, borne, counted
from learner.batch.lesson import Lesson
from learner.batch.plan import PlannedTurn

Drawn = tuple[list[PlannedTurn], list[Lesson]]


@st.composite
def batches(draw: st.DrawFn) -> Drawn:
    """Draw a plan, and what those of its turns that still say something teach."""
    batch, lessons = [], []
    for place in range(draw(st.integers(1, 7))):
        score = draw(st.sampled_from((-1, 0, 1)))
        of = draw(st.sampled_from((None, "x", "y"))) if score < 1 else None
        weight = draw(st.integers(0, 8)) / 16
        item = PlannedTurn(f"t{place}", weight, score, 0.8, None, of)
        batch.append(item)
        if draw(st.booleans()):
            target = draw(st.sampled_from(((), (7, 8))))
            lessons.append(
                Lesson(item.turn_id, weight, score, 0.8, (1,), (2, 3), (-1.0, -1.0), target=target)
            )
    return batch, lessons


@given(batches())
def test_a_wish_weighs_what_it_was_planned_to(drawn: Drawn) -> None:
    """Its turns that are scored bear its weight together, each as much as beside the others."""
    batch, lessons = drawn
    scored = {each.turn_id for each in lessons}
    found = borne(batch, scored)
    assert found.keys() == scored
    planned, borne_by = defaultdict[str, float](float), defaultdict[str, float](float)
    for item in batch:
        group = item.lesson or item.turn_id
        planned[group] += item.weight
        borne_by[group] += found.get(item.turn_id, 0.0)
    for group, weight in borne_by.items():
        carriers = [i for i in batch if (i.lesson or i.turn_id) == group and i.turn_id in scored]
        some = any(item.weight for item in carriers)
        assert weight == pytest.approx(planned[group] if some else 0.0)


@given(batches())
def test_where_a_rewrite_shows_what_is_wished_blame_is_silent(drawn: Drawn) -> None:
    """Accepted rewrites, praise, and wishes that have no rewrite stay; other complaints do not."""
    batch, lessons = drawn
    of_turn = {item.turn_id: item.lesson for item in batch}
    left = accepted_alone(lessons, batch)
    kept = {each.turn_id for each in left}
    shown = {of_turn[each.turn_id] for each in lessons if each.target and of_turn[each.turn_id]}
    for each in lessons:
        silent = not each.target and each.score < 1 and of_turn[each.turn_id] in shown
        assert (each.turn_id in kept) != silent
    assert {each.turn_id: each.weight for each in left} == borne(batch, kept)


@given(batches())
def test_a_stored_generation_counts_as_it_was_scored(drawn: Drawn) -> None:
    """Whoever works one out again weighs its turns as it did; an older one's as planned."""
    batch, lessons = drawn
    left = accepted_alone(lessons, batch)
    items: list[dict[str, Any]] = [vars_of(item) for item in batch]
    scored = {each.turn_id for each in left}
    now = counted(items, scored, {"accepted_alone": True})
    assert now == {each.turn_id: each.weight for each in left}
    before = counted(items, scored, {})
    assert before == {item.turn_id: item.weight for item in batch if item.turn_id in scored}


def vars_of(item: PlannedTurn) -> dict[str, Any]:
    """Return a planned turn as a store keeps it."""
    return {
        "turn_id": item.turn_id, "weight": item.weight, "score": item.score,
        "confidence": item.confidence, "hint": item.hint, "lesson": item.lesson,
    }  # fmt: skip
