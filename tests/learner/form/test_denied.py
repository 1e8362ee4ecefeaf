"""What a wish forbids is not read as its opposite, nor a wish in the form of a denial as none."""

import time

import pytest

from learner.form.directions import directions_of, forbidden_in
from tests.learner.form.denials import DENIALS


@pytest.mark.parametrize(("words", "wished"), DENIALS)
def test_only_what_is_wished_is_a_direction(words: str, wished: list[str]) -> None:
    """In eight languages: denials, double ones, contrasts, rhetorical questions, complaints."""
    assert sorted(map(str, directions_of(words))) == sorted(wished)


@pytest.mark.parametrize(
    ("words", "forbidden"),
    [
        ("Please don't use a table.", ["table"]),
        ("Answer in German, not in English", []),
        ("Use a list, and never answer in French", ["language fr"]),
        ("No lists, please", []),
        ("Don't call me Sam, call me Max", []),
        ("Never without a list", ["no list"]),
        ("英語で答えないで", ["language en"]),
        ("Please don't, under any circumstances, answer in French", ["language fr"]),
        ("Please don't answer in English, or in French", ["language en", "language fr"]),
        ("Auf Englisch bitte nicht.", ["language en"]),
        ("不要再用英语了", ["language en"]),
        ("ne réponds jamais en anglais", ["language en"]),
        ("Never guess and reply in German", []),
        ("Not only in English", []),
        ("Leave out the dates except 1789.", []),
        ("Answer in any language except in French", ["language fr"]),
        ("At least three sentences", []),
        ("I never understand texts that are in French", []),
    ],
)
def test_what_is_forbidden_is_told_where_no_wish_says_it(words: str, forbidden: list[str]) -> None:
    """A note of the wish alone would lose it."""
    assert [str(each) for each in forbidden_in(words)] == forbidden


@pytest.mark.parametrize(
    "piece",
    [
        "not ",
        "don't, ",
        "why ",
        "no a and ",
        "ne ",
        "不",
        '" ',
        "in French ",
        "も、 な",
        "no in ",
        "in French, ",
        "1990 ",
        "never o o o o ",
        "a or ",
        "if you not ",
        "stop a-a ",
    ],
)
def test_long_words_cost_no_more_than_they_are_long(piece: str) -> None:
    """Of an operator's prompt eight thousand characters are read."""
    began_s = time.process_time()
    directions_of(piece * (8000 // len(piece)) + "in French")
    assert time.process_time() - began_s < 2
