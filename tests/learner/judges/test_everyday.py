"""Everyday complaints and wishes that were missed, by kind: word lists alone, no encoder."""

import pytest

from learner.judges.acts.message import hear
from learner.judges.reading.reading import read_text

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


LATER = {
    "it could be better": (
        "could be better", "you can do better", "das geht besser", "si può fare di meglio",
        "podia ser melhor", "se puede mejorar", "peut mieux faire", "不太好", "いまいち",
    ),
    "useless, however it is said": (
        "hilft mir nicht weiter", "per niente utile", "nada útil", "pouco útil", "对我没帮助",
        "badly explained", "説明が下手",
    ),
    "says it again": ("ti ripeti", "ya lo dijiste", "já disse isso", "说过了", "さっきも言った"),
    "misread": (
        "darum ging es mir nicht", "lies bitte nochmal", "me entendiste mal",
        "no me has contestado",
        "leia a pergunta de novo", "误解我的意思了", "勘違いしています",
    ),
    "nonsense": ("che sciocchezza", "que bobagem", "qué tontería", "das kann nicht sein"),
    "half of it": (
        "nur die hälfte", "manca metà", "faltou metade", "不完整", "半分しかない",
        "du hast die hälfte vergessen",
    ),
    "nobody reads that": (
        "not reading all that", "das liest doch keiner", "ninguém lê isso tudo",
        "troppo testo",
    ),
    "its manner": (
        "das ist unhöflich", "sembri un robot", "pareces un robot", "没礼貌", "das klingt so steif",
    ),
    "to the point": (
        "komm bitte auf den punkt", "vai dritto al punto", "vai direto ao ponto",
        "kurzversion bitte",
        "puoi accorciarlo?", "要約して",
    ),
    "so much is enough": (
        "deux phrases me suffisent.", "mi bastano due frasi.", "duas frases bastam.",
        "please always finish by asking me something.",
    ),
    "just answer": (
        "réponds juste", "responde y ya", "rispondi e basta", "só responde",
        "hast nicht geantwortet",
    ),
    "why so much": (
        "pourquoi autant de texte", "por qué tanto texto", "personne ne lit ça", "nadie lee eso",
        "怎么这么多字", "没人会看这么多", "誰も読まないよ",
    ),
    "drawn out, or without its comma": (
        "waaaay to long", "太太太长了", "ちがーう", "no e sbagliato",
        "Ótimo, só que não era essa a minha pergunta.",
    ),
    "for a child": (
        "erklär es mir wie einem kind", "spiegamelo come a un bambino",
        "explícamelo como a un niño", "像给小孩讲一样解释", "子供にもわかるように",
    ),
}  # fmt: skip


@pytest.mark.parametrize("words", [each for kind in LATER.values() for each in kind])
def test_every_language_complains_and_wishes(words: str) -> None:
    """Ways of saying it that were missed, or heard as praise."""
    assert hear(read_text(QUESTION, REPLY, words)).score == -1


@pytest.mark.parametrize(
    "words",
    [
        "how can I do better at chess?", "what could be better than pizza?",
        "my essay was badly written, can you fix it", "it could be better to rent, right?",
        "mir geht es schon besser", "mir geht es nicht so gut", "mein Chef war unhöflich zu mir",
        "manca il latte in frigo", "il mio capo è maleducato",
        "c'è un errore nel mio codice, aiutami",
        "faltou luz em casa", "o que pode ser melhor que praia?", "falta um jogador no time",
        "mi abuelo está mal", "¿qué podría ser mejor que viajar?", "翻译成英文好不好", "我心情不好",
        "这家店不好吃", "这句话有错吗", "对不起，我误会了", "体調がよくない", "失礼します",
        "勘違いしていました、ごめん", "料理が下手です。どうすればいい？",
        "Die Suppe war zu salzig, kann ich sie retten?", "è un tappeto vecchio",
        "Dankeskarte für die Lehrerin, drei Zeilen bitte.", "给老师写一张感谢卡，三行就行。",
    ],
)  # fmt: skip
def test_what_only_sounds_alike_is_no_complaint(words: str) -> None:
    """Their own life, other things, questions."""
    assert hear(read_text(QUESTION, REPLY, words)).score == 0


