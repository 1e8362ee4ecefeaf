"""Voices of people who praise what is known to be wrong, on real rows."""

from typing import Any

import pytest

from learner.link.rows import row_of
from learner.options.hearing import Verifier
from learner.settings import LearnerSettings
from learner.trust.crowd import Record, age_weight
from learner.trust.gold import records_of
from learner.trust.people import crowd_of
from streams.store.tables import JudgementRow
from tests.learner.batch.test_planner import Planner, planner
from tests.learner.trust.test_people import NOW_MS, PATIENCE_MS, meet
from tests.learner.turns import said, turn
from tests.plans import plans

KNOWN = LearnerSettings(verifiers=(Verifier(name="capital", asked="capital", answer="Abuja"),))


def verify(here: Planner, turn_id: str, *, right: bool, confidence: float = 1.0) -> None:
    """Let a program say what a reply is worth, as the judge `verifier` does."""
    with here.store.transaction() as session:
        session.add(
            JudgementRow(
                id=f"{turn_id}v", turn_id=turn_id, principal=here.rows()[turn_id].principal,
                source="verifier", score=1 if right else -1, confidence=confidence, evidence="",
                created_ms=here.now_ms,
            )
        )  # fmt: skip


def records(here: Planner, *names: str, gold: bool = True) -> dict[str, Record]:
    """Read what is known of some people."""
    with here.store.reading() as session:
        return dict(crowd_of(session, "main", names, now_ms=here.now_ms, gold=gold).records)


def test_praise_of_what_is_wrong_is_a_miss_and_a_complaint_about_what_is_right_is_nothing() -> None:
    """A right reply may be too long; what a program merely suspects is no gold item."""
    with planner(settings=KNOWN, now_ms=NOW_MS) as here:
        for kind, right in (("praise", False), ("praise", True), ("strong", False)):
            verify(here, here.judge(kind, "ann"), right=right)
        verify(here, here.judge("strong", "bob"), right=True)
        verify(here, here.judge("praise", "cem"), right=False, confidence=0.9)
        here.judge("praise", "dan")
        assert records(here, "ann", "bob", "cem", "dan") == {"ann": Record(2, 1)}
        assert records(here, "ann", gold=False) == {}


@pytest.mark.parametrize(("gold_items", "part"), [(True, 1 / 2), (False, 1)])
def test_a_key_that_praises_what_is_wrong_weighs_less(gold_items: bool, part: float) -> None:
    """Two misses halve the voice, unless the settings leave them out."""
    people = [f"p{i}" for i in range(12)]
    asked = KNOWN.model_copy(update={"gold_items": gold_items})
    with planner(settings=asked, now_ms=NOW_MS) as here:
        meet(here, people, days_ago=29)
        for _ in range(2):
            verify(here, here.judge("praise", "p0", asked="the capital?"), right=False)
        for name in people[:4]:
            here.judge("strong", name)
        here.until(here.now_ms + PATIENCE_MS)
        first, rows = here.planned[0], here.rows()
        shares = dict.fromkeys(people, 0.0)
        for item in first.batch:
            shares[rows[item["turn_id"]].principal] += item["weight"]
        assert shares["p0"] == pytest.approx(shares["p1"] * part)
        assert shares["p1"] == pytest.approx(1 / (3 + part))


def test_a_miss_takes_nobody_from_a_quorum() -> None:
    """It is the weight that falls: the three are as many people as before."""
    people = [f"p{i}" for i in range(12)]
    with planner(settings=KNOWN, now_ms=NOW_MS) as here:
        meet(here, people, days_ago=29)
        for name in people[:3]:
            verify(here, here.judge("praise", name), right=False)
            here.judge("strong", name)
        here.until(here.now_ms + PATIENCE_MS)
        assert len(here.planned) == 1


def flood(here: Planner, name: str, *, right: bool, complains: bool) -> None:
    """Let somebody ask more often than is looked at, and say nothing, or what says nothing."""
    with here.store.transaction() as session:
        for number in range(1001):
            id, at_ms = f"{name}-{number}", here.now_ms - number
            made = turn(said("the capital?"), "x", id=id, principal=name, created_ms=at_ms)
            session.add(row_of(made, sequence=10_000 + number, taken_ms=1))
            given: dict[str, Any] = {
                "turn_id": id,
                "principal": name,
                "evidence": "",
                "created_ms": at_ms,
            }
            known = JudgementRow(
                id=f"{id}v", source="verifier", score=1 if right else -1, confidence=1.0, **given
            )
            session.add(known)
            if complains:
                session.add(
                    JudgementRow(id=id, source="explicit", score=-1, confidence=1.0, **given)
                )


@pytest.mark.parametrize(("right", "complains"), [(True, False), (False, False), (True, True)])
def test_nobody_asks_misses_away(right: bool, complains: bool) -> None:
    """Neither their own nor others', and all is found by indexes; older builds let them."""
    with planner(settings=KNOWN, now_ms=NOW_MS) as here:
        for name in ("ann", "bob"):
            verify(here, here.judge("praise", name, at_ms=NOW_MS - 10_000), right=False)
        flood(here, "ann", right=right, complains=complains)
        with plans(here.store.engine) as noted:
            found = records(here, "ann", "bob")
        assert found == {"ann": Record(0, 1), "bob": Record(0, 1)}
        assert noted.whole() == []
        with here.store.reading() as session:
            since_ms = NOW_MS - 20_000
            assert records_of(session, "main", ["ann", "bob"], since_ms=since_ms, own=False) == {}


def test_a_voice_is_its_age_where_nothing_is_known() -> None:
    """As it was for those who never met a gold item, whatever others did."""
    with planner(settings=KNOWN, now_ms=NOW_MS) as here:
        meet(here, ["ann", "bob"], days_ago=10)
        verify(here, here.judge("praise", "ann"), right=False)
        with here.store.reading() as session:
            crowd = crowd_of(session, "main", ["ann", "bob"], now_ms=here.now_ms, gold=True)
    assert crowd.weights["bob"] == pytest.approx(age_weight(10), abs=1e-3)
    assert crowd.weights["ann"] == pytest.approx(age_weight(10) * 2 / 3, abs=1e-3)
