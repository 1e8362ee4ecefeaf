r"""Tells an order that a program gives about a conversation: name it, sum it up, ask what is next.

Clients word such orders each in their own way, and anew with every release, but all of them name
what they want (a title, a summary, tags, questions that may follow, queries, facts, a mood), name
a conversation or what somebody said in it as what it is made of, and bind the answer's form
("only", "nothing else", "in 5 words or less", JSON), since a program reads it. Whatever but a title
is wanted of the conversation, the order also speaks to a machine ("You are an …", "Your task is",
"## Role"). Where a message shows no transcript, it must name this conversation: threads, sessions
and messages are people's, too (agent.turn.origin.talks), and so is an order that speaks of who
gives it, or asks (agent.turn.origin.people).

Linear in the text's length: only its opening is read.
"""

import re
from dataclasses import dataclass
from typing import Final

from agent.turn.origin.people import is_persons
from agent.turn.origin.talks import SAID, SAYINGS, THIS, USERS, WHOLE, goes_on, without_shown
from agent.turn.origin.templates import OPENING_CHARS

# What is wanted and what it is made of stand in one clause: so far apart at most.
_CLAUSE: Final = r"[^.!?。？！]{0,100}"

# What is wanted of it: a name;
_TITLE: Final = (
    r"(?:\b(?:titles?|titling|titel|überschrift|titre|título|titolo|заголовок|название|"
    r"(?:name|topic|subject|label)\b(?= (?:of|for|to)\b))\b|标题|標題|主题|タイトル|제목)"
)
# less of it, or what is kept of it;
_LESS: Final = (
    r"(?:\b(?:summary|summaries|summari[sz]\w+|condens\w+|compact\w*|compress\w*|handoff|tag\w*|"
    r"keywords?|categor\w+|memor(?:y|ies)|facts?|preferences|entit(?:y|ies)|nouns|emojis?|mood|"
    r"sentiment|satisf\w+|intent\w*|classif\w+|zusammenfass\w+|résum\w+|resum\w+|riassum\w+)\b|"
    r"总结|摘要|概括|关键词|要約)"
)
# what may be asked next, or looked up for it.
_MORE: Final = (
    r"(?:\b(?:follow[- ]?ups?|suggestions?|standalone|(?:search )?quer(?:y|ies)|"
    r"(?:re-?phras|rewrit|rewrite|reformulat)\w*\b[^.!?]{0,60}\bquestion|"
    r"(?:detect|identify|recogni[sz]e|determine) (?:the |which |what )?languages?\b"
    r"(?![^\n]{0,200}\bin (?:it|that|this|the same)\b)|"
    r"(?:different|alternative) versions|(?:web )?search|(?:speak|act|go) next)\b|检索词)"
)
_NEXT: Final = re.compile(
    r"(?:\A|[.!?:\n]\s{0,4}|\b(?:please|now|to|task is)\s)"
    r"(?:predict|suggest|generate|guess|propose|anticipate|write|provide|create)\b[^.!?\n]{0,80}"
    r"\b(?:user|human)\b[^.!?\n]{0,40}\b(?:ask|say|send|type|want|reply)\b[^.!?\n]{0,30}\bnext\b",
    re.IGNORECASE,
)
_FORM: Final = re.compile(
    r"\b(?:only|nothing else|just the|json|xml|do not|don['’]t|must not|avoid|exactly|without|"
    r"(?:say|with) (?:yes or no|\d or \d)|"
    r"one per line|comma[- ]separated|separated by|enclose|format|output|exceed|"
    r"no (?:other|additional|extra|more|quotes?|quotation|punctuation|explanation|preamble)|"
    r"(?:words?|characters|sentences?) (?:or (?:less|fewer)|max\w*|at most|long)|"
    r"(?:max(?:imum)?|at most|less than|fewer than|up to|under|within|no more than|than)\W{1,2}"
    r"(?:of )?(?:\d+|two|three|four|five|six|eight|ten|twenty|fifty)|"
    r"(?:\d+|two|three|four|five|six|ten)\W{0,3}(?:to|or)?\W{0,3}\w{0,4}[- ]words?|"
    r"nur|höchstens|uniquement|seulement|solo|solamente|únicamente|apenas|somente|только)\b|"
    r"[只仅]|不要|のみ|だけ|以内|以下で",
    re.IGNORECASE,
)
_MACHINE: Final = re.compile(
    r"(?:\A|[\n.:*#>]\s{0,4})\W{0,6}(?:you are (?:an?|the|maintaining|performing|given)\b|"
    r"you (?:will|need to|have been provided)\b|your (?:\w+ )?(?:task|job|role|goal|purpose)\b|"
    r"#{1,4} ?(?:role|task|instructions?)\b|<(?:role|task|instructions?)>|ignore previous\b|role:|"
    r"analy[sz]e (?:if|the|this|\*)|based on the (?:chat|conv|messages)|"
    r"given (?:a|an|the|this)\b|"
    r"(?:generate|provide|suggest|create|write|produce)\b.{0,40}\bthe user\b)|"
    r"\b(?:next|another) (?:agent|llm|model)\b|\A(?:你是|你的任务|作为|#{1,4} ?你的任务|あなたは)",
    re.IGNORECASE,
)
# A message's first sentence, and how far behind it the order itself may end.
_FIRST: Final = re.compile(r".{1,250}?(?:[.!?。：:](?=\s)|\n|\Z)", re.DOTALL)
_REST_CHARS: Final = 160
# A product's own conversation with people.
_PRODUCT: Final = re.compile(
    r"\b(?:answers?|answering|chat with|talk to|converse|helpful|help|greet|refuse)\b",
    re.IGNORECASE,
)
# What is not ordered, but allowed, or told of: "you may summarise the chat if somebody asks".
_ALLOWED: Final = re.compile(
    r"\b(?:may|can|could|if|when|whenever|able to|asked to|help\w*|change|never|don['’]t|do not|"
    r"every|stop)\b[^.!?\n]{0,40}\Z",
    re.IGNORECASE,
)


