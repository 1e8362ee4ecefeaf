"""What a person says that they do not want: more help, or what others wish of replies."""

import pytest

from learner.judges.acts.message import hear
from learner.judges.acts.wording import OWN_WORDING
from learner.judges.reading.reading import read_text
from tests.learner.judges.test_faults import heard

DNA = "DNA is a long molecule that carries the instructions for life."
SHORTER = OWN_WORDING["asks for shorter"]
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
# What others wish, denied before it or behind it.
DENIED = (
    "Please don't make it shorter.", "It doesn't have to be shorter.", "I don't need more detail",
    "a longer answer is not needed",
    "I don't want you to make it shorter.", "No need to make it shorter.",
    "Bitte nicht kürzer.", "Bloß nicht länger!", "Kürzer muss es nicht sein.", "Kürz es nicht.",
    "Ich will nicht dass du kürzer antwortest.",
    "Ich brauche nicht mehr Details.",
    "Ne fais pas plus court.", "Je n'ai pas besoin de plus de détails.",
    "ne raccourcis pas", "No hace falta que sea más corto.", "No lo hagas más corto.",
    "Ni más corto ni más largo.", "Non più corto, per favore.", "Non accorciarlo.",
    "Não precisa ser mais curto.",
    "不要更短。", "不需要更简单", "不需要更詳細", "短くしないでください", "簡単にしないで",
    "短くする必要はありません",
)  # fmt: skip
KEPT = (
    "Perfect, please don't make it shorter.", "Love it. Never make it shorter.",
    "Nice, it couldn't be shorter", "Genau richtig, nicht länger und nicht kürzer.",
    "Super, bitte nicht kürzer machen.", "Parfait, ne raccourcis pas.",
    "Merci, pas besoin de plus de détails.", "Gracias, no necesito más detalles.",
    "Perfetto, non farlo più corto.", "Ótimo, não precisa ser mais curto.",
    "太好了，不用更长", "完璧です。短くしないでください。",
)  # fmt: skip
# What is disliked, denied; another wish beside the no; a no that asks politely, or denies twice;
# what had been asked for.
WISHED = {
    "don't be so brief": "don't be so brief",
    "nicht so kurz": "nicht so kurz",
    "pas si court": "pas si court",
    "non così breve": "non così breve",
    "não tão curto": "não tão curto",
    "别这么短": "别这么短",
    "Don't use bullet points": "Don't use bullet points",
    "No, shorter!": SHORTER,
    "kürzer und nicht so förmlich": SHORTER,
    "sin introducción y más corto": "sin introducción y más corto",
    "No quiero una novela, más corto": SHORTER,
    "Couldn't it be shorter?": SHORTER,
    "Kannst du das nicht kürzer machen?": SHORTER,
    "Tu ne peux pas faire plus court ?": "Tu ne peux pas faire plus court ?",
    "Não podes fazer mais curto?": SHORTER,
    "That's not shorter!": SHORTER,
    "Ce n'est pas plus court !": SHORTER,
    "不要长，短一点": "不要长，短一点",
    "不要，短一点": SHORTER,
    "不必全部解释，简短点": SHORTER,
    "谢谢，不要，短一点": SHORTER,
    "Don't, make it shorter": None,
    "Danke, nicht so viel, kürzer": SHORTER,
    "merci, arrête, plus court": SHORTER,
    "obrigado, não precisa explicar tudo, seja breve": SHORTER,
    "Könnte das nicht kürzer sein": SHORTER,
    "Thanks, could this not be shorter": SHORTER,
    "Super, das ist ja gar nicht kürzer": SHORTER,
    "Great, it got no shorter": SHORTER,
    "genial, no creo que sea corto": SHORTER,
    "don't be afraid to give more detail": "Answer in more detail.",
    "don't make me ask for more detail": "don't make me ask for more detail",
    "ありがとう、短くするのを忘れないで": SHORTER,
    "no más corto": "no más corto",
    "no hazlo más corto": SHORTER,
    "now it's longer instead of shorter": SHORTER,
    "I said shorter, not longer": SHORTER,
    "Ich sagte kürzer, nicht länger": SHORTER,
    "j'ai dit plus court, pas plus long": SHORTER,
    "ho detto più corto, non più lungo": SHORTER,
}
# How something of their own life should be.
LIVED = (
    "L'été devrait être plus long.", "The kids should be shorter", "El año debería ser más corto",
    "I want a longer vacation.", "Days should be longer",
    "Meetings should be shorter.", "Life should be simpler", "My dress should be shorter",
    "Das Kleid sollte kürzer sein", "La vie devrait être plus simple.",
    "El vestido debería ser más corto", "La vita dovrebbe essere più semplice.",
    "A vida deveria ser mais simples.", "裙子应该更短",
)  # fmt: skip
OF_THE_REPLY = (
    "The answer should be shorter.", "Your replies should be simpler.", "I want a shorter answer.",
    "The definition should be shorter.", "I want more detail.", "should be shorter",
    "please use simpler vocabulary", "Das sollte kürzer sein.",
    "Quiero una respuesta más corta.",
    "La spiegazione dovrebbe essere più semplice.",
    "A resposta deve ser mais curta.", "答案要短一点",
)  # fmt: skip
# Parts of the reply, which have too many names for a list.
PARTS = (
    "the section should be shorter", "the bit about germs should be more detailed",
    "Bob should be funnier", "Der Ausdruck sollte förmlicher sein",
    "Die Ausführungen sollten kürzer sein", "La sección debería ser más corta",
    "La sezione dovrebbe essere più corta", "A parte sobre germes devia ser mais longa",
    "篇幅应该更短", "篇幅请更短", "原理请更详细",
)  # fmt: skip


