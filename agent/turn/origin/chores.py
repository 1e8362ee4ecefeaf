r"""Tells a chore that a client asks for itself (a title, tags, a summary) from a person's request.

By the instruction that clients ship with it (templates), by what it orders (orders) or wants to be
decided (needs): each stands at the beginning of the last message or of the system's; or by its
form: one message that carries a transcript between tags and orders JSON.
Chores that only the conversation beside them gives away are told by the learner. A client that is
misjudged says `X-Turn-Type: main`; and a reply that somebody rates, or whose conversation goes on,
is learned from all the same.
"""

import re
from collections.abc import Sequence
from typing import Final

from agent.turn.origin.needs import asks_for_search
from agent.turn.origin.orders import is_order, is_role
from agent.turn.origin.templates import instructs
from streams.records import Message

# What a transcript stands between, and how a line of one begins.
_BEGIN: Final = re.compile(
    r"<(chat_history|conversation|messages|transcript|chat_log|dialogue?)>", re.IGNORECASE
)
_SPEAKER: Final = re.compile(
    r"^\W{0,6}(?:user|human|assistant|ai|bot|model|system)\W{0,6}\s{0,6}:",
    re.IGNORECASE | re.MULTILINE,
)
_JSON: Final = re.compile(r"\bjson\b", re.IGNORECASE)


def is_chore(messages: Sequence[Message]) -> bool:
    """Return whether a client asks this for itself, not for the person who uses it.

    Such an instruction is the last message, or the system's; older messages only quote. What the
    assistant is to go on with stands behind it (Claude Code begins the JSON that it wants so).

    >>> is_chore([Message(role="user", content="Please write a title for my essay on bees.")])
    False
    """
    asked = [message for message in messages if message.role != "assistant"]
    texts = [asked[-1].content] if asked else []
    texts += [
        message.content for message in messages[:1] if message.role in ("system", "developer")
    ]
    openings = [(text or "").lstrip() for text in texts]
    if any(map(instructs, openings)) or _is_form(messages):
        return True
    alone = all(message.role != "assistant" for message in messages[:-1])
    if any(is_order(text, alone=alone) or asks_for_search(text) for text in openings[:1]):
        return True
    begins = len(asked) == len(messages)  # behind replies the system's message is a product's
    return begins and any(is_role(text) or asks_for_search(text) for text in openings[1:])


def _is_form(messages: Sequence[Message]) -> bool:
    """Return whether a request is one message with a transcript in tags, and orders JSON."""
    said = [message for message in messages if message.role not in ("system", "developer")]
    if len(said) != 1 or said[0].role != "user":
        return False
    text = said[0].content or ""
    begin = _BEGIN.search(text)
    end = text.find(f"</{begin[1]}>", begin.end()) if begin else -1
    if begin is None or end < 0 or not _SPEAKER.search(text[begin.end() : end]):
        return False
    return _JSON.search(text[: begin.start()] + text[end:]) is not None
