"""Voices of people who praise what is known to be wrong, on real rows."""

import pytest

from learner.options.hearing import Verifier
from learner.settings import LearnerSettings
from learner.trust.crowd import Record, age_weight
from learner.trust.people import crowd_of
from streams.store.tables import JudgementRow
from tests.learner.batch.test_planner import Planner, planner
from tests.learner.trust.test_people import NOW_MS, PATIENCE_MS, meet

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


def test_a_voice_is_its_age_where_nothing_is_known() -> None:
    """As it was for those who never met a gold item, whatever others did."""
    with planner(settings=KNOWN, now_ms=NOW_MS) as here:
        meet(here, ["ann", "bob"], days_ago=10)
        verify(here, here.judge("praise", "ann"), right=False)
        with here.store.reading() as session:
            crowd = crowd_of(session, "main", ["ann", "bob"], now_ms=here.now_ms, gold=True)
    assert crowd.weights["bob"] == pytest.approx(age_weight(10), abs=1e-3)
    assert crowd.weights["ann"] == pytest.approx(age_weight(10) * 2 / 3, abs=1e-3)
