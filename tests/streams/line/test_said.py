"""What was done, in words."""

from typing import get_args

import pytest

from streams.line.said import did
from streams.records import State, Verb


@pytest.mark.parametrize("verb", get_args(Verb))
def test_every_verb_has_words(verb: Verb) -> None:
    """In every state that a record may have: a line that is not empty and begins with a capital."""
    for state in get_args(State):
        for share in (0.0, 0.075, 1.0):
            assert did(verb, state, share)[0].isupper()


def test_a_step_says_for_whom_it_is() -> None:
    """The share of a step that was taken; everybody, where it was the last one."""
    assert did("start", "running", 0.05) == "Started on 5 % of the sessions"
    assert did("start", "running", 0.0) == "Started unseen"
    assert did("start", "pending", 0.0) == "Offered for a trial"
    assert did("skip-step", "running", 0.075) == "Skipped on to 7.5 % of the sessions"
    assert did("skip-step", "completed", 1.0) == "Skipped the last step, to everybody"
