"""Tells by rules whether a wish is against what the operator orders in the system prompt.

The operator's words stand: a version that learns "in English, please" of a service that is told to
answer in German would break them in every conversation. Orders that hold sometimes ("if somebody
asks for a list, use one") forbid nothing; where it is unsure whether one forbids, it orders.
"""

import re
from collections.abc import Iterable
from typing import Final

from learner.form.directions import directions_of, forbidden_in, opposes, orders_of

AGAINST: Final = "against the operator's words"
_ROLES: Final = ("system", "developer")
READ_CHARS: Final = 8000  # of a system prompt
_SENTENCE: Final = re.compile(r"[^.!?。！？\n]+")
_SOMETIMES: Final = re.compile(
    r"\b(?:if|when|whenever|unless|may|might|can|could|where|wenn|falls|sofern|kannst|darfst|"
    r"si|quand|lorsque|peux|pouvez|cuando|puedes|puede|se|quando|puoi|può|podes|pode)\b"
    r"|如果|当|可以|もし|場合|なら",
    re.IGNORECASE,
)


def against_operator(messages: Iterable[tuple[str, str | None]], wish: str) -> str:
    """Return the operator's sentence that no reply can meet together with a wish; empty: none.

    messages: role and text of a request's messages

    >>> against_operator([("system", "You help. Always answer in German.")], "In English, please")
    'Always answer in German'
    >>> against_operator([("system", "If asked, answer in German.")], "In English, please")
    ''
    """
    wished, forbidden = directions_of(wish), frozenset(forbidden_in(wish))
    if not wished and not forbidden:
        return ""
    for role, text in messages:
        if role not in _ROLES:
            continue
        for found in _SENTENCE.finditer((text or "")[:READ_CHARS]):
            sentence = found[0].strip()
            if _SOMETIMES.search(sentence):
                continue
            ordered, banned = orders_of(sentence)
            if opposes(ordered, wished) or not forbidden.isdisjoint(ordered):
                return sentence
            if not frozenset(wished).isdisjoint(banned):
                return sentence
    return ""
