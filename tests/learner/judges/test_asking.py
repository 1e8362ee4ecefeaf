"""What a reply wants of the user: an answer, a yes, a text, or nothing that words could be for."""

import pytest

from learner.judges.acts.message import hear
from learner.judges.reading.asking import asks
from learner.judges.reading.reading import read_text

WANTED = (
    "Which language do you want it in?",
    "Sure, tell me which language you would like the translation in.",
    "Please let me know what language you prefer.",
    "I can do that in English or in German. Just tell me.",
    "I can do that in English or in German. Which do you prefer? I'm happy to help.",
    "Gern! Sagen Sie mir bitte, in welche Sprache ich übersetzen soll.",
    "Möchten Sie es auf Englisch oder auf Deutsch? Ich helfe gern.",
    "Dites-moi dans quelle langue vous le voulez.",
    "Dime en qué idioma lo quieres.",
    "Dimmi in quale lingua lo vuoi.",
    "Me diga em qual idioma deseja.",
    "请告诉我您要哪种语言。",
    "どの言語がよいか教えてください。",
)
COURTESY = (
    "Bonds are loans. Let me know what you think!",
    "Bonds are loans. Let me know if you want more.",
    "Bonds are loans. Please let me know what else you need.",
    "Anleihen sind Darlehen. Lass mich wissen, was du noch brauchst!",
    "Un bono es un préstamo. Hazme saber qué más necesitas.",
    "Why do bonds exist? States need money.",
    "Bonds or shares: both are traded. I'm happy to help.",
)


@pytest.mark.parametrize("reply", WANTED)
@pytest.mark.parametrize("words", ["in english please", "In English, please."])
def test_an_answer_to_the_agent_is_no_verdict(reply: str, words: str) -> None:
    """However the agent asks, with courtesy behind it or without a question mark."""
    assert asks(reply) == "question"
    assert hear(read_text("Translate this for me.", reply, words)).score == 0


@pytest.mark.parametrize("reply", COURTESY)
def test_courtesy_asks_for_nothing(reply: str) -> None:
    """What one thinks, what else there is, a question that the reply answers itself."""
    assert asks(reply) == "nothing"


def test_in_english_is_said_of_english_or_is_a_wish() -> None:
    """Of plain English it means that it was too hard; of French, the language."""
    words = "in english please"
    english = hear(read_text("What is a bond?", "A bond is a fixed-income instrument.", words))
    french = hear(read_text("What is a bond?", "C'est un titre que l'on achète.", words))
    assert (english.score, english.hint) == (-1, "Explain it in simple words.")
    assert (french.score, french.hint) == (-1, words)


HARD = (
    "thank you, that was hard to follow", "danke, das war schwer zu verstehen",
    "merci, c'était difficile à suivre", "gracias, fue difícil de seguir",
    "grazie, era difficile da seguire", "obrigado, foi difícil de entender", "谢谢，很难看懂",
    "ありがとう、理解しにくいです",
)  # fmt: skip


@pytest.mark.parametrize("words", HARD)
def test_thanks_for_what_was_hard_to_follow_are_no_praise(words: str) -> None:
    """Courtesy first, in every language."""
    heard = hear(read_text("What is a bond?", "It's a fixed-income instrument.", words))
    assert (heard.score, heard.hint) == (-1, "Explain it in simple words.")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("It's a fixed-income instrument.", "that was not hard to follow"),
        ("It's a fixed-income instrument.", "the film last night was hard to follow"),
        ("Kant is hard to read.", "yes, hard to understand"),
        ("It's a fixed-income instrument.", "why is it hard to follow?"),
    ],
)
def test_what_else_is_hard_is_no_complaint(reply: str, words: str) -> None:
    """A denial, a film, what the reply itself calls hard, a question."""
    assert hear(read_text("What is it?", reply, words)).score != -1
