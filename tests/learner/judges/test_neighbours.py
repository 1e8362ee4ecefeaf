"""Neighbours of what test_faults.py has: the same kinds of sentence in other words."""

import pytest

from learner.judges.acts.message import hear
from learner.judges.embedding import EmbeddingJudge
from learner.judges.judge import Judge
from learner.judges.reading.reading import read_text
from learner.judges.tuned.encoder import Chances
from learner.link.conversation import Link
from streams.records import Judgement, Message
from tests.learner.turns import said, turn

QUESTION = "Write a note to my landlord."
REPLY = "Dear Sir or Madam, I am writing to inform you that the heating is broken."
UNHAPPY = {
    "somewhat too much": (
        "Cheers. Bit long.", "un po' lungo", "etwas steif", "有点长", "super long",
    ),
    "only that": (
        "Just the name, no story.", "Solo il nome, grazie.", "Juste le chiffre, merci.",
        "grams not cups",
    ),
    "an ending": ("Please end with a riddle.", "termine par un proverbe", "termina com uma piada"),
    "words of the reply": ('Drop the "Dear Sir or Madam"',),
    "traditional characters": ("太長了", "謝謝，不過太正式了", "還是不對", "說重點"),
    "no order is praise": ("explain better", "be concise", "spiega meglio", "explica melhor"),
    "long in one word": ("textão", "lunghissimo", "长篇大论", "長文すぎ", "longwinded"),
    "the person in the verb": ("esqueceste-te do sal", "olvidaste la sal"),
    "everyday dislike": (
        "che palle", "que chatice", "不怎么样", "微妙", "overkill", "naja", "pas ouf",
        "menudo rollo",
    ),
    "not what was meant": (
        "ho chiesto altro", "perguntei outra coisa", "没说到点子上", "思ってたのと違う",
        "not quite what I had in mind",
    ),
    "beside a name": (
        "You called it New South Wales. That's wrong.", "a function called sort is wrong",
    ),
    "typos": ("dosnt work", "thats wrng", "demaciado largo"),
}  # fmt: skip


@pytest.mark.parametrize("words", [each for kind in UNHAPPY.values() for each in kind])
def test_the_neighbours_count_against_the_reply(words: str) -> None:
    """Each stands for a kind."""
    assert hear(read_text(QUESTION, REPLY, words)).score == -1


@pytest.mark.parametrize(
    "words",
    [
        "谢谢惠顾是什么意思",
        "My name is Anna.",
        "just a question",
        "Lyrics for a song called Too Long please",
        "play Too Short",
        "do you know the film The Wrong Answer",
        "una canción llamada Demasiado Larga, por favor",
        "Only the second one.",
        "I'm a bit short on time",
        "End the subscription with Netflix",
        "no suena mal",
        "it's not that it's too long",
        "nicht dass es falsch wäre",
        "eso no es un problema",
        "夫はもっと長いほうがいいと言っています。",
        "奶奶不喜欢表情符号。",
        "Your previous response could not be parsed as JSON.",
        "Diese Nachricht wurde automatisch erstellt. Bitte antworten Sie kürzer.",
        'What does "Dear Sir or Madam" mean?',
    ],
)
def test_what_only_looks_like_them_does_not(words: str) -> None:
    """Topics, denials, other people, programs."""
    assert hear(read_text(QUESTION, REPLY, words)).score == 0


def test_thanks_before_the_next_task_stay_thanks() -> None:
    """However the task is announced."""
    for words in (
        "Great, thank you! Next: the capital of Peru.",
        "Perfetto, grazie. Ora il Canada.",
    ):
        assert hear(read_text("The capital of Chile?", "Santiago.", words)).score == 1


def judged(judge: Judge, words: str) -> Judgement | None:
    """Let it judge what was said after the reply."""
    asked = turn(said(QUESTION), REPLY)
    return judge.judge(
        asked, Link(asked.id, "reply", (Message(role="user", content=words),), 2_000)
    )


@pytest.mark.parametrize(
    "words",
    [
        "My wife likes it shorter.",
        "Meine Frau mag es kürzer.",
        "Ma femme le préfère plus court.",
        "A mi mujer le gusta más corto.",
        "A mia moglie piace più corto.",
        "A minha mulher gosta mais curto.",
        "我老婆喜欢短一点的。",
        "妻は短いほうが好きです。",
        "Kids want it short and funny.",
    ],
)
def test_what_others_like_is_no_verdict(words: str) -> None:
    """However unhappy it sounds."""
    sure = EmbeddingJudge(lambda _: Chances(0.99, 0.005, 0.005, 0.9))
    assert judged(sure, words) is None


def test_what_they_like_themselves_is_one() -> None:
    """And a correction that is about somebody else is one, too."""
    sure = EmbeddingJudge(lambda _: Chances(0.99, 0.005, 0.005, 0.9))
    for words in ("A mí me gusta más corto", "Her name is Ruth, not Rachel."):
        found = judged(sure, words)
        assert found is not None
        assert found.score == -1


@pytest.mark.parametrize(("unhappy", "stays"), [(0.6, True), (0.95, False)])
def test_plain_thanks_are_doubted_less(unhappy: float, stays: bool) -> None:
    """Where a message is courtesy and a task alone, only a chance below 0.1 doubts it."""
    judge = EmbeddingJudge(lambda _: Chances(unhappy, 0.0, 1 - unhappy, 0.0))
    found = judged(judge, "Perfect, thanks. And now Canada.")
    assert (found is None) is stays
