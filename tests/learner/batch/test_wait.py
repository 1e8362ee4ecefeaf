"""The planner says in words what it waits for."""

import dataclasses

import pytest

from learner.batch.choose import Conditions
from learner.batch.wait import waits_for
from learner.batch.window import Counts


def conditions(*, turns: int = 6, quorum: int = 1, cap: float = 1.0) -> Conditions:
    return Conditions(turns=turns, uses=8, linger_s=10, quorum=quorum, principal_cap=cap)


NONE = Counts(fresh=0, used=0, weak=0, people=0)


@pytest.mark.parametrize(
    ("counts", "asked", "words"),
    [
        (NONE, conditions(), "a verdict: a correction in a chat, or a thumb"),
        (Counts(0, 0, 6, 0), conditions(), "a strong verdict: weak ones start nothing"),
        (Counts(1, 0, 6, 1), conditions(), "company, 10 s at most"),
        (Counts(0, 4, 0, 2), conditions(), "a fresh strong verdict"),
        (
            Counts(2, 1, 0, 1, asking=False, fresh_asking=False),
            conditions(),
            "a complaint or a wish: praise alone starts nothing",
        ),
        (
            Counts(5, 4, 0, 2, fresh_asking=False),
            conditions(),
            "a fresh complaint or wish: praise alone starts nothing",
        ),
        (
            Counts(0, 0, 0, 0, fresh_asking=False, waiting=2),
            conditions(),
            "a word on the last versions of 2 lessons",
        ),
        (
            Counts(3, 0, 0, 2),
            conditions(cap=0.25),
            "two strong verdicts of other people needed: cap 0.25",
        ),
        (
            Counts(1, 0, 0, 1),
            conditions(quorum=2),
            "one strong verdict of somebody else needed: quorum 2",
        ),
        (
            NONE,
            conditions(quorum=3),
            "three strong verdicts of different people needed: quorum 3",
        ),
        (
            Counts(9, 0, 0, 9),
            conditions(turns=2, cap=0.1),
            "cap 0.1 needs 10 people, and a generation holds 2 turns: nothing is learned until"
            " one of them is changed",
        ),
    ],
)
def test_it_says_what_is_missing(counts: Counts, asked: Conditions, words: str) -> None:
    """How many verdicts, of whom, and which setting asks for them."""
    assert waits_for(counts, asked) == words


def test_the_words_of_automatic_numbers() -> None:
    """How many people the quorum was drawn from, and that newcomers count for a part."""
    asked = dataclasses.replace(conditions(quorum=2, cap=0.5), active=5)
    fresh = Counts(fresh=2, used=0, weak=0, people=1)
    assert waits_for(fresh, asked) == (
        "one strong verdict of somebody else needed: quorum 2, as 5 people are active"
    )
    assert waits_for(dataclasses.replace(fresh, people=2), asked, heard=0.4) == (
        "strong verdicts of people who have been here longer: quorum 2, as 5 people are active,"
        " and newcomers count for a part (0.4 so far)"
    )
