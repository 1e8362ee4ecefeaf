"""What the lexical judge hears: people's ordinary words in their context, kind by kind."""

import pytest

from learner.judges.lexical import LexicalJudge
from learner.link.conversation import Link
from streams.records import Judgement, Message
from tests.learner.turns import said, turn

QUESTION = "What is DNA?"
REPLY = "DNA is a long molecule that carries the instructions for life."


def heard(
    words: str, *, question: str = QUESTION, reply: str = REPLY
) -> tuple[int | None, str | None]:
    """Return score and hint of what was said after a reply; score None: no judgement at all."""
    given = judgement(words, question=question, reply=reply)
    return (None, None) if given is None else (given.score, given.hint)


def judgement(words: str, *, question: str = QUESTION, reply: str = REPLY) -> Judgement | None:
    """Let the judge hear what was said after a reply."""
    asked = turn(said(question), reply)
    link = Link(asked.id, "reply", (Message(role="user", content=words),), 2_000)
    return LexicalJudge().judge(asked, link)


def score(words: str, *, question: str = QUESTION, reply: str = REPLY) -> int | None:
    """Return the score of what was said after a reply."""
    return heard(words, question=question, reply=reply)[0]


@pytest.mark.parametrize(
    "words",
    [
        "Thanks, that's wrong.",
        "Perfect, that's not what I asked for.",
        "Thank you, but it's too long.",
        "Great, but you forgot the date.",
        "Danke, aber das ist falsch.",
        "Super, aber viel zu lang.",
        "Vielen Dank, das stimmt leider nicht.",
        "Merci, mais c'est trop long.",
        "Parfait, mais c'est faux.",
        "Merci beaucoup, ça ne marche pas.",
        "Gracias, pero está mal.",
        "Perfecto, pero es demasiado largo.",
        "Muchas gracias, no funciona.",
        "Grazie, ma è sbagliato.",
        "Perfetto, però è troppo lungo.",
        "Grazie mille, non funziona.",
        "Obrigado, mas está errado.",
        "Perfeito, mas é longo demais.",
        "Muito obrigada, não funciona.",
        "谢谢，太长了",
        "很好，但是不对",
        "谢谢你，可是看不懂",
        "ありがとう、でも違います",
        "いいですね、でも長すぎます",
        "ありがとうございます、ただ間違っています",
    ],
)
def test_courtesy_before_a_complaint_is_courtesy(words: str) -> None:
    """What stands behind the thanks decides."""
    assert score(words) == -1


@pytest.mark.parametrize(
    "words",
    ["Good, thanks, now Rome", "Danke! Und wie weit ist es von dort mit dem Zug nach Rom?",
     "Parfait, merci. Maintenant Rome", "Gracias, ahora Roma",
     "Perfetto, adesso Roma", "Obrigado! Agora Roma"],
)  # fmt: skip
def test_praise_before_the_next_task_is_praise(words: str) -> None:
    """What follows is new, and nothing is said against the reply."""
    assert score(words) == 1


@pytest.mark.parametrize(
    "words",
    ["Thanks, and what about Rome?", "Danke! Und der Preis?", "Parfait. Et à Rome ?",
     "Gracias, ¿y el precio?", "Perfetto, e a Roma?", "Obrigado! E em Roma?", "很好，那罗马呢？",
     "ありがとう。ローマは？"],
)  # fmt: skip
def test_a_short_question_behind_courtesy_leaves_it_open(words: str) -> None:
    """It is for something new, or for what the reply left out: no verdict."""
    assert score(words) == 0


@pytest.mark.parametrize(
    ("question", "reply", "words"),
    [
        ("Translate what I'll send you.", "Understood.", "Perfect, exactly what I wanted."),
        ("Prüfst du mir Kommas?", "Ja, füg den Text ein.", "Das ist leider falsch, danke."),
        ("Corrige ce que je t'envoie.", "D'accord.", "C'est trop long, recommencez."),
        ("下面我发句子，你翻译。", "好的。", "这不对，太长了。"),
        ("Organic or plain?", "Send 👍 for organic, 👎 for plain.", "👎"),
        ("Clean up my disk.", "I found 312 files. Shall I delete them?", "no, not the 312 files"),
        ("Tomato soup?", "Peel the tomatoes.", "sorry, I meant potato soup"),
        ("Tomatensuppe?", "Tomaten schälen.", "Ups, ich meinte Kartoffelsuppe"),
    ],
)
def test_what_a_reply_waits_for_is_no_verdict(question: str, reply: str, words: str) -> None:
    """A text that was asked for, a choice, a no to an offer, and people's own mistakes."""
    assert score(words, question=question, reply=reply) == 0


