"""Cap and quorum by default, on real rows: they follow the people of the line."""

import pytest

from learner.batch.plan import conditions_of
from learner.settings import LearnerSettings
from learner.trust.people import crowd_of
from streams.store.lesson_tables import LessonRow
from streams.store.tables import TurnRow
from tests.learner.batch.test_planner import Planner, planner
from tests.plans import plans

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


# More than nine are as a hundred (learner.trust.crowd.ENOUGH); of a hundred: tests/attacks.
LIE, MANY = "Say that it is Lagos.", [f"p{i:02d}" for i in range(12)]


def principals(here: Planner) -> list[set[str]]:
    """Return whom each generation learned from."""
    rows = here.rows()
    return [{rows[id].principal for id in made.turn_ids} for made in here.planned]


def test_one_of_many_teaches_nothing_beside_what_others_teach() -> None:
    """Its wish waits, is told so, and is learned when two others wish the same."""
    with planner(settings=LearnerSettings(), now_ms=NOW_MS) as here:
        meet(here, MANY, days_ago=29)
        waiting = [here.judge("strong", "p11", wish=LIE) for _ in range(10)]
        for name in MANY[:5]:
            here.judge("strong", name)
        here.until(here.now_ms + PATIENCE_MS)
        assert principals(here) == [set(MANY[:5])]
        here.step()
        assert here.waits[-1].num_alone == 6  # as many as are looked at of one principal
        rows = here.rows()
        assert [(rows[id].uses, rows[id].reason) for id in waiting] == [(0, None)] * 10
        for name in MANY[9:11]:
            here.judge("strong", name, wish=LIE)
        here.until(here.now_ms + PATIENCE_MS)
        assert set(MANY[9:]) <= principals(here)[1]


def test_what_waits_for_company_is_said_in_words() -> None:
    """With the people who are behind each lesson, and how many it needs."""
    with planner(settings=LearnerSettings(), now_ms=NOW_MS) as here:
        meet(here, MANY, days_ago=29)
        for name, wish in zip(MANY, ("sing", "rhyme", "say it is cheese", "sing"), strict=False):
            id = here.judge("strong", name, wish=wish)
            with here.store.transaction() as session:
                session.merge(session.get_one(TurnRow, id)).lesson = f"lesson {name}"
                session.add(LessonRow(id=f"lesson {name}", line="main", principal=name, turn_id=id,
                                      instruction=wish, wished=[], created_ms=1))  # fmt: skip
        here.until(here.now_ms + PATIENCE_MS)
        assert here.planned == []
        assert here.waits[-1].waits_for == (
            "others who wish the same: quorum 3, as 9 or more people are active, and four strong"
            " verdicts have too few people behind the wish"
        )
        assert here.waits[-1].alone == {
            "lesson p00": [2.0, 3.0], "lesson p01": [1.0, 3.0], "lesson p02": [1.0, 3.0],
            "lesson p03": [2.0, 3.0],
        }  # fmt: skip


def test_who_wished_it_lately_is_behind_it_still() -> None:
    """A wish that three have taught is no news when a fourth has it; nor is it forgotten words'."""
    with planner(settings=LearnerSettings(uses=1), now_ms=NOW_MS) as here:
        meet(here, MANY, days_ago=29)
        for name in MANY[:3]:
            here.judge("strong", name)
        here.until(here.now_ms + PATIENCE_MS)
        for name in MANY[3:6]:
            here.judge("strong", name, wish=f"be like {name}")
        here.judge("strong", "p06")
        here.until(here.now_ms + PATIENCE_MS)
        assert len(here.planned) == 1  # a quorum of people is needed as well
        for name in MANY[7:9]:
            here.judge("strong", name)
        here.until(here.now_ms + PATIENCE_MS)
        assert principals(here)[1:] == [{"p06", "p07", "p08"}]


def test_votes_without_words_agree_on_one_reply() -> None:
    """Three who praise their own replies teach nothing; three who praise the same one join."""
    with planner(settings=LearnerSettings(), now_ms=NOW_MS) as here:
        meet(here, MANY, days_ago=29)
        for name in MANY[:3]:
            here.judge("praise", name)
            here.judge("complaint", name, asked="What is the capital?")
        here.until(here.now_ms + PATIENCE_MS)
        rows = here.rows()
        assert [rows[id].score for id in here.planned[0].turn_ids] == [-1, -1, -1]


def test_an_operator_may_ask_for_people_and_not_for_agreement() -> None:
    """As before there was a quorum for each wish."""
    asked = LearnerSettings(wish_quorum=False)
    with planner(settings=asked, now_ms=NOW_MS) as here:
        meet(here, MANY, days_ago=29)
        for name in MANY[:3]:
            here.judge("complaint", name)
        here.until(here.now_ms + PATIENCE_MS)
        assert principals(here) == [set(MANY[:3])]


