"""Who wishes to be called by a name is called by it; the reply does not take it for its own."""

import pytest

from learner.form.directions import Direction, directions_of, opposes
from learner.form.obeys import missed

WISHED = directions_of("can you call me Max from now on")


@pytest.mark.parametrize(
    ("reply", "obeys"),
    [
        ("Max, the sky is blue because of scattering.", True),
        ("The sky is blue, Max.", True),
        ("I'm happy to help, Max.", True),
        ("I'm Max, the color of the sky is a fundamental concept.", False),
        ("Ich heiße Max.", False),
        ("ICH HEISSE MAX, und helfe gern.", False),
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


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("call me Max", "Max"),
        ("Please address me as Dr Weber.", "Dr Weber"),
        ('call me "kim" please', "kim"),
        ("nenn mich Max", "Max"),
        ("Bitte nennen Sie mich Frau Özil", "Frau Özil"),
        ("Appelle-moi Zoé !", "Zoé"),
        ("llámame Ana", "Ana"),
        ("chiamami Ugo, per favore", "Ugo"),
        ("me chama de Bia", "Bia"),
        ("以后叫我小王", "小王"),
        ("健太って呼んで", "健太"),
    ],
)
def test_a_name_is_read_in_every_language(words: str, name: str) -> None:
    """It says how the user is called, and not which word to use."""
    assert directions_of(words) == (Direction("called", name),)


@pytest.mark.parametrize("words", ["call me a taxi", "call me tomorrow", "greet Max", "叫我怎么办"])
def test_what_is_no_name_of_the_user(words: str) -> None:
    """A taxi, a time, somebody else."""
    assert not [each for each in directions_of(words) if each.kind == "called"]


def test_nobody_has_two_names() -> None:
    """Of two names the newest is meant; a name that is forbidden is none."""
    assert opposes(directions_of("call me Max"), directions_of("call me Moritz"))
    assert opposes(directions_of("call me Max"), directions_of('don\'t call me "Max"'))
