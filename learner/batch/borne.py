"""Which turns of a wish teach it, and how a generation's weight is dealt to those that do.

A complaint whose rewrite was accepted shows what is wished; one without shows only what is not, and
says so of every token of a long reply. Together the second drown the first: so of the complaints of
one lesson, those with an accepted rewrite teach alone, and the others where there is none. What the
lesson weighs, its turns that are scored bear together, so that nobody's voice grows or shrinks by
it. Praise, and a complaint that belongs to no lesson, stand for themselves.

Numbers of accepted rewrites alone: EXPERIMENTS, "Accepted rewrites".
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from learner.batch.lesson import Lesson
from learner.batch.plan import PlannedTurn


def borne(batch: Iterable[PlannedTurn], scored: Collection[str]) -> dict[str, float]:
    """Return the weight of each turn that is scored: its lesson's, in parts as they were planned.

    batch: of a plan; scored: ids of its turns
    returns: by turn; the weights of a lesson sum to what all its turns weigh in the plan

    >>> some = [PlannedTurn(id, 0.25, -1, 0.8, None, lesson) for id, lesson in
    ...         (("a", "x"), ("b", "x"), ("c", "y"), ("d", None))]
    >>> borne(some, {"b", "c", "d"})
    {'b': 0.5, 'c': 0.25, 'd': 0.25}
    """
    planned, left = dict[str, float](), dict[str, float]()
    staying = []
    for item in batch:
        group = item.lesson or f"turn {item.turn_id}"
        planned[group] = planned.get(group, 0.0) + item.weight
        if item.turn_id in scored:
            left[group] = left.get(group, 0.0) + item.weight
            staying.append((item, group))
    return {
        item.turn_id: item.weight * (planned[group] / left[group]) if left[group] else 0.0
        for item, group in staying
    }


def accepted_alone(lessons: Sequence[Lesson], batch: Sequence[PlannedTurn]) -> list[Lesson]:
    """Leave out the complaints that teach by their score where their wish has accepted rewrites.

    lessons: of the batch's turns; returns: those that stay, in order, with what they bear
    """
    of_turn = {item.turn_id: item.lesson for item in batch}
    shown = {of_turn[each.turn_id] for each in lessons if each.target} - {None}
    left = [
        each
        for each in lessons
        if each.target or each.score > 0 or of_turn[each.turn_id] not in shown
    ]
    weights = borne(batch, {each.turn_id for each in left})
    return [replace(each, weight=weights[each.turn_id]) for each in left]


def counted(
    items: Sequence[Mapping[str, Any]], scored: Collection[str], settings: Mapping[str, Any]
) -> dict[str, float]:
    """Return the weight of each turn that a stored generation scored, as it counted there.

    items: of its batch, perhaps without some; scored: ids of the turns that it scored; settings:
        those that it was planned with
    """
    batch = [PlannedTurn(**item) for item in items]
    if settings.get("accepted_alone"):
        return borne(batch, scored)
    return {item.turn_id: item.weight for item in batch if item.turn_id in scored}