def _of(what: str, talk: str) -> str:
    before = (
        r"\b(?:based on|given|from|analy[sz]e|summari[sz]e|below is|here is|reading)\b[^.!?]{0,40}"
    )
    behind = (
        rf"(?:{before}{talk}|\A(?:\W{{0,12}}|\w{{3,12}} |[^\x00-\x7f]{{1,4}}){talk}){_CLAUSE}{what}"
    )
    return f"{what}{_CLAUSE}{talk}|{behind}|{talk} {what}"


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


# Every order has one of these in it; most messages have none, and are told from one in no time.
_TALKS: Final = (
    "conversa", "chat", "dialog", "thread", "messages", "transcript", "session", "gespräch",
    "unterhaltung", "разговор", "диалог", "чат", "对话", "對話", "會話", "会话", "会話", "聊天",
    "대화",
)  # fmt: skip
_SAYS: Final = re.compile(SAID, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Orders:
    """What is ordered of a conversation, in the words that may mean one."""

    title: re.Pattern[str]
    made: re.Pattern[str]  # less of it, or more


def _orders(whole: str, said: str, *, definite: str = "") -> _Orders:
    talk = f"(?:{whole}|{said})"
    return _Orders(
        _any(_of(_TITLE, talk), rf"\b(?:name|title|label) {definite}{whole}",
             rf"{definite}{whole} a (?:\w+ )?(?:name|title)"),
        _any(_of(_LESS, whole), _of(_MORE, talk)),
    )  # fmt: skip


_OF_ANY: Final = _orders(WHOLE, SAID, definite="(?:this|the) ")
_OF_THIS: Final = _orders(THIS, USERS)
_WANTED: Final = _any(_TITLE, _LESS, _MORE, r"\b(?:topic|subject)\b")
_TALK_AT_ALL: Final = _any(WHOLE)


def is_order(text: str, *, alone: bool = True) -> bool:
    """Return whether a message orders something to be made of a conversation.

    alone: no replies stand before it; who sends these need not show what was said

    >>> is_order("Give this chat a name in 4 words or less. Reply only with the name.")
    True
    >>> is_order("Give the thread a name in 4 words or less. Reply only with the name.")
    False
    """
    if not _may_be_one(text[:OPENING_CHARS]):
        return False
    shown = without_shown(text)
    if shown is None:
        return _is_clients(text[:OPENING_CHARS], shown=False)
    if not alone or goes_on(text):
        return False
    before, behind = shown
    before = before[:OPENING_CHARS]
    return _is_clients(before, shown=True) or _is_clients(
        f"{before}\n{behind}", behind=behind, shown=True
    )


def _is_clients(order: str, *, behind: str = "", shown: bool) -> bool:
    """Return whether a client orders this of a transcript, or of what was said before.

    behind: what of it stands behind the transcript
    """
    if not _is_ordered(order, shown=shown):
        return False
    said, _, _ = order.lstrip().partition("\n\n")  # what it is about stands apart from the order
    return not is_persons(said) and not is_persons(behind)


def _is_ordered(order: str, *, shown: bool) -> bool:
    """Return whether something is ordered to be made of a conversation, whoever orders it."""
    orders = _OF_ANY if shown else _OF_THIS
    spoken_to = shown or _MACHINE.search(order) is not None
    formed = _FORM.search(order) is not None
    if (formed or spoken_to) and _ordered(orders.title, order):
        return True
    if not formed:
        return False
    if shown and _TALK_AT_ALL.search(order) and _WANTED.search(order):
        return True
    return _NEXT.search(order) is not None or (spoken_to and _ordered(orders.made, order))


def is_role(text: str) -> bool:
    """Return whether a system's message has nothing else in view than such an order.

    Its first words say so: what a product does beside answering stands behind them.

    >>> is_role("You are a chat title generator. Reply only with the title.")
    True
    >>> is_role("You are a helpful assistant. Summarise the user's question before you answer.")
    False
    """
    opening = text[:OPENING_CHARS]
    if not _may_be_one(opening):
        return False
    first = _FIRST.match(opening)
    if first is None or _PRODUCT.search(opening) is not None:
        return False
    formed = _FORM.search(opening) is not None
    near = opening[: first.end() + _REST_CHARS]
    if formed and (_ordered(_OF_ANY.title, near) or _ordered(_OF_ANY.made, near)):
        return True
    return _ordered(_OF_ANY.made, first[0]) or _ordered(_OF_ANY.title, first[0])


def _may_be_one(opening: str) -> bool:
    """Return whether anything is named that was said, or may be said next."""
    lower = opening.lower()
    if any(talk in lower for talk in _TALKS) or ("next" in lower and _NEXT.search(opening)):
        return True
    return any(saying in lower for saying in SAYINGS) and _SAYS.search(opening) is not None


def _ordered(wanted: re.Pattern[str], opening: str) -> bool:
    return any(_ALLOWED.search(opening[: x.start()]) is None for x in wanted.finditer(opening))
