"""A tokenizer's chat template, and what it can render: found out by rendering, not by reading it.

A template may want content as text or as a list of parts; may refuse or pass over what the system
says, tools, or the ids of calls; may be broken, or leave out what the user says. What it cannot
render itself is rewritten before (streams.model.tool_text), and one that loses or changes words of
an ordinary conversation, of a long one, or of a long text, is refused when the model is opened:
served, it would answer what nobody asked.

Knows nothing of tokens: templates turn messages into text.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

from streams.errors import TemplateRefusedError
from streams.model.regroup import joined, one_call_each, text_apart
from streams.model.tool_text import fold_system, fold_tools
from streams.records import Json

# Words that no template says by itself; each must be found in what is rendered of a probe.
PROBE_WORDS: Final = ("hawthorn", "blackberry", "juniper", "elderflower")  # of the talk
REPLY_WORD: Final = "juniper"  # what the assistant says in it
_SAID: Final = (*PROBE_WORDS, "marigold")
_SYSTEM: Final[list[Json]] = [{"role": "system", "content": "hawthorn"}]
_TALK: Final[list[Json]] = [
    {"role": "user", "content": "blackberry"},
    {"role": "assistant", "content": "juniper"},
    {"role": "user", "content": "elderflower"},
]
_TOOL: Final[Json] = {
    "type": "function",
    "function": {
        "name": "find_marigold",
        "description": "blackberry",
        "parameters": {"type": "object", "properties": {"hawthorn": {"type": "string"}}},
    },
}
_CALL_ID: Final = "call_0123456789abcdef01234567"  # of the form of those that we give
_CALL: Final[Json] = {
    "id": _CALL_ID,
    "type": "function",
    "function": {"name": "find_marigold", "arguments": {"hawthorn": "juniper"}},
}
_TOOL_TALK: Final[list[Json]] = [
    {"role": "user", "content": "blackberry"},
    {"role": "assistant", "content": "", "tool_calls": [_CALL]},
    {"role": "tool", "content": "elderflower", "name": "find_marigold", "tool_call_id": _CALL_ID},
]
_SHORT_ID_CHARS: Final = 9  # what Mistral's templates take
_OTHER_CALL: Final[Json] = {
    "id": _CALL_ID[::-1],
    "type": "function",
    "function": {"name": "find_marigold", "arguments": {"hawthorn": "hawthorn"}},
}
# Rarer shapes of a conversation, and by which ability a template that loses or refuses one can be
# given it in another shape. One that takes neither is served all the same. Without tools on offer:
# their words would stand for those of calls.
_SHAPES: Final[tuple[tuple[str, list[Json]], ...]] = (
    ("alternates", [*_TALK, {"role": "user", "content": "hawthorn"}]),
    (
        "one_call",
        [
            {"role": "user", "content": "blackberry"},
            {"role": "assistant", "content": "", "tool_calls": [_CALL, _OTHER_CALL]},
            {"role": "tool", "content": "elderflower", "tool_call_id": _CALL_ID},
            {"role": "tool", "content": "elderflower", "tool_call_id": _CALL_ID[::-1]},
        ],
    ),
    (
        "text_apart",
        [
            {"role": "user", "content": "blackberry"},
            {"role": "assistant", "content": "elderflower", "tool_calls": [_CALL]},
            {"role": "tool", "content": "hawthorn", "tool_call_id": _CALL_ID},
        ],
    ),
)
# What is to be found letter by letter in each message of somebody: signs that a template may write
# otherwise, a line's end and the blanks behind it, and more characters than one may cut texts to.
# No empty line: Falcon's templates take those out.
_SIGNS: Final = "<b>\"Grün\" & 'café'</b>\n    if 1 < 2: {{ \\ }}"
_LONG_CHARS: Final = 4000
_WIDE_MESSAGES: Final = 41  # and one of the system


def _wide_talk() -> list[Json]:
    """A conversation of many messages, the first of each role long, each with a word of its own."""
    roles = ("system", *("user", "assistant") * (_WIDE_MESSAGES // 2), "user")
    words = [f"rowan{number:02}" for number in range(len(roles))]
    long = " ".join([_SIGNS, *["bramble"] * (_LONG_CHARS // len("bramble "))])
    return [
        {"role": role, "content": f"{word} {long} end{word}" if number < 3 else word}
        for number, (role, word) in enumerate(zip(roles, words, strict=True))
    ]


_WIDE: Final = _wide_talk()


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a template renders as it comes; for what it does not, messages are rewritten.

    parts: it wants content as a list of parts
    system: it renders what the system says
    tools: it renders tools, calls and results
    short_ids: it takes ids of calls of nine letters and digits only
    alternates: it takes no two messages of one role in a row
    one_call: it takes no two calls in a message
    text_apart: it passes over text beside calls
    """

    parts: bool = False
    system: bool = True
    tools: bool = True
    short_ids: bool = False
    alternates: bool = False
    one_call: bool = False
    text_apart: bool = False


