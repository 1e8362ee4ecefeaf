"""Turns the messages of a request into the hashes by which turns are found again.

A conversation is a chain of *groups*: adjacent messages of one role, joined, as normal text; what
the system or the developer says is left out, since clocks and memories move in it. So the same
conversation has the same hashes whether a client joins or splits messages, re-formats the arguments
of a tool call, renames its id or returns parallel results in another order.

Knows nothing of tables, times or principals.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

from learner.link.alike import is_mark
from learner.link.normal import normal, spoken
from streams import chain
from streams.records import Message, Turn, canonical_json

_SYSTEM: Final = ("system", "developer")
_ROOT: Final = hashlib.sha256(b"quickset talk").digest()
# Hex digits of a hash: 128 bits.
DIGITS: Final = 32
# What stands between the parts of a tool's name, and arguments that say nothing.
_PARTS: Final = re.compile(r"[./:]|__")
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})
# What a client tells in the user's name, and answers itself: aider's reports of what was done, and
# its files. No model was asked, and nobody has said anything of the reply before it.
_REPORT: Final = re.compile(
    r"\s*(?:I (?:committed the changes with git hash|have \*added these files to the chat|"
    r"ran this command:|am not sharing (?:any|the) files|switched to a new code ?base|"
    r"(?:updated the files|edited the files myself)\.\s*\Z)|"
    r"Here (?:are (?:some READ ONLY files|(?:the )?summaries of some files)|"
    r"is the content of https?:)|"
    r"Don't try and edit any existing code without asking|"
    r"I am working with you on code in a git repository)"
)
_NOD: Final = re.compile(r"\s*Ok(?:\.|, (?:any|based|I)\b.{0,150})\s*\Z")


@dataclass(frozen=True, slots=True)
class Echo:
    """A reply in a request, and what was said around it."""

    key: str  # the exact chain up to it
    talk_key: str  # the chain of groups up to it
    reply_key: str | None  # of the reply alone; None: it says nothing aloud
    reply: str  # its text, as the client sends it
    parts: tuple[str, ...]  # the texts of its messages: a client may have put some of its own there
    calls: tuple[str, ...]  # its calls of tools, comparable
    asked_key: str | None  # of the last that the user said before it
    asked: str  # its text, likewise
    before_key: str | None  # reply_key of the reply before it; None: there is none, or a mark
    after: tuple[Message, ...]  # all messages up to the next reply; never empty


@dataclass(frozen=True, slots=True)
class Pieces:
    """The hashes of a turn, as its row has them (streams.store.tables.TurnRow)."""

    talk_key: str | None  # None: what came before was named, and not sent
    reply_key: str | None
    asked_key: str | None
    before_key: str | None  # the chain of groups up to the reply before it; None: there is none
    echo_key: str | None  # of that reply alone; None: likewise, or a mark stands for it


@dataclass(frozen=True, slots=True)
class _Group:
    """Adjacent messages of one role."""

    role: str
    messages: tuple[Message, ...]
    end: int  # place behind its last message in the request
    payload: bytes  # what is hashed of it
    talk_key: str  # of the conversation up to it

    @property
    def key(self) -> str | None:
        """The hash of what it says; None when it says nothing."""
        if self.payload in _SILENT:
            return None
        return _hash(self.role.encode() + b"\0" + self.payload)

    @property
    def known_key(self) -> str | None:
        """The same; None, too, when the client only says that it has left a reply out."""
        calls = any(message.tool_calls for message in self.messages)
        return self.key if calls or not is_mark(self.text) else None

    @property
    def text(self) -> str:
        """Its text, for comparing."""
        return "\n".join(message.content or "" for message in self.messages)


def pieces_of(turn: Turn) -> Pieces:
    """Return the hashes of a turn, as its client has the conversation.

    It was shown what stood beside the calls that the agent made itself, as part of the reply, and
    neither the calls nor their results.
    """
    *before, reply = _groups([*_shown(turn.messages, turn.inner), turn.reply])
    asked = next((group for group in reversed(before) if group.role == "user"), None)
    echo = next((group for group in reversed(before) if group.role == "assistant"), None)
    unseen = goes_on_unseen(turn)
    before_key = echo.talk_key if echo else None
    return Pieces(
        talk_key=None if unseen else reply.talk_key,
        reply_key=reply.key,
        asked_key=asked.key if asked else None,
        before_key=name_key(turn.follows) if unseen and turn.follows else before_key,
        echo_key=echo.known_key if echo else None,
    )


def told(messages: Sequence[Message], reply: Message, inner: Collection[int]) -> str:
    """Return the text of a reply as its client was shown it, in steps.

    inner: places in `messages` of calls that the agent made itself, and of their results
    """
    begun = len(messages)
    while begun - 1 in inner:
        begun -= 1
    steps = [m for m in messages[begun:] if m.role == "assistant"]
    return "".join(message.content or "" for message in [*steps, reply])


def steps_before(messages: Sequence[Message], inner: Collection[int]) -> str:
    """Return what a request shows of its own answer: the words beside calls that the client made.

    inner: as for `told`, which has what stands there
    """
    said: list[str] = []
    for place, message in enumerate(messages):
        if message.role == "user":
            said.clear()
        elif message.role == "assistant" and message.content and place not in inner:
            said.append(message.content)
    return "\n".join(said)


def _shown(messages: Sequence[Message], inner: Collection[int]) -> Iterator[Message]:
    for place, message in enumerate(messages):
        if place not in inner:
            yield message
        elif message.role == "assistant" and message.content:
            yield Message(role="assistant", content=message.content)


def goes_on_unseen(turn: Turn) -> bool:
    """Return whether the client named what came before a request instead of sending it.

    Then its messages are the end of a conversation, and not the whole of another.
    """
    return turn.follows is not None and all(m.role != "assistant" for m in turn.messages)


def name_key(turn_id: str) -> str:
    """Return what stands for the conversation up to a turn's reply when the client names it."""
    return _hash(b"turn\0" + turn_id.encode())


