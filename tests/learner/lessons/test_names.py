"""Who wishes to be called by a name is called by it; the reply does not take it for its own."""

import pytest

from learner.form.directions import directions_of
from learner.form.obeys import missed

WISHED = directions_of("can you call me Max from now on")


@pytest.mark.parametrize(
    ("reply", "obeys"),
    [
        ("Max, the sky is blue because of scattering.", True),
        ("The sky is blue, Max.", True),
        ("I'm happy to help, Max.", True),
        ("I'm Max, the color of the sky is a fundamental concept.", False),
        ("Hello! I’m Max from now on, Max.", False),
        ("My name is Max. The sky is blue.", False),
        ("Ich bin Max. Der Himmel ist blau.", False),
        ("我叫Max。天空是蓝色的。", False),
        ("I'm Maximilian's assistant, Max.", True),
        ("The sky is blue.", False),
    ],
)
def test_the_name_is_the_users(reply: str, obeys: bool) -> None:
    """An agent that says it is Max has taken the wish for one about itself."""
    assert (missed(WISHED, reply, given="", ended=True) == "") == obeys


def test_a_word_that_is_no_name_may_stand_behind_i_am() -> None:
    """Only what is written as a name can be taken for one."""
    wished = directions_of('Use the word "glad".')
    assert wished
    assert missed(wished, "I am glad to say so.", given="", ended=True) == ""
