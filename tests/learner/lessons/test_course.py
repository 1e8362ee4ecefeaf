"""What is heard of a lesson decides it: satisfied, set aside, waiting, or reopened."""

from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from learner.lessons.course import Course, Heard, Kind, Terms, course, quiet_enough

TERMS = Terms(patience=3, versions=2, pleased=3, rare=0.2, alpha=0.2)


def heard(*said: tuple[str, int]) -> list[Heard]:
    return [Heard(cast(Kind, kind), depth) for kind, depth in said]


def after(said: list[Heard], *, depth: int, set_aside: tuple[int, ...] = ()) -> Course:
    return course(said, depth=depth, set_aside=set_aside, terms=TERMS)


def test_whoever_complains_whatever_comes_ends_the_lesson() -> None:
    """Five complaints of versions that must have helped are certainty enough; four are not."""
    said = heard(("same", 0), *[("same", depth) for depth in (1, 2, 3, 3, 4, 4)])
    assert not after(said, depth=4).due
    found = after([*said, Heard("same", 4)], depth=4)
    assert found.due
    assert "4 versions learned it, and of 5 replies of the last ones" in found.reason


def test_a_wish_that_takes_several_versions_is_learned() -> None:
    """Whoever complains of the first versions, and then of few replies, was helped."""
    said = heard(("same", 0), *[("same", depth) for depth in (1, 1, 1, 2, 2, 2)])
    said += heard(("pleased", 3), ("same", 3), ("pleased", 4), ("same", 4), ("pleased", 4))
    assert not after(said, depth=4).due


def test_no_lesson_is_set_aside_before_its_versions_had_their_chance() -> None:
    """However many complaints come late, fewer versions than the setting decide nothing."""
    said = heard(("same", 0), *[("same", 2)] * 12)
    assert not after(said, depth=2).due
    assert not after(said, depth=3).due


def test_a_lesson_that_made_it_worse_ends_at_once() -> None:
    """Pleased before and not after: no third version is waited for."""
    said = heard(("same", 0), *[("pleased", 0)] * 2, ("other", 0), *[("pleased", 0)] * 2)
    said += heard(("same", 0), *[("pleased", 0)] * 9, *[("same", 1)] * 13)
    found = after(said, depth=1)
    assert found.due
    assert "judged worse" in found.reason


def test_pleased_people_need_no_version() -> None:
    """Three pleased verdicts on end, or many without this complaint, satisfy it."""
    three = heard(("same", 0), *[("pleased", 1)] * 3)
    assert after(three, depth=1).state == "satisfied"
    broken = heard(("same", 0), ("pleased", 1), ("unsaid", 1), ("pleased", 1), ("pleased", 1))
    assert after(broken, depth=1).state == "active"
    quiet = heard(("same", 0), *[("nothing", 1)] * quiet_enough(0.2, 0.2))
    assert "no such complaint" in after(quiet, depth=1).reason


def test_a_new_complaint_reopens_and_is_remembered() -> None:
    """Satisfied and complained of again: active, with the count."""
    said = heard(("same", 0), *[("pleased", 1)] * 3, ("same", 1), *[("pleased", 2)] * 3)
    said += heard(("same", 2))
    found = after(said, depth=2)
    assert (found.state, found.reopened) == ("active", 2)


def test_what_was_set_aside_needs_twice_the_complaints() -> None:
    """So a person who never stops costs a few more versions each time they double, no more."""
    said = heard(*[("same", 0)] * 9)
    assert after(said, depth=0, set_aside=(5,)).state == "set aside"
    assert after([*said, Heard("same", 0)], depth=0, set_aside=(5,)).state == "active"


def test_silence_is_waited_for() -> None:
    """Three versions without a word are made, then none; a late word on any of them frees it."""
    said = heard(("same", 0))
    assert not after(said, depth=2).waits
    found = after(said, depth=3)
    assert (found.waits, found.due) == (True, False)
    assert "waits for a word on its last 3 versions" in found.reason
    assert not after([*said, Heard("nothing", 1)], depth=3).waits


def test_a_note_in_the_prompt_is_no_word_of_the_weights() -> None:
    """Pleased with the note: no word, and not satisfied; a complaint in spite of it is one."""
    said = [Heard("same", 0), *[Heard("pleased", 1, noted=True)] * 5]
    assert after(said, depth=3).waits
    again = after([*said, Heard("same", 3, noted=True)], depth=3)
    assert (again.waits, again.evidence["heard_after"]) == (False, 6)


def test_complaints_are_weighed_among_all_replies_with_the_note_or_without() -> None:
    """Few of many replies are complained of: the lesson is not useless, whoever was quiet."""
    said = [Heard("same", 0)]
    for depth in range(1, 9):
        said += [*[Heard("pleased", depth, noted=True)] * 4, Heard("same", depth, noted=True)]
    assert not after(said, depth=8).due
    bare = [each for each in said if each.kind == "same"]
    assert after(bare, depth=8).due  # as all of them were complained of


@given(st.lists(st.sampled_from(["pleased", "nothing", "other"]), max_size=60))
def test_nobody_who_does_not_complain_of_it_sets_it_aside(kinds: list[Kind]) -> None:
    """Other complaints decide nothing, however many there are."""
    said = [Heard("same", 0), *(Heard(kind, 3) for kind in kinds)]
    found = after(said, depth=3)
    assert not found.due or "worse" in found.reason
