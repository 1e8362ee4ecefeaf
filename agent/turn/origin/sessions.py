"""Recognises what a request belongs to: its session, its purpose, whether it may be learned from.

No header is needed: requests of one conversation open alike (streams.chain), and the chores of chat
clients are known by what they order (agent.turn.origin.chores). What headers say is honoured, and
one of ours that is not understood is an error: an opt-out that is misspelt must not be taken for
consent.

Keeps nothing: an agent that restarts, or another replica, recognises the same.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from agent.errors import InvalidError
from agent.turn.origin.chores import is_chore
from streams import chain
from streams.records import Message

Purpose = Literal["main", "side", "chore"]
Choice = TypeVar("Choice")

SESSION_HEADER, PURPOSE_HEADER, LEARN_HEADER = "X-Session-Id", "X-Turn-Type", "X-Learn"
SERVE_HEADER = "X-Server-Tools"
OURS = (SESSION_HEADER, PURPOSE_HEADER, LEARN_HEADER, SERVE_HEADER)
# What clients send without being told to: Open WebUI (ENABLE_FORWARD_USER_INFO_HEADERS), opencode,
# and what gateways call a conversation.
CLIENT_HEADERS = ("X-OpenWebUI-Chat-Id", "X-OpenCode-Session", "X-Conversation-Id", "X-Chat-Id")
METADATA = ("session_id", "chat_id", "conversation_id", "thread_id")
MAX_SESSION_CHARS = 256


def prove_once(headers: Iterable[tuple[str, str]]) -> None:
    """Refuse a header of ours that comes more than once and says different things.

    headers: all that came, a name as often as it did
    raises: InvalidError naming the header
    """
    came = [(name.lower(), value.strip()) for name, value in headers]
    for name in OURS:
        if len({value for each, value in came if each == name.lower()}) > 1:
            raise InvalidError(f"{name} says two things: send it once", param=name)


def session_of(
    messages: Sequence[Message],
    headers: Mapping[str, str],
    principal: str,
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Return the session that a request belongs to, apart from every other principal's.

    headers: case-insensitive; X-Session-Id names it, else what clients send by themselves does
    metadata: the body's, likewise; without a name the conversation's opening tells it
    raises: InvalidError when X-Session-Id is no name
    """
    name = headers.get(SESSION_HEADER)
    if name and not _is_name(name):
        raise InvalidError(
            f"{SESSION_HEADER} must be at most {MAX_SESSION_CHARS} printable characters",
            param=SESSION_HEADER,
        )
    name = name or _name_of(headers, CLIENT_HEADERS) or _name_of(metadata or {}, METADATA)
    return named_session(name, principal) if name else chain.session_of(messages, principal)


def named_session(name: str, principal: str) -> str:
    """Return the session that a client has named, apart from every other principal's."""
    text = f"{principal}\n{name}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:32]


def _name_of(given: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """Return the first that names a session; one that cannot be a name is passed over."""
    found = (given.get(name) for name in names)
    return next((name for name in found if isinstance(name, str) and _is_name(name)), None)


def _is_name(name: str) -> bool:
    return 0 < len(name) <= MAX_SESSION_CHARS and name.isprintable()


def purpose_of(messages: Sequence[Message], headers: Mapping[str, str]) -> Purpose:
    """Return what a request is for; X-Turn-Type (side | main) decides before any guess.

    A blank one says nothing. Those by which a client forbids something are refused where they are
    blank: what was to be forbidden would be done.

    raises: InvalidError naming the header
    """
    kinds: Mapping[str, Purpose] = {"main": "main", "side": "side"}
    guess: Purpose = "chore" if is_chore(messages) else "main"
    if not headers.get(PURPOSE_HEADER, "").strip():
        return guess
    return _choice(headers, PURPOSE_HEADER, kinds, default=guess)


def may_learn(headers: Mapping[str, str]) -> bool:
    """Return whether the headers allow learning: X-Learn (off | on).

    raises: InvalidError naming the header
    """
    return _choice(headers, LEARN_HEADER, {"on": True, "off": False}, default=True)


def may_serve(headers: Mapping[str, str]) -> bool:
    """Return whether the agent may call tools of its own: X-Server-Tools (off | on | ask).

    raises: InvalidError naming the header
    """
    choices = {"on": True, "off": False, "ask": True}
    return _choice(headers, SERVE_HEADER, choices, default=True)


def may_ask(headers: Mapping[str, str]) -> bool:
    """Return whether the client says that it can be asked to allow a call: X-Server-Tools (ask).

    raises: InvalidError naming the header
    """
    choices = {"on": False, "off": False, "ask": True}
    return _choice(headers, SERVE_HEADER, choices, default=False)


def _choice(
    headers: Mapping[str, str], header: str, choices: Mapping[str, Choice], *, default: Choice
) -> Choice:
    given = headers.get(header)
    if given is None:
        return default
    if given.strip().lower() not in choices:
        raise InvalidError(f"{header} must be one of {', '.join(choices)}", param=header)
    return choices[given.strip().lower()]