def test_twenty_fresh_keys_of_one_wish_need_three_others() -> None:
    """However large a generation is; where newcomers are a person together, two."""
    asked = LearnerSettings(turns_per_generation=32)
    with planner(settings=asked, now_ms=NOW_MS) as here:
        meet(here, MANY, days_ago=29)
        for i in range(20):
            here.judge("strong", f"new{i}", wish=LIE)
        here.until(here.now_ms + PATIENCE_MS)
        assert here.planned == []
        for name in MANY[:2]:
            here.judge("strong", name, wish=LIE)
        here.until(here.now_ms + PATIENCE_MS)
        assert here.planned == []
        here.judge("strong", MANY[2], wish=LIE)
        here.until(here.now_ms + PATIENCE_MS)
        assert len(here.planned) == 1


def test_a_statement_needs_more_of_many_than_a_manner() -> None:
    """Of sixty people of a month four, and newcomers do not raise that; and it is told."""
    many = [f"p{i:02d}" for i in range(60)]
    with planner(settings=LearnerSettings(), now_ms=NOW_MS) as here:
        meet(here, many, days_ago=29)
        meet(here, [f"new{i}" for i in range(40)], days_ago=1)
        for name in many[:3]:
            here.judge("strong", name, wish=LIE)
        here.until(here.now_ms + PATIENCE_MS)
        assert here.planned == []
        assert here.waits[-1].waits_for.endswith("what may state something needs 4 people")
        for name in many[3:6]:
            here.judge("strong", name, wish="Use metric units.")
        here.until(here.now_ms + PATIENCE_MS)
        assert principals(here) == [set(many[3:6])]
        here.judge("strong", many[10], wish=LIE)
        here.until(here.now_ms + PATIENCE_MS)
        assert {*many[:3], many[10]} <= principals(here)[1]


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


def test_who_comes_back_after_a_month_is_no_newcomer() -> None:
    """Days count from the first turn of all; older plans counted from the first one of a month."""
    with planner(settings=LearnerSettings(), now_ms=NOW_MS) as here:
        meet(here, MANY, days_ago=90)
        meet(here, [*MANY[:9], "new"], days_ago=0)
        names = [MANY[0], MANY[11], "new"]
        with here.store.reading() as session, plans(here.store.engine) as noted:
            now, before = (
                crowd_of(
                    session, "main", names, now_ms=NOW_MS, everybody=True, first_turns=first_turns
                )
                for first_turns in (True, False)
            )
    assert noted.whole() == []
    assert [now.standing[name] < 1 for name in names] == [False, False, True]
    assert (now.oldest_days, now.settled) == (30, 9)
    assert [before.standing[name] < 1 for name in names] == [True, False, True]
    assert before.oldest_days == pytest.approx(0, abs=0.01)


def test_the_oldest_is_here_since_its_first_turn_judged_or_not() -> None:
    """As everybody is; only whoever is active counts, and nobody counts as older than a month."""
    with planner(settings=LearnerSettings(), now_ms=NOW_MS) as here:

        def oldest_days() -> float:
            with here.store.reading() as session, plans(here.store.engine) as noted:
                crowd = crowd_of(session, "main", ["new"], now_ms=NOW_MS)
            assert noted.whole() == []
            return crowd.oldest_days

        assert oldest_days() == 0
        meet(here, ["ann", "gone"], days_ago=20)
        for id, days_ago in (("t1", 20), ("t2", 25)):
            with here.store.transaction() as session:
                row = session.get_one(TurnRow, id)
                row.state, row.created_ms = "closed", NOW_MS - days_ago * DAY_MS
        assert oldest_days() == 0
        meet(here, ["ann", "bob"], days_ago=10)
        assert oldest_days() == 20
        meet(here, ["bob"], days_ago=90)
        assert oldest_days() == 30


def test_fresh_keys_are_new_beside_people_who_were_all_away() -> None:
    """Those say nothing of it, and have been here for months: a quorum of them is none."""
    with planner(settings=LearnerSettings(), now_ms=NOW_MS) as here:
        meet(here, MANY, days_ago=60)
        meet(here, MANY, days_ago=0)
        for number in range(3):
            here.judge("strong", f"new{number}")
        here.until(here.now_ms + PATIENCE_MS)
        assert here.planned == []
        for name in MANY[:3]:
            here.judge("strong", name)
        here.until(here.now_ms + PATIENCE_MS)
        assert set(MANY[:3]) <= principals(here)[0]
