"""Cap and quorum by default, on real rows: they follow the people of the line."""

import pytest

from learner.batch.plan import conditions_of
from learner.settings import LearnerSettings
from learner.trust.people import crowd_of
from tests.learner.batch.test_planner import Planner, planner

DAY_MS = 86_400_000
NOW_MS = 100 * DAY_MS
PATIENCE_MS = 15_000


def meet(here: Planner, names: list[str], *, days_ago: float) -> None:
    """Let some people have a reply judged that teaches nothing, days ago."""
    for name in names:
        here.judge("nothing", name, at_ms=here.now_ms - int(days_ago * DAY_MS))


def test_one_person_at_home_teaches_alone() -> None:
    """With a fresh key, on a fresh line, and as the whole weight."""
    with planner(settings=LearnerSettings(), now_ms=NOW_MS) as here:
        here.judge("strong", "ann")
        here.until(here.now_ms + PATIENCE_MS)
        (generation,) = here.planned
        assert [item["weight"] for item in generation.batch] == [1.0]


def test_one_of_many_waits_for_two_others_and_three_are_heard() -> None:
    """The words say what is waited for; then each of the three weighs a third at most."""
    people = [f"p{i}" for i in range(12)]
    with planner(settings=LearnerSettings(), now_ms=NOW_MS) as here:
        meet(here, people, days_ago=20)
        for _ in range(5):
            here.judge("strong", "p0")
        here.until(here.now_ms + PATIENCE_MS)
        assert here.planned == []
        assert here.waits[-1].waits_for == (
            "two strong verdicts of other people needed: quorum 3, as 9 or more people are active"
        )
        for name in ("p1", "p2"):
            here.judge("strong", name)
        here.until(here.now_ms + PATIENCE_MS)
        rows = here.rows()
        first = here.planned[0]
        shares = dict.fromkeys(people, 0.0)
        for item in first.batch:
            shares[rows[item["turn_id"]].principal] += item["weight"]
        assert [shares[name] for name in ("p0", "p1", "p2")] == [pytest.approx(1 / 3)] * 3


def test_fresh_keys_alone_are_told_that_they_count_for_a_part() -> None:
    """Beside people of a month they start nothing, and then take only the places that are left."""
    with planner(settings=LearnerSettings(), now_ms=NOW_MS) as here:
        meet(here, [f"p{i}" for i in range(9)], days_ago=29)
        for i in range(20):
            here.judge("strong", f"new{i}")
        here.until(here.now_ms + PATIENCE_MS)
        assert here.planned == []
        assert "newcomers count for a part" in here.waits[-1].waits_for
        for i in range(3):
            here.judge("strong", f"p{i}")
        here.until(here.now_ms + PATIENCE_MS)
        rows = here.rows()
        weight = sum(
            item["weight"]
            for item in here.planned[0].batch
            if rows[item["turn_id"]].principal.startswith("new")
        )
        assert 0 < weight < 0.25


def test_numbers_that_are_set_are_taken_as_they_are() -> None:
    """Neither age nor the number of people counts then."""
    with planner(settings=LearnerSettings(), now_ms=NOW_MS) as here:
        meet(here, [f"p{i}" for i in range(12)], days_ago=29)
        with here.store.reading() as session:
            crowd = crowd_of(session, "main", ["new"], now_ms=NOW_MS)
    asked = conditions_of(LearnerSettings(principal_cap=0.5, quorum=1), crowd)
    assert (asked.people, asked.principal_cap, asked.trust) == (2, 0.5, None)
    assert asked.stands_for("new") == 1.0
    automatic = conditions_of(LearnerSettings(), crowd)
    assert automatic.people == 3
    assert automatic.principal_cap == pytest.approx(1 / 3)


def test_people_who_left_a_month_ago_are_not_active() -> None:
    """Nor is anybody's age longer than what is looked back at."""
    with planner(settings=LearnerSettings(), now_ms=NOW_MS) as here:
        meet(here, ["old1", "old2"], days_ago=31)
        meet(here, ["ann"], days_ago=10)
        with here.store.reading() as session:
            crowd = crowd_of(session, "main", ["ann"], now_ms=NOW_MS)
    assert crowd.active == 1
    assert crowd.days == {"ann": pytest.approx(10, abs=0.01)}
    assert crowd.oldest_days == pytest.approx(10, abs=0.01)