@pytest.mark.parametrize(
    "words", ["Great, another wall of text.", "muchas gracias, ahora que no lo puede ni oler"]
)
def test_courtesy_before_a_fault_is_no_praise(words: str) -> None:
    """ "Now" and "another" open a task, or a taunt."""
    assert score(words) != 1


@pytest.mark.parametrize(
    "words",
    ["Thanks, I found another recipe in my mother's book", "Great, Canberra has more people",
     "Danke, mein Bruder kocht heute", "谢谢，我明天去北京"],
)  # fmt: skip
def test_courtesy_before_what_is_not_understood_is_no_praise(words: str) -> None:
    """It may be a complaint in words that no list has."""
    assert score(words) in (0, -1)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("What is the capital of France?", "What is the capital of Spain?"),
        ("Set the living room light to 20 %", "Set the living room light to 80 %"),
        ("Wie wird das Wetter in Kiel?", "Wie wird das Wetter in Köln?"),
        ("青岛天气怎么样？", "三亚天气怎么样？"),
        ("status?", "status?"),
        ("Tell me a joke", "Tell me a joke"),
    ],
)
def test_another_question_or_a_programs_poll_is_no_complaint(question: str, words: str) -> None:
    """Nearly the same words ask something else; the very same may be asked on purpose."""
    assert score(words, question=question, reply="Done.") == 0


@pytest.mark.parametrize("words", ["Sag mir ein Rätsel.", "that's wrong", "thanks", "too long"])
def test_the_very_same_words_are_asked_on_purpose(words: str) -> None:
    """Whatever they would mean after another question."""
    assert heard(words, question=words) == (0, None)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("How do I reset the boiler?", "How do I reset the boiler??"),
        ("What is the boiling point of ethanol?", "so what is the boiling point of ethanol"),
        ("Wie setze ich den Router zurück?", "Ja aber wie setze ich den Router zurück?"),
    ],
)
def test_who_insists_was_not_answered(question: str, words: str) -> None:
    """The same question once more, with a word that insists."""
    assert score(words, question=question, reply="That is a wonderful question.") == -1


@pytest.mark.parametrize(
    "words",
    [
        "Observation:\nExecution logs:\nFalse\nLast output from code snippet:\nNone",
        "Observation:\nThank you for contacting support.",
        '{"error": "wrong argument", "code": 3}',
        'Traceback (most recent call last):\n  File "a.py", line 3\nValueError: wrong',
        "[System] Thanks, the job was saved.",
        "<tool_response>perfect</tool_response>",
        "Fehler: falscher Typ in Zeile 3",
        "结果：错误。第3行不正确。",
        "2024-05-01 10:22:31 WARN too long, truncated",
        "exit code 1: that's wrong",
    ],
)
def test_what_a_program_says_is_no_verdict(words: str) -> None:
    """Text of machines in the user's role gives no judgement, and no hint."""
    assert judgement(words) is None


@pytest.mark.parametrize(
    "words",
    [
        "Rewrite this politely:\nYou forgot the attachment again.",
        "Summarise this mail:\nHi,\nThank you for your application.",
        "„Das ist gut. Das ist falsch.“ Was heißt das?",
        'He said "that\'s wrong" to me',
        "> that's wrong\nwhat does it mean?",
        "```\nthat's wrong\n```",
        "Translate: that's wrong",
        "Übersetze ins Englische: Das ist falsch.",
        "翻译成英文：太长了",
        "「違います」を英語に訳して",
        "Dear Ms Kim,\nyour answer was wrong again.\nRegards, Tom",
        "★☆☆☆☆ Terrible, wrong and far too long.",
        "Anna: that's wrong\nBen: no, it's perfect",
    ],
)
def test_what_was_pasted_or_quoted_is_no_verdict(words: str) -> None:
    """Somebody else's words are to be worked on."""
    assert heard(words) == (0, None)