@pytest.mark.parametrize(
    "words",
    [
        "Perfekt, danke dir! Und jetzt: wie putze ich Fenster?",
        "Parfait, merci ! Maintenant, comment nettoyer une bouilloire ?",
        "完璧です、ありがとう！次はやかんの洗い方を教えて。",
        "Genau das hab ich gebraucht.",
        "Proprio quello che mi serviva.",
        "Exactement ce qu'il me fallait.",
    ],
)
def test_praise_and_thanks_are_heard(words: str) -> None:
    """A short question alone may be about what the reply left out; behind a "now" it is new."""
    assert hear(read_text(QUESTION, REPLY, words)).score == 1


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("not short enough", "Answer in one short sentence only."),
        ("nicht kurz genug", "Answer in one short sentence only."),
        ("ce n'est pas assez court", "Answer in one short sentence only."),
        ("no es lo suficientemente corto", "Answer in one short sentence only."),
        ("nicht ausführlich genug", "Answer in more detail."),
        ("not formal enough", "Use a more formal tone."),
        ("non abbastanza formale", "Use a more formal tone."),
        ("não é formal o suficiente", "Use a more formal tone."),
        ("还不够简单", "Explain it in simple words."),
        ("not detailed enough", "Answer in more detail."),
        ("that's not short", "Answer in one short sentence only."),
        ("not exactly concise", "Answer in one short sentence only."),
        ("das ist nicht kurz", "Answer in one short sentence only."),
        ("das ist alles andere als kurz", "Answer in one short sentence only."),
        ("c'est pas court", "Answer in one short sentence only."),
        ("eso no es corto", "Answer in one short sentence only."),
        ("non è breve", "Answer in one short sentence only."),
        ("isso não é curto", "Answer in one short sentence only."),
        ("Still too long. One short sentence.", "Answer in one short sentence only."),
        ("Das ist immer noch zu lang", "Answer in one short sentence only."),
        ("toujours trop long", "Answer in one short sentence only."),
        ("Sigue siendo demasiado largo", "Answer in one short sentence only."),
        ("まだ長い", "Answer in one short sentence only."),
        ("that made it worse", None),
        ("difícil de ler", "Explain it in simple words."),
        ("hab ich alles schon probiert", None),
    ],
)
def test_too_little_is_a_complaint(words: str, hint: str | None) -> None:
    """It has the words of a fault that is denied: "not too short"."""
    told = hear(read_text(QUESTION, REPLY, words))
    assert (told.score, told.hint) == (-1, hint)


@pytest.mark.parametrize(
    "words",
    [
        "short enough", "kurz genug", "it's formal enough for my boss", "I'm not tall enough",
        "the rope is not long enough", "is it short enough?", "my skirt isn't short enough",
        "I was not formal enough in the mail", "we did not sleep long enough",
        "it's not a short walk", "my hair is not short", "what do you call that in French?",
        "not too long", "dieser Film ist nicht kurz", "das ist etwas anderes als Rotwein",
        "the dryer ruined my shirt", "mon fils dit que c'est difficile à lire",
        "not the short one, the long one", "pas la courte, la longue", "that is enough detail",
        "das sind genug Details", "it's difficult to read in the dark",
        "é difícil de ler no escuro",
    ],
)  # fmt: skip
def test_enough_is_enough(words: str) -> None:
    """And what is not enough of their own is no complaint."""
    assert hear(read_text(QUESTION, REPLY, words)).score == 0


def test_what_was_asked_for_and_is_not_there_is_a_complaint() -> None:
    """Of what replies may be or not, only what the question names."""
    for quality, hint in (
        ("formal", "Use a more formal tone."),
        ("detailed", "Answer in more detail."),
    ):
        words = f"that's not {quality}"
        assert hear(read_text(f"Write a {quality} note.", REPLY, words)).hint == hint
        assert hear(read_text(QUESTION, REPLY, words)).score == 0
