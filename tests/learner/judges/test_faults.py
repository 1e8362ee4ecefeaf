"""Small inputs that were heard wrong once, with all judges of the default together."""

import pytest

from learner.judges.judge import combine
from learner.judges.open import open_judges
from learner.link.conversation import Link
from learner.settings import LearnerSettings
from streams.records import Message
from tests.learner.turns import said, turn

QUESTION = "What is photosynthesis?"
REPLY = "Photosynthesis is a process by which plants turn light into sugar."
JUDGES = open_judges(LearnerSettings())
DISLIKED = (
    "Thanks, that's wrong.", "Perfect, that's not what I asked for.", "Danke, aber das ist falsch.",
    "Merci, mais c'est trop long.", "谢谢，太长了", "thats wrong", "its too long", "too  long",
    "¡Demasiado largo!", "👎", "不对", "日本語で", "Too long. Answer in one short sentence only.",
    "Please end with a question to me, so that we keep talking.",
)  # fmt: skip
LIKED = ("Good, thanks, now Rome", "¡Gracias!", "👍", "很好")
NOTHING = (
    "Observation:\nExecution logs:\nFalse\nLast output from code snippet:\nNone",
    "Observation:\nThank you for contacting support.",
    "Rewrite this politely:\nYou forgot the attachment again.",
    "Summarise this mail:\nHi,\nThank you for your application.",
    "„Das ist gut. Das ist falsch.“ Was heißt das?",
    "I said yes to the offer. What should I do now?",
    "I asked for a refund and they refused. What now?", "I mean, what else is there to see?",
    "不对称加密是什么？", "很好吃的菜有哪些？", "日本語で「猫」は何ですか",
    "Thank you letter to my teacher, please write one.",
    "It's better to rent or to buy a house?", "Answer in one sentence: what is a bond?",
)  # fmt: skip


def heard(words: str, *, question: str = QUESTION, reply: str = REPLY) -> tuple[int, str | None]:
    """Return score and hint of all that the judges say together; 0 where they say nothing."""
    asked = turn(said(question), reply)
    link = Link(asked.id, "reply", (Message(role="user", content=words),), 2_000)
    given = [judge.judge(asked, link) for judge in JUDGES if judge.reads is Link]
    verdict = combine(judgement for judgement in given if judgement is not None)
    return (0, None) if verdict is None else (verdict.score, verdict.hint)


@pytest.mark.parametrize("words", NOTHING)
def test_what_is_not_about_the_reply_is_no_verdict(words: str) -> None:
    """Machines, pasted text, stories, topics, and wishes for what comes next: no hint either."""
    assert heard(words) == (0, None)


@pytest.mark.parametrize("words", DISLIKED)
def test_what_is_disliked_is_never_praise(words: str) -> None:
    """Courtesy, everyday spelling, signs, wishes."""
    assert heard(words)[0] == -1


@pytest.mark.parametrize("words", LIKED)
def test_praise_stays_praise(words: str) -> None:
    """With the next question behind it or not."""
    assert heard(words) == (1, None)


@pytest.mark.parametrize(
    ("question", "words", "reply"),
    [
        ("What is the capital of France?", "What is the capital of Spain?", "Paris."),
        ("Set the living room light to 20 %", "Set the living room light to 80 %", "Done."),
        ("status?", "status?", "All is well."),
        ("Quiz me.", "False.", "The sun is a planet: true or false?"),
        ("Answer in one word: capital of Brazil?", "and of Peru?", "Brasília."),
    ],
)
def test_the_context_decides(question: str, words: str, reply: str) -> None:
    """Another question, a heartbeat, an answer to the agent, a reply that obeyed."""
    assert heard(words, question=question, reply=reply) == (0, None)


@pytest.mark.parametrize(
    "words",
    [
        "that was of no help whatsoever", "That was no help at all.", "this didn't help me at all",
        "Das war überhaupt keine Hilfe.", "ça ne m'aide pas du tout", "eso no me ayuda en nada",
        "isso não me ajudou em nada", "完全没有帮助", "全然役に立ちませんでした",
        "Das ist keine große Hilfe", "Ce n'était d'aucune aide.", "No fue de ninguna ayuda.",
        "Não foi de grande ajuda.", "Non è stato di nessun aiuto.",
    ],
)  # fmt: skip
def test_a_short_fact_can_be_of_no_help(words: str) -> None:
    """A plain complaint counts, however right and short the reply was."""
    assert heard(words, question="How high is Mont Blanc?", reply="4,806 metres.")[0] == -1


@pytest.mark.parametrize(
    "words",
    [
        "sorry, I meant the other one", "oops, wrong chat", "my mistake, I misread it",
        "ach so, ich meinte den anderen, sorry", "pardon, je voulais dire l'autre",
        "perdón, quise decir el otro",
    ],
)  # fmt: skip
def test_somebodys_own_mistake_is_none_of_the_reply(words: str) -> None:
    """What people take back of their own words is no complaint."""
    assert heard(words, question="How high is Mont Blanc?", reply="4,806 metres.") == (0, None)