@pytest.mark.parametrize("words", LIVED)
def test_what_should_be_otherwise_in_life_is_a_topic(words: str) -> None:
    """By words and by the encoder."""
    assert heard(words, question="What is DNA?", reply=DNA) == (0, None)


@pytest.mark.parametrize("words", PARTS)
def test_what_should_be_otherwise_in_a_part_is_a_wish(words: str) -> None:
    """By words or by the encoder."""
    assert heard(words, question="What is DNA?", reply=DNA)[0] == -1


def test_what_they_asked_about_is_no_topic_of_their_own() -> None:
    """Days of a trip stand in the reply."""
    asked = "Plan a 3-day trip to Rome."
    assert hear(read_text(asked, "First the Forum.", "The days should be shorter")).score == -1
    assert hear(read_text("What is DNA?", DNA, "The days should be shorter")).score == 0
    assert hear(read_text("我的假期怎么过？", "去海边。", "我想要更长的假期")).score == -1
    assert hear(read_text("What is DNA?", DNA, "我想要更长的假期")).score == 0


def test_a_denied_wish_is_one_beside_courtesy_alone() -> None:
    """Whatever else is said is heard as it would be."""
    assert hear(read_text("What is DNA?", DNA, "It's longer, not shorter!")).score == -1
    assert hear(read_text("What is DNA?", DNA, "Don't make it shorter. It's wrong.")).score == -1
    assert hear(read_text("What is DNA?", DNA, "Great, it couldn't be longer")).score == -1
    assert hear(read_text("What is DNA?", DNA, "Super, nicht kürzer!")).score == -1


@pytest.mark.parametrize("words", OF_THE_REPLY)
def test_what_should_be_otherwise_in_replies_is_a_wish(words: str) -> None:
    """The same words, with one for the reply, the agent or a form."""
    assert hear(read_text("What is DNA?", DNA, words)).score == -1


@pytest.mark.parametrize("words", DENIED)
def test_a_denied_wish_is_no_wish(words: str) -> None:
    """Least of all the opposite order."""
    found = hear(read_text("What is DNA?", DNA, words))
    assert (found.score, found.hint) == (0, None)


@pytest.mark.parametrize("words", KEPT)
def test_praise_beside_a_denied_wish_is_praise(words: str) -> None:
    """It should stay as it is."""
    assert hear(read_text("What is DNA?", DNA, words)).score == 1


@pytest.mark.parametrize(("words", "hint"), WISHED.items())
def test_a_no_to_something_else_leaves_the_wish(words: str, hint: str | None) -> None:
    """Its words, or the rule's own wording, and never the opposite."""
    found = hear(read_text("What is DNA?", DNA, words))
    assert (found.score, found.hint) == (-1, hint)


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