def echoes_of(messages: Sequence[Message]) -> list[Echo]:
    """Return the replies of a request that something follows, oldest first.

    Where a client has put a report of its own and a nod to it behind a reply, what stands behind
    these follows the reply.

    >>> hi, yo, no = (Message(role=r, content=c) for r, c in
    ...               [("user", "hi"), ("assistant", "yo"), ("user", "no")])
    >>> [[m.content for m in echo.after] for echo in echoes_of([hi, yo, no])]
    [['no']]
    """
    exact = chain.keys(messages)
    found: list[Echo] = []
    asked: _Group | None = None
    before: _Group | None = None
    for group in _groups(messages):
        if group.role == "user":
            asked = group
        elif group.role == "assistant":
            after = after_reply(messages, group.end)
            if asked is not None and _is_nod(group, asked):
                if after and found:
                    found[-1] = replace(found[-1], after=after)
            elif after:
                found.append(
                    Echo(
                        key=exact[group.end - 1],
                        talk_key=group.talk_key,
                        reply_key=group.key,
                        reply=group.text,
                        parts=tuple(message.content or "" for message in group.messages),
                        calls=calls_of(group.messages),
                        asked_key=asked.key if asked else None,
                        asked=asked.text if asked else "",
                        before_key=before.known_key if before else None,
                        after=after,
                    )
                )
            before = group
    return found


def _is_nod(group: _Group, asked: _Group) -> bool:
    """Return whether no model was asked for a reply: the client has answered its own report."""
    if any(message.tool_calls for message in group.messages) or not _NOD.match(group.text):
        return False
    return _REPORT.match(asked.text) is not None


def after_reply(messages: Sequence[Message], start: int) -> tuple[Message, ...]:
    """Return the messages from a place on, up to the next reply."""
    after = []
    for message in messages[start:]:
        if message.role == "assistant":
            break
        after.append(message)
    return tuple(after)


