"""Feedback: a score or a thumb, and nothing that has to be guessed at."""

import json
from typing import Any

import pytest

from agent.api.feedback.request import read_feedback
from agent.errors import InvalidError
from agent.turn.recorder import Rating


@pytest.mark.parametrize(
    ("given", "score"),
    [({"score": -1}, -1), ({"score": 0}, 0), ({"thumb": "up"}, 1), ({"thumb": "down"}, -1)],
)
def test_a_thumb_is_worth_one(given: dict[str, Any], score: int) -> None:
    """Feedback is a score, or a thumb that is worth one."""
    assert read_feedback(json.dumps(given).encode()).score == score


def test_what_it_rests_on_is_kept() -> None:
    """Hint and comment come with the score, and what is not known is ignored."""
    given = {"thumb": "down", "hint": "Be brief.", "comment": "rambling", "user": "u"}
    assert read_feedback(json.dumps(given).encode()) == Rating(-1, "Be brief.", "rambling")


@pytest.mark.parametrize(
    ("given", "param"),
    [({}, "score"), ({"score": 1, "thumb": "up"}, "score"), ({"score": 2}, "score"),
     ({"score": True}, "score"), ({"thumb": "sideways"}, "thumb"),
     ({"score": 1, "hint": "x" * 5000}, "hint")],
)  # fmt: skip
def test_feedback_that_says_nothing_clear_is_refused(given: dict[str, Any], param: str) -> None:
    """Neither, both, another number or a novel of a hint are refused by name."""
    with pytest.raises(InvalidError) as caught:
        read_feedback(json.dumps(given).encode())
    assert caught.value.param == param
