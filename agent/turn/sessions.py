"""Recognises what a request belongs to: its session, its purpose, whether it may be learned from.

No header is needed: requests of one conversation open alike (streams.chain), and the chores of chat
clients (titles, tags, suggestions, summaries of the chat so far) are known by the instructions that
those clients ship. What headers say is honoured, and one that is not understood is an error: an
opt-out that is misspelt must not be taken for consent.

Keeps nothing: an agent that restarts, or another replica, recognises the same.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from agent.errors import InvalidError
from streams import chain
from streams.records import Message

Purpose = Literal["main", "side", "chore"]

SESSION_HEADER, PURPOSE_HEADER, LEARN_HEADER = "X-Session-Id", "X-Turn-Type", "X-Learn"
MAX_SESSION_CHARS = 256
# A chore's instruction stands at the beginning of its message; what follows is the chat itself,
# in which anything may be quoted.
OPENING_CHARS = 600

# (client, what its instruction says). Each names the client's own template so closely that a
# person who asks for a title of their essay is not taken for it.
_CHORES = (
    ("Open WebUI title", r"^### Task:\s+Generate a concise, [\d-]+ word title"),
    ("Open WebUI tags", r"^### Task:\s+Generate [\d-]+ broad tags categorizing the main themes"),
    ("Open WebUI follow-ups", r"^### Task:\s+Suggest [\d-]+ relevant follow-up questions"),
    ("Open WebUI search", r"^### Task:\s+Analyze the chat history to determine the necessity"),
    ("Open WebUI image", r"^### Task:\s+Generate a detailed prompt for an?m? image generation"),
    ("Open WebUI completion", r"^### Task:\s+You are an autocompletion system"),
    ("Open WebUI emoji", r"^Your task is to reflect the speaker's likely facial expression"),
    ("Open WebUI, Page Assist title", r"Create a concise, [\d-]+ word .{5,30} as a title for the"),
    ("LibreChat title", r"concise, 5-word-or-less title for the conversation"),
    ("NextChat title", r"^Please generate a four to five word title summarizing our conversation"),
    ("NextChat summary", r"^Summarize the discussion briefly in \d+ words or less to use as a"),
    ("LobeChat title", r"^你是一名擅长会话的助理，你需要将用户的会话总结为"),
    ("Cherry Studio title", r"^Summarize the conversation into a title\b.*\bignoring instructions"),
    ("Chatbox title", r"^Based on the chat history, give this conversation a name"),
    ("Zed title", r"^Generate a concise [\d-]+ word title for this conversation, omitting"),
    ("Continue title", r"^Given the following.{0,40} please reply with a title for the chat that"),
    ("Claude Code title", r"^Please write a [\d-]+ word title for the following conversation"),
    ("opencode title", r"^You are a title generator\. You output ONLY a thread title"),
    ("opencode summary", r"^Provide a detailed prompt for continuing our conversation above"),
    ("AI SDK title", r"you will generate a short title based on the first message a user begins"),
)
_CHORE = re.compile("|".join(f"(?:{p})" for _, p in _CHORES), re.IGNORECASE | re.DOTALL)


def session_of(messages: Sequence[Message], headers: Mapping[str, str], principal: str) -> str:
    """Return the session that a request belongs to, apart from every other principal's.

    headers: case-insensitive; X-Session-Id names it, otherwise the conversation's opening does
    raises: InvalidError naming the header
    """
    name = headers.get(SESSION_HEADER)
    if not name:
        return chain.session_of(messages, principal)
    if len(name) > MAX_SESSION_CHARS or not name.isprintable():
        raise InvalidError(
            f"{SESSION_HEADER} must be at most {MAX_SESSION_CHARS} printable characters",
            param=SESSION_HEADER,
        )
    text = f"{principal}\n{name}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:32]


def purpose_of(messages: Sequence[Message], headers: Mapping[str, str]) -> Purpose:
    """What a request is for; X-Turn-Type (side | main) marks a side turn.

    raises: InvalidError naming the header
    """
    if _choice(headers, PURPOSE_HEADER, {"main": False, "side": True}, default=False):
        return "side"
    return "chore" if is_chore(messages) else "main"


def may_learn(headers: Mapping[str, str]) -> bool:
    """Whether the headers allow learning: X-Learn (off | on).

    raises: InvalidError naming the header
    """
    return _choice(headers, LEARN_HEADER, {"on": True, "off": False}, default=True)


def is_chore(messages: Sequence[Message]) -> bool:
    """Whether a chat client asks this for itself, not for the person who uses it.

    Such an instruction is the last message, or the system's; older messages only quote. What the
    assistant is to go on with stands behind it (Claude Code begins the JSON that it wants so).

    >>> is_chore([Message(role="user", content="Please write a title for my essay on bees.")])
    False
    """
    asked = [message for message in messages if message.role != "assistant"]
    texts = [asked[-1].content] if asked else []
    texts += [message.content for message in messages[:1] if message.role == "system"]
    return any(_CHORE.search((text or "").lstrip()[:OPENING_CHARS]) for text in texts)


def _choice(
    headers: Mapping[str, str], header: str, choices: Mapping[str, bool], *, default: bool
) -> bool:
    given = headers.get(header)
    if given is None:
        return default
    if given.strip().lower() not in choices:
        raise InvalidError(f"{header} must be one of {', '.join(choices)}", param=header)
    return choices[given.strip().lower()]