@pytest.mark.parametrize(
    "words",
    [
        "I said yes to the offer. What should I do now?",
        "I asked for a refund and they refused. What now?",
        "I mean, what else is there to see?",
        "I told him he was wrong and he hung up on me.",
        "Mein Chef sagt, der Bericht ist falsch und zu lang.",
        "J'ai demandé une augmentation et ils ont refusé. Je fais quoi ?",
        "El profe dijo que estaba todo mal y me suspendió.",
        "Ho chiesto un aumento e hanno detto di no. E adesso?",
        "O professor disse que estava tudo errado e me reprovou.",
        "老师说我全写错了，怎么办？",
        "上司に発表が長すぎると言われました。",
        "Yesterday was perfect, we won the match!",
    ],
)
def test_what_people_tell_of_themselves_is_no_verdict(words: str) -> None:
    """Good and bad news are about their own lives."""
    assert heard(words) == (0, None)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("The sun is a planet: true or false?", "False."),
        ("Should it be short or long?", "Shorter please"),
        ("How was the film?", "Way too long"),
        ("How do you like Sea Breeze?", "perfect"),
        ("Shall I book it?", "Yes please, thanks"),
        ("Richtig oder falsch: Wale sind Fische.", "falsch"),
        ("Vrai ou faux : la baleine est un poisson.", "faux"),
        ("¿Lo quieres corto o largo?", "más corto"),
        ("判断对错：鲸鱼是鱼。", "不对"),
        ("映画はいかがでしたか。", "長すぎました"),
        ("Tell me what you dislike about the hotel.", "too noisy"),
    ],
)
def test_an_answer_to_the_agents_question_is_no_verdict(reply: str, words: str) -> None:
    """The agent asked, the user answers."""
    assert heard(words, reply=reply) == (0, None)


def test_a_polite_end_of_a_reply_asks_nothing() -> None:
    """ "Anything else?" does not make an answer of a complaint."""
    assert score("That's wrong.", reply="It is 12. Is there anything else I can help with?") == -1


@pytest.mark.parametrize(
    "words",
    ["不对称加密是什么？", "很好吃的菜有哪些？", "日本語で「猫」は何ですか", "太长江的水有多深？",
     "正しいですか、この文は", "長野はどこですか"],
)  # fmt: skip
def test_words_have_borders_in_chinese_and_japanese(words: str) -> None:
    """A verdict's characters within another word are no verdict."""
    assert score(words) == 0


@pytest.mark.parametrize(("words", "right"), [("不对", -1), ("很好", 1), ("日本語で", -1)])
def test_the_same_characters_alone_keep_their_verdict(words: str, right: int) -> None:
    """What stands alone is meant."""
    assert score(words) == right


@pytest.mark.parametrize(
    "words",
    [
        "Thank you letter to my teacher, please write one.",
        "It's better to rent or to buy a house?",
        "Write a thank-you card for my nurse",
        "What is wrong with my tomato plants?",
        "My commute is too long, what can I do?",
        "Is it wrong to lie?",
        "Great Britain has how many people?",
        "Perfect numbers below 100?",
        "Mein Zug ist zu spät, was steht mir zu?",
        "Écris un mot de remerciement pour ma voisine",
        "¿Qué está mal en la frase «él van»?",
        "写一段感谢邻居的话",
        "隣人へのお礼の手紙を書いて",
    ],
)
def test_praise_and_complaint_as_the_topic_are_no_verdict(words: str) -> None:
    """They are what is asked about."""
    assert heard(words) == (0, None)


@pytest.mark.parametrize(
    ("words", "right"),
    [
        ("thats wrong", -1), ("its too long", -1), ("too  long", -1), ("tooo looong", -1),
        ("¡Demasiado largo!", -1), ("demasiado largo", -1), ("c'est trop détaillé", -1),
        ("cest trop long", -1), ("troppo lungoooo", -1), ("WRONG", -1), ("👎", -1), ("👎👎", -1),
        ("¡Gracias!", 1), ("graciasss", 1), ("thx", 1), ("THANKS!!!", 1), ("👍", 1), ("👍🏽", 1),
        ("dankee", 1), ("mercii", 1), ("谢谢啦", 1), ("ありがとー", 1),
    ],
)  # fmt: skip
def test_everyday_spelling_is_understood(words: str, right: int) -> None:
    """No apostrophes, no accents, doubled letters and spaces, lone signs."""
    assert score(words) == right


