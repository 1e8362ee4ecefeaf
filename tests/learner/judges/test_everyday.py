"""Everyday complaints and wishes that were missed, by kind: word lists alone, no encoder."""

import pytest

from learner.judges.lexical import hear
from learner.judges.reading import read_text

QUESTION, REPLY = "When was the Eiffel Tower finished?", "The Eiffel Tower was finished in 1899."
UNHAPPY = {
    "a name": ("can you call me Max from now on", "call me Max", "以后叫我小王"),
    "a bare shape": ("with an example please", "in a table please", "con un ejemplo"),
    "a way of speaking": ("don't be so stiff", "stop saying 'hereby'", "謝らないで"),
    "changes it": ("dumb it down", "make it funny", "encurta", "accorcia", "puedes resumirlo"),
    "what is right": ("um no, 1889",),
    "not answered": (
        "du hast meine Frage nicht beantwortet", "tu n'as pas répondu à ma question",
        "no respondiste a mi pregunta", "you ignored half of what i said",
    ),
    "plain dislike": ("tl;dr", "this is terrible", "so much text...", "longo demais"),
}  # fmt: skip


@pytest.mark.parametrize("words", [each for kind in UNHAPPY.values() for each in kind])
def test_everyday_words_count_against_the_reply(words: str) -> None:
    """Each stands for a kind."""
    assert hear(read_text(QUESTION, REPLY, words)).score == -1


@pytest.mark.parametrize(
    "words",
    [
        "call me a taxi",
        "call me tomorrow",
        "and Ecuador, in one word",
        "no 5 please",
        "很好奇这是怎么做的",
        "真好奇为什么",
        "对不起用英语怎么说",
    ],
)
def test_their_neighbours_do_not(words: str) -> None:
    """What only looks like a name, a correction or a shape for this reply."""
    assert hear(read_text(QUESTION, REPLY, words)).score == 0