def calls_of(messages: Iterable[Message]) -> tuple[str, ...]:
    """Return the calls of tools in some messages, each as a text that says what it calls.

    >>> calls = [{"function": {"name": "look", "arguments": x}} for x in ('{"n": 1.0}', '{"n":1}')]
    >>> one, other = calls_of([Message(role="assistant", tool_calls=calls)])
    >>> one == other
    True
    """
    calls = (call for message in messages for call in message.tool_calls or [])
    return tuple(canonical_json(_call(call)).decode("utf-8", "surrogatepass") for call in calls)


def is_same_call(shown: str, made: str) -> bool:
    """Return whether a call that a request shows is one that was made; both as `calls_of` has them.

    Frameworks put a server's or a module's name before the tool's, leave empty arguments out, and
    add the defaults of those that were not given.

    >>> is_same_call('["functions.look",{"at":"sky","deep":false}]', '["look",{"at":"sky"}]')
    True
    >>> is_same_call('["look",{"at":"sea"}]', '["look",{"at":"sky"}]')
    False
    """
    if shown == made:
        return True
    (name, told), (own, given) = json.loads(shown), json.loads(made)
    if not _is_named_alike(str(name), str(own)):
        return False
    if not isinstance(told, dict) or not isinstance(given, dict):
        return bool(told == given)
    kept = {key: value for key, value in given.items() if value not in _EMPTY}
    return all(key in told and told[key] == value for key, value in kept.items())


def _is_named_alike(one: str, other: str) -> bool:
    """Return whether two names are one, or one is the other behind names of where it is."""
    short, long = sorted((_PARTS.split(one), _PARTS.split(other)), key=len)
    return short == long[-len(short) :]


def last_asked(messages: Sequence[Message]) -> str:
    """Return the text of the last that the user said in a request."""
    groups = [group for group in _groups(messages) if group.role == "user"]
    return groups[-1].text if groups else ""


def _groups(messages: Sequence[Message]) -> Iterator[_Group]:
    talk = _ROOT
    said = ((place, m) for place, m in enumerate(messages) if m.role not in _SYSTEM)
    for role, run in groupby(said, key=lambda each: each[1].role):
        places, group = zip(*run, strict=True)
        payload = _payload(role, group)
        talk = hashlib.sha256(talk + role.encode() + b"\0" + payload).digest()
        yield _Group(role, group, places[-1] + 1, payload, talk.hex()[:DIGITS])


def _payload(role: str, group: Iterable[Message]) -> bytes:
    match role:
        case "assistant":
            group = list(group)
            text = normal(spoken("\n".join(message.content or "" for message in group)))
            calls = [_call(call) for message in group for call in message.tool_calls or []]
            return canonical_json([text, calls])
        case "tool":  # results of parallel calls come in any order
            return canonical_json(sorted(normal(message.content) for message in group))
        case _:
            return canonical_json("".join(normal(message.content) for message in group))


# Of a group that says nothing.
_SILENT: Final = (canonical_json(["", []]), canonical_json(""), canonical_json([""]))


def _call(call: dict[str, Any]) -> list[Any]:
    function = call.get("function") or {}
    arguments = function.get("arguments") or "{}"  # none are sent as nothing, too
    try:
        parsed = _plain(json.loads(arguments) if isinstance(arguments, str) else arguments)
        canonical_json(parsed)
        return [function.get("name"), parsed]
    except (ValueError, RecursionError):  # a call that was cut, or that no schema would take
        return [function.get("name"), normal(str(arguments))]


def _plain(value: Any) -> Any:
    """Return JSON as a client in another language may write it: 1.0 is 1, NaN is a word."""
    match value:
        case float():
            return int(value) if value.is_integer() else repr(value)
        case str():
            return normal(value)
        case list():
            return [_plain(each) for each in value]
        case dict():
            return {name: _plain(each) for name, each in value.items()}
    return value


def _hash(said: bytes) -> str:
    return hashlib.sha256(said).hexdigest()[:DIGITS]