class Template:
    """A chat template that renders every conversation, or refuses it with a reason."""

    def __init__(self, tokenizer: Any) -> None:
        """Find out what it can render.

        tokenizer: of transformers
        raises: TemplateRefusedError when it cannot be read, or loses or changes words
        """
        self._tokenizer = tokenizer
        self.abilities = self._find_abilities()

    def source(self) -> str:
        """The template itself."""
        return str(self._tokenizer.get_chat_template())

    def render(
        self, messages: Sequence[Json], tools: Sequence[Json] | None, *, opens_reply: bool
    ) -> str:
        """The text of a conversation.

        messages: each with `role` and text as `content`; calls with arguments as an object
        opens_reply: end where the assistant's next message begins
        raises: TemplateRefusedError when it does not accept these messages
        """
        return self._render(self.abilities, messages, tools, opens_reply=opens_reply)

    def probes(self) -> tuple[str, str]:
        """An ordinary conversation as it is rendered, and one with tools, call and result."""
        return (
            self.render([*_SYSTEM, *_TALK], None, opens_reply=True),
            self.render(_TOOL_TALK, [_TOOL], opens_reply=True),
        )

    def _render(
        self,
        can: Abilities,
        messages: Sequence[Json],
        tools: Sequence[Json] | None,
        *,
        opens_reply: bool = True,
    ) -> str:
        plain, offered = _rewritten(can, messages, tools)
        try:
            text = self._tokenizer.apply_chat_template(
                plain, tools=offered, tokenize=False, add_generation_prompt=opens_reply
            )
        except RecursionError as cause:
            raise TemplateRefusedError(
                "these messages are nested too deep for the model's chat template, or it calls "
                "itself without end"
            ) from cause
        except Exception as cause:  # a template is a program, and may fail in every way
            why = (str(cause).splitlines() or [type(cause).__name__])[0]
            raise TemplateRefusedError(
                f"the model's chat template refuses these messages: {why}"
            ) from cause
        return str(text)

    def _find_abilities(self) -> Abilities:
        for parts, system in product((False, True), (True, False)):
            for tools, short_ids in ((True, False), (True, True), (False, False)):
                can = Abilities(parts, system, tools, short_ids)
                if self._keeps(can, _TOOL_TALK, _SAID, [_TOOL]) and self._keeps_talk(can):
                    self._prove_wide(can)
                    return self._with_shapes(can)
        text = self._render(Abilities(), _TALK, None)  # if it is broken, this says how
        lost = ", ".join(word for word in _words(_TALK) if word not in text) or "the tools' words"
        raise TemplateRefusedError(
            "the model's chat template leaves out words of the conversation; of a probe, it lost "
            f"{lost}"
        )

    def _prove_wide(self, can: Abilities) -> None:
        """Prove that long talks, long texts and odd signs are rendered as they are.

        raises: TemplateRefusedError
        """
        text = self._render(can, _WIDE, None)
        said = _words(_WIDE)
        long = said[:3]
        talk = [text.find(words.split()[0]) for words in said[1:]]  # a system may stand anywhere
        lost = {
            "messages of a long conversation": [words.split()[0] for words in said],
            "the end of a long message": [words.split()[-1] for words in long],
            f"signs or line ends, as of {_SIGNS!r}": [f"{one.split()[0]} {_SIGNS}" for one in long],
            "letters within a long message": long,
        }
        gone = [what for what, words in lost.items() if not all(word in text for word in words)]
        if talk != sorted(talk):
            gone.append("the order of messages")
        if gone:
            raise TemplateRefusedError(
                "the model's chat template changes or leaves out what is said; of a probe, it lost "
                f"{gone[0]}"
            )

    def _with_shapes(self, can: Abilities) -> Abilities:
        """The same, with what gives it rarer shapes in others, where these say more."""
        for name, talk in _SHAPES:
            changed = replace(can, **{name: True})
            if not self._keeps(can, talk, PROBE_WORDS):
                can = changed if self._keeps(changed, talk, PROBE_WORDS) else can
        return can

    def _keeps_talk(self, can: Abilities) -> bool:
        """Whether talks of one and of several messages, with and without a system's, are whole."""
        talks = ([*_SYSTEM, *_TALK], _TALK, _TALK[:1])
        return all(self._keeps(can, talk, _words(talk)) for talk in talks)

    def _keeps(
        self,
        can: Abilities,
        messages: Sequence[Json],
        words: Sequence[str],
        tools: list[Json] | None = None,
    ) -> bool:
        try:
            text = self._render(can, messages, tools)
        except TemplateRefusedError:
            return False
        # a template that wants text would print the list as it is
        printed = "'type': 'text'" in text or '"type": "text"' in text
        return not printed and all(word in text for word in words)


def _words(messages: Sequence[Json]) -> list[str]:
    return [message["content"] for message in messages]


def _rewritten(
    can: Abilities, messages: Sequence[Json], tools: Sequence[Json] | None
) -> tuple[list[Json], list[Json] | None]:
    """Messages and tools as a template of these abilities takes them."""
    plain, offered = list(messages), list(tools) if tools else None
    if not can.tools:
        plain, offered = fold_tools(plain, offered), None
    if can.one_call:
        plain = one_call_each(plain)
    if can.text_apart:
        plain = text_apart(plain)
    if not can.system:
        plain = fold_system(plain)
    if can.alternates:
        plain = joined(plain)
    if can.short_ids:
        plain = [_with_short_ids(message) for message in plain]
    if can.parts:
        plain = [_in_parts(message) for message in plain]
    return plain, offered


def _with_short_ids(message: Json) -> Json:
    short = dict(message)
    if "tool_call_id" in short:
        short["tool_call_id"] = _short(short["tool_call_id"])
    if "tool_calls" in short:
        short["tool_calls"] = [
            {**call, "id": _short(str(call.get("id")))} for call in short["tool_calls"]
        ]
    return short


def _short(call_id: str) -> str:
    return hashlib.sha256(call_id.encode()).hexdigest()[:_SHORT_ID_CHARS]


def _in_parts(message: Json) -> Json:
    return {**message, "content": [{"type": "text", "text": message["content"]}]}