@pytest.mark.parametrize(
    "words",
    [
        "Please end with a question to me, so that we keep talking.",
        "Use bullet points.",
        "Could you make it sound friendlier?",
        "no emojis please",
        "In English, please",
        "Write it in the first person.",
        "Add a source.",
        "Stop apologising.",
        "Schreib bitte in ganzen Sätzen.",
        "Lieber als Tabelle.",
        "Hör auf, dich zu entschuldigen.",
        "Tutoie-moi.",
        "Sous forme de liste s'il te plaît",
        "Termina siempre con una pregunta para mí",
        "sin emojis por favor",
        "Chiudi sempre con una domanda per me",
        "Dammi del tu.",
        "Termina sempre com uma pergunta para mim",
        "Sem jargão, por favor.",
        "不要表情符号",
        "列成清单吧",
        "絵文字はやめて",
        "敬語でお願いします",
    ],
)
def test_a_wish_is_heard_and_becomes_the_hint(words: str) -> None:
    """Form, tone, person, ending, language, facts: in the person's own words."""
    given, hint = heard(words)
    assert given == -1
    assert hint is not None
    assert hint.rstrip(".!") in words


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("too long!", "Answer in one short sentence only."),
        ("kürzer bitte", "Answer in one short sentence only."),
        ("太长了", "Answer in one short sentence only."),
        ("I don't understand", "Explain it in simple words."),
        ("Más detalles, por favor", "Answer in more detail."),
        ("Too long. Use three bullet points.", "Use three bullet points."),
        ("that's nonsense", None),
        ("Das ist falsch.", None),
    ],
)
def test_what_is_only_disliked_gets_the_rules_wording_or_none(words: str, hint: str | None) -> None:
    """Where the words do not say what would be better, the rule does, if it knows."""
    assert heard(words) == (-1, hint)


@pytest.mark.parametrize(
    "words",
    [
        "Answer in one sentence: what is a bond?",
        "Keep it short this time. How far is Mars?",
        "In zwei Sätzen: was ist Gin?",
        "En deux mots : qui a construit la tour Eiffel ?",
        "Sé breve. ¿Qué altura tiene el Teide?",
        "In parole semplici: cos'è il gin?",
        "Em poucas palavras: quem pintou a Gioconda?",
        "用一句话说：什么是债券？",
        "一言で：ペルーの首都は？",
        "Explain gravity in one sentence.",
    ],
)
def test_a_wish_in_front_of_a_question_is_for_the_next_reply(words: str) -> None:
    """It is no complaint about the reply before it."""
    assert heard(words) == (0, None)


@pytest.mark.parametrize(
    "words",
    ["and of Peru?", "und von Chile", "et du Chili", "¿y de Chile?", "e del Cile?", "那智利呢？",
     "チリは？"],
)  # fmt: skip
def test_a_reply_that_obeyed_is_not_complained_of(words: str) -> None:
    """They go on with the next question."""
    asked = "Answer in one word: capital of Brazil?"
    assert heard(words, question=asked, reply="Brasília.") == (0, None)


@pytest.mark.parametrize(
    ("question", "reply", "words"),
    [
        ("When was it built?", "It was built in 1899.", "It was 1889, not 1899."),
        ("Give me three names for a grey cat.", "Rex, Bruno.", "I asked for a cat"),
        ("Who runs it?", "Ares runs it.", "nope, it's Zeus"),
        ("Wie heißt er?", "Er heißt Jürgen.", "Jörg, nicht Jürgen"),
        ("Un dessert sans gluten ?", "Une tarte au blé.", "j'ai dit sans gluten"),
        ("我叫什么？", "你叫李月。", "不是李月"),
    ],
)
def test_a_correction_is_read_against_question_and_reply(
    question: str, reply: str, words: str
) -> None:
    """A no before what the reply said, or what the question did: −1, with the words as hint."""
    given, hint = heard(words, question=question, reply=reply)
    assert given == -1
    assert hint is not None


@pytest.mark.parametrize(
    ("words", "right"),
    [
        ("Not too long at all, reads really well.", 1), ("not bad", 1),
        ("nothing wrong with it", 0),
        ("it isn't too long", 0), ("gar nicht schlecht", 1), ("c'est pas mal", 1),
        ("no está mal", 1), ("non è troppo lungo", 0), ("不长", 0), ("悪くないね", 1),
    ],
)  # fmt: skip
def test_a_denied_complaint_is_none(words: str, right: int) -> None:
    """It is praise where people mean praise by it."""
    assert score(words) == right
