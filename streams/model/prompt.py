"""Turns a conversation into the token ids that the model reads.

- Works with every chat template: content that is null, tool calls and tool results render even
  where the template knows nothing of them (streams.model.template).
- What a user or a tool wrote stays text: a token that opens or closes a message, spelled in it,
  is read letter by letter, so nobody can speak as somebody else; special or not, as the tokenizer
  has it.

Knows nothing of weights, versions or sampling.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from streams.errors import TemplateRefusedError
from streams.model.template import PROBE_WORDS, REPLY_WORD, Template
from streams.records import Json, Message

# Put into tokens that stand in a text, to break them, and after the last word of a message that is
# to go on; Unicode noncharacters, which no well-formed text holds (Unicode 16, sec. 23.7).
_BREAK: Final = "\ufdd0"
_END: Final = "\ufdd1"
_OURS: Final = re.compile(f"[{_BREAK}{_END}]")
# Half of a surrogate pair, which JSON can escape and no tokenizer takes; the model reads the
# replacement character in its place, as in any text that was decoded with errors.
_HALF: Final = re.compile("[\ud800-\udfff]")


class Prompt:
    """A tokenizer's chat template, made to accept every OpenAI conversation."""

    def __init__(self, tokenizer: Any) -> None:
        """Find out what the template can render, and which tokens it writes itself.

        `end_id` is then the token that it ends a reply with, or None; `called` what it makes of a
        conversation with a tool and a call of it.

        raises: TemplateRefusedError when it is broken, or words of a conversation are lost in it
        """
        self._tokenizer = tokenizer
        self._template = Template(tokenizer)
        talk, with_tools = self._template.probes()
        self.called: Final = with_tools
        written = talk + with_tools + self._template.source()
        added = tokenizer.backend_tokenizer.get_added_tokens_decoder()
        special = {token.content for token in added.values() if token.special}
        # runs of spaces are tokens of some vocabularies, and open no message
        names = {token.content for token in added.values() if token.content.strip()}
        self._markers = _Markers(special | {name for name in names if name in written})
        # What only calls and thoughts are wrapped in, a template may look for in a reply's text.
        self._turn_markers = _Markers(special | {name for name in names if name in talk})
        self._marker_ids = {
            number for number, token in added.items() if token.content in self._markers.names
        }
        self.end_id: Final = self._end_of(talk, {token.content: n for n, token in added.items()})
        read = tokenizer.decode(self._encoded(talk)).lower()
        lost = [word for word in PROBE_WORDS if word not in read]
        if lost:
            raise TemplateRefusedError(f"the tokenizer loses words: of a probe, {', '.join(lost)}")

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Json] | None = None,
        *,
        continues: bool = False,
    ) -> list[int]:
        """The token ids of a conversation, up to where the assistant's reply begins.

        continues: the reply goes on with the last message, the assistant's, which is left open
        raises: TemplateRefusedError when the template does not accept these messages
        """
        try:
            plain = [self._defused_message(_plain(message)) for message in messages]
            offered = _defused(list(tools), self._markers) if tools else None
        except RecursionError as cause:
            raise TemplateRefusedError(
                "tools or arguments of a tool call are nested too deep"
            ) from cause
        if not continues:
            return self._encoded(self._template.render(plain, offered, opens_reply=True))
        if plain[-1]["role"] != "assistant" or "tool_calls" in plain[-1]:
            raise TemplateRefusedError("only a message of the assistant without calls can go on")
        plain[-1]["content"] += _END
        text, *rest = self._template.render(plain, offered, opens_reply=False).split(_END)
        if len(rest) != 1:
            raise TemplateRefusedError(
                "the model's chat template does not render the assistant's last message as it is, "
                "so that the reply cannot go on with it"
            )
        return self._encoded(text)

    def _end_of(self, talk: str, ids: Mapping[str, int]) -> int | None:
        """The token that the template writes after a reply, which ends it; None: it writes none."""
        after = talk.partition(REPLY_WORD)[2].lstrip()
        found = self._turn_markers.begin(after)
        return None if found is None else ids[found]

    def _encoded(self, text: str) -> list[int]:
        encode = self._tokenizer.backend_tokenizer.encode
        ids = [
            token
            for part in text.split(_BREAK)
            for token in encode(part, add_special_tokens=False).ids
        ]
        # a tokenizer may change letters before it looks for its tokens (NFKC, lower case)
        if sum(token in self._marker_ids for token in ids) > self._markers.count(text):
            raise TemplateRefusedError(
                "a text spells a token that opens or closes messages, in other letters"
            )
        return ids

    def _defused_message(self, message: Json) -> Json:
        defused: Json = _defused(message, self._markers)
        if message["role"] == "assistant":
            defused["content"] = _defused(message["content"], self._turn_markers)
        return defused


class _Markers:
    """Tokens that nobody but the template may write."""

    def __init__(self, names: set[str]) -> None:
        self.names = names
        longest_first = sorted(names, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._beginnings = {name[:size] for name in names for size in range(1, len(name))}
        self._longest = max(map(len, names), default=0)

    def count(self, text: str) -> int:
        """How many stand in a text, unbroken."""
        return len(self._pattern.findall(text))

    def begin(self, text: str) -> str | None:
        """The one that a text begins with, if any does."""
        found = self._pattern.match(text)
        return found[0] if found else None

    def broken(self, text: str) -> str:
        """The text with every one broken, and with one that its end could begin."""
        if not self.names:
            return text
        text = self._pattern.sub(lambda found: found[0][0] + _BREAK + found[0][1:], text)
        end = text[-self._longest :]
        begun = any(end[at:] in self._beginnings for at in range(len(end)))
        return text + _BREAK if begun else text


def _defused(value: Any, markers: _Markers) -> Any:
    match value:
        case str():
            return markers.broken(whole_characters(_OURS.sub("", value)))
        case list():
            return [_defused(item, markers) for item in value]
        case dict():
            return {_defused(key, markers): _defused(item, markers) for key, item in value.items()}
        case _:
            return value


def whole_characters(text: str) -> str:
    """Replace each half of a surrogate pair, which no tokenizer takes."""
    return _HALF.sub("\N{REPLACEMENT CHARACTER}", text)


def _plain(message: Message) -> Json:
    # `developer` is OpenAI's newer word for `system`, which is what templates know
    role = "system" if message.role == "developer" else message.role
    plain: Json = {"role": role, "content": message.content or ""}
    if message.name is not None:
        plain["name"] = message.name
    if message.tool_call_id is not None or role == "tool":  # a client may leave it out
        plain["tool_call_id"] = message.tool_call_id or ""
    if message.tool_calls:
        plain["tool_calls"] = [_call(call) for call in message.tool_calls]
    return plain


def _call(call: Json) -> Json:
    # OpenAI sends arguments as a string of JSON, templates print an object
    function = dict(call.get("function") or {})
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            function["arguments"] = json.loads(arguments)
        except ValueError:
            function["arguments"] = arguments
    return {**call, "type": "function", "function": function}
