"""Turns a conversation into the token ids that the model reads.

- Works with every chat template: content that is null, tool calls and tool results render even
  where the template knows nothing of them (then in the `<tool_call>` convention of Hermes).
- What a user or a tool wrote stays text: a special token spelled in it cannot open a message,
  so nobody can speak as somebody else.

Knows nothing of weights, versions or sampling.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from streams.errors import TemplateRefusedError
from streams.records import Json, Message

# Put into special tokens that stand in a text, to break them; a Unicode noncharacter, which no
# well-formed text holds (Unicode 16, sec. 23.7).
_BREAK = "\ufdd0"
# Half of a surrogate pair, which JSON can escape and no tokenizer takes; the model reads the
# replacement character in its place, as in any text that was decoded with errors.
_HALF = re.compile("[\ud800-\udfff]")

_TOOLS = """\
You may call one or more functions to assist with the user's request. The functions, as JSON \
schemas within <tools></tools>:
<tools>
{tools}
</tools>
To call a function, return a JSON object with its name and arguments within <tool_call></tool_call>:
<tool_call>
{{"name": "<function-name>", "arguments": <arguments-json-object>}}
</tool_call>"""


class Prompt:
    """A tokenizer's chat template, made to accept every OpenAI conversation."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        source = tokenizer.get_chat_template()
        self._knows_tools = bool(re.search(r"\btools\b", source)) and "tool_calls" in source
        added = tokenizer.backend_tokenizer.get_added_tokens_decoder().values()
        specials = sorted((token.content for token in added if token.special), key=len)
        self._special = re.compile("|".join(map(re.escape, reversed(specials))) or r"(?!)")

    def render(self, messages: Sequence[Message], tools: Sequence[Json] | None = None) -> list[int]:
        """Give the token ids of a conversation, up to where the assistant's reply begins.

        raises: TemplateRefusedError when the template does not accept these messages
        """
        plain = [self._defused(_plain(message)) for message in messages]
        offered = self._defused(list(tools)) if tools else None
        if not self._knows_tools:
            plain, offered = fold_tools(plain, offered), None
        try:
            text = self._tokenizer.apply_chat_template(
                plain, tools=offered, tokenize=False, add_generation_prompt=True
            )
        except (TemplateError, TypeError, KeyError, ValueError) as cause:
            raise TemplateRefusedError(
                f"the model's chat template refuses these messages: {cause}"
            ) from cause
        encode = self._tokenizer.backend_tokenizer.encode
        return [
            token
            for part in text.split(_BREAK)
            for token in encode(part, add_special_tokens=False).ids
        ]

    def _defused(self, value: Any) -> Any:
        match value:
            case str():
                text = whole_characters(value.replace(_BREAK, ""))
                return self._special.sub(lambda found: found[0][0] + _BREAK + found[0][1:], text)
            case list():
                return [self._defused(item) for item in value]
            case dict():
                return {self._defused(key): self._defused(item) for key, item in value.items()}
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
    if message.tool_call_id is not None:
        plain["tool_call_id"] = message.tool_call_id
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


def fold_tools(messages: Sequence[Json], tools: Sequence[Json] | None) -> list[Json]:
    """Rewrite tools, calls and results as text, for templates that know only roles and content.

    Calls become `<tool_call>` JSON of the assistant, results a user's `<tool_response>` (parallel
    ones in one message, since many templates want the roles to alternate), tools a part of the
    system message.

    >>> fold_tools([{"role": "tool", "content": "4"}, {"role": "tool", "content": "5"}], None)[0]
    ... # doctest: +NORMALIZE_WHITESPACE
    {'role': 'user', 'content':
     '<tool_response>\\n4\\n</tool_response>\\n<tool_response>\\n5\\n</tool_response>'}
    """
    folded: list[Json] = []
    previous = ""
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "tool":
            result = f"<tool_response>\n{content}\n</tool_response>"
            if previous == "tool":
                folded[-1]["content"] += "\n" + result
            else:
                folded.append({"role": "user", "content": result})
        else:
            calls = [_folded_call(call) for call in message.get("tool_calls", [])]
            folded.append({"role": role, "content": "\n".join(filter(None, [content, *calls]))})
        previous = role
    if tools:
        offer = _TOOLS.format(tools="\n".join(json.dumps(t, ensure_ascii=False) for t in tools))
        if folded and folded[0]["role"] == "system":
            folded[0]["content"] += "\n\n" + offer
        else:
            folded.insert(0, {"role": "system", "content": offer})
    return folded


def _folded_call(call: Json) -> str:
    function = call["function"]
    body = {"name": function.get("name"), "arguments": function.get("arguments")}
    return f"<tool_call>\n{json.dumps(body, ensure_ascii=False)}\n</tool_call>"
