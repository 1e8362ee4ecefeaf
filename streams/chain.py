"""The hash chain that makes sessions need no header: a turn is keyed by its whole conversation.

The key after message i is hash(key after i−1, message i). A request whose messages pass through a
turn's key continues that turn's conversation, whichever client sends it. Messages are compared in
canonical form: text parts joined, outer white space dropped, tool-call arguments as JSON values;
a client that sends them back re-formatted is still in the same conversation. What else a client may
change between two requests is the business of those that link them (learner.link).
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from streams.records import Message, Turn, canonical_json

# Turns of older versions were given a session that system messages were a part of, named or not.
NAMED_SINCE = 3

ROOT = hashlib.sha256(b"quickset conversation").hexdigest()


def extend(key: str, message: Message) -> str:
    """Return the key of the conversation `key` with one more message."""
    digest = hashlib.sha256(bytes.fromhex(key))
    digest.update(canonical_json(_canonical(message)))
    return digest.hexdigest()


def keys(messages: Iterable[Message], root: str = ROOT) -> list[str]:
    """Return the key after each message, in order.

    >>> a, b = keys([Message(role="user", content="hi"), Message(role="assistant", content="yo")])
    >>> b == extend(a, Message(role="assistant", content=" yo "))
    True
    """
    chain: list[str] = []
    for message in messages:
        root = extend(root, message)
        chain.append(root)
    return chain


def session_of(messages: Sequence[Message], principal: str) -> str:
    """Name the session of a request that names none: by its principal and first user message.

    All requests of one conversation open alike, so they share the name, and with it the partition
    that keeps their order and the variant that answers; two conversations that open alike share it
    harmlessly. What the system or the developer says is left out: clocks and memories move in it.

    >>> hi = Message(role="user", content="hi")
    >>> clock = Message(role="system", content="It is noon.")
    >>> session_of([clock, hi], "ann") == session_of([hi], "ann") != session_of([hi], "bob")
    True
    """
    opening: list[Message] = []
    for message in messages:
        if message.role not in ("system", "developer"):
            opening.append(message)
        if message.role == "user":
            break
    seed = hashlib.sha256(principal.encode()).hexdigest()
    return (keys(opening, seed) or [seed])[-1][:32]


def names_session(turn: Turn) -> bool:
    """Return whether the client named the turn's session; of older turns that is not known."""
    return turn.v >= NAMED_SINCE and turn.session != session_of(turn.messages, turn.principal)


def _canonical(message: Message) -> list[Any]:
    calls = [
        [function.get("name"), _arguments(function.get("arguments"))]
        for function in (call.get("function", {}) for call in message.tool_calls or [])
    ]
    return [message.role, (message.content or "").strip(), message.tool_call_id, calls]


def _arguments(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        value = json.loads(arguments)
        canonical_json(value)
    except (ValueError, RecursionError):  # not JSON, or JSON that has no canonical form
        return arguments
    return value
