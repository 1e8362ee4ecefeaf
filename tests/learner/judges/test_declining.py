"""Who needs no more help says nothing of the reply, and has the words of a complaint."""

import pytest

from learner.judges.acts.message import hear
from learner.judges.reading.reading import read_text
from tests.learner.judges.test_faults import heard

QUESTION, REPLY = "How do I boil eggs?", "In boiling water, for eight minutes. Need more help?"
DECLINED = (
    "I do not need any help", "I need no more help", "no further questions", "no help needed",
    "I need no help with that", "no, I won't need anything else",
    "No necesito ninguna ayuda, gracias", "ya no necesito más ayuda", "no hace falta más ayuda",
    "Não preciso de nenhuma ajuda", "não preciso de mais ajuda, obrigado",
    "Je n'ai besoin d'aucune aide", "plus besoin d'aide", "je n'ai besoin de rien d'autre",
    "Ich brauche keine Hilfe mehr", "keine weitere Hilfe nötig", "Hilfe brauche ich nicht",
    "Non ho bisogno di nessun aiuto, grazie", "non mi serve altro",
    "我不需要任何帮助", "不需要幫助了", "もう助けはいりません", "手伝いは不要です",
)  # fmt: skip
COMPLAINED = (
    "no help at all", "that's no help to me", "das ist keine Hilfe",
    "non mi è di nessun aiuto", "eso no es ninguna ayuda", "não ajudou nada",
    "ce n'est d'aucune aide", "一点帮助都没有", "没用", "助けになってない",
)  # fmt: skip


@pytest.mark.parametrize("words", DECLINED)
def test_who_needs_no_help_has_no_verdict(words: str) -> None:
    """Neither by words nor by the encoder."""
    for reply in (REPLY, "Eight minutes."):
        assert heard(words, question=QUESTION, reply=reply) == (0, None)


@pytest.mark.parametrize("words", COMPLAINED)
def test_no_help_is_a_complaint(words: str) -> None:
    """The same no, of the reply."""
    assert heard(words, question=QUESTION, reply="Eight minutes.")[0] == -1


def test_what_stands_beside_it_is_heard() -> None:
    """A complaint behind it, thanks before it."""
    reading = [
        read_text(QUESTION, "Eight minutes.", words)
        for words in ("I don't need any help, that was wrong.", "Great, thanks. No more questions.")
    ]
    assert [hear(each).score for each in reading] == [-1, 1]
    assert hear(read_text(QUESTION, REPLY, "no I need help")).kind != "declined"
    assert hear(read_text(QUESTION, REPLY, "I don't need your help with the salt.")).score == 0
