"""The content blocks that clients send, checked, and the messages that they make.

What this API says in one message may be several of ours: each tool_result is a message of the role
tool. Blocks of thinking come from other models and are left out, as Anthropic leaves out old ones.

Knows nothing of the other parameters.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from agent.http.form import Form, kind_of, refuse
from agent.tools.calls import plain_json
from streams.records import Json, Message

_TEXT_ONLY: Final = "this model reads text only"


class TextBlock(Form):
    """A piece of text."""

    type: Literal["text"]
    text: str


class ToolUse(Form):
    """A call of a tool that the assistant made before."""

    type: Literal["tool_use"]
    id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    input: dict[str, Any]

    def call(self) -> Json:
        """The call as the wire records have it."""
        arguments = json.dumps(self.input, ensure_ascii=False)
        function = {"name": self.name, "arguments": arguments}
        return {"id": self.id, "type": "function", "function": function}


class Thinking(Form):
    """What another model thought; left out."""

    type: Literal["thinking", "redacted_thinking"]


class OwnCall(Form):
    """What this server told before of its own tools; left out: its answer says what came of it."""

    type: Literal["mcp_tool_use", "mcp_tool_result"]


def _blocks(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


Texts = Annotated[
    list[
        Annotated[
            Annotated[TextBlock, Tag("<text>")],
            Discriminator(
                kind_of,
                custom_error_type="invalid",
                custom_error_message=f"its type must be text: {_TEXT_ONLY}",
            ),
        ]
    ],
    BeforeValidator(_blocks, json_schema_input_type=str | list[TextBlock]),
]


class ToolResult(Form):
    """What a tool returned."""

    type: Literal["tool_result"]
    tool_use_id: str
    content: Texts = Field(default=[])
    is_error: bool | None = None

    def record(self) -> Message:
        """The result as the wire records have it."""
        text = "\n".join(block.text for block in self.content)
        if self.is_error:
            text = _failed(text)
        return Message(role="tool", content=text, tool_call_id=self.tool_use_id)


def _failed(text: str) -> str:
    """A result that says that it failed, to the model and to whoever verifies calls.

    Text becomes a field of a JSON object, as it is; an object gets one more field, if it can be
    written again: text may spell an infinite number or half a character.
    """
    value = plain_json(text)
    said = value if isinstance(value, dict) else {"content": text} if text else {}
    return json.dumps({**said, "is_error": True}, ensure_ascii=False)


Block = Annotated[
    Annotated[TextBlock, Tag("<text>")]
    | Annotated[ToolUse, Tag("<tool_use>")]
    | Annotated[ToolResult, Tag("<tool_result>")]
    | Annotated[Thinking, Tag("<thinking>")]
    | Annotated[Thinking, Tag("<redacted_thinking>")]
    | Annotated[OwnCall, Tag("<mcp_tool_use>")]
    | Annotated[OwnCall, Tag("<mcp_tool_result>")],
    Discriminator(
        kind_of,
        custom_error_type="invalid",
        custom_error_message=f"its type must be text, tool_use or tool_result: {_TEXT_ONLY}",
    ),
]
_BELONGS: Final = {
    "tool_use": "assistant", "tool_result": "user", "thinking": "assistant",
    "mcp_tool_use": "assistant", "mcp_tool_result": "assistant",
}  # fmt: skip


class SentMessage(Form):
    """One message of the request."""

    role: Literal["user", "assistant", "system"]
    content: Annotated[
        list[Block], BeforeValidator(_blocks, json_schema_input_type=str | list[Block])
    ]

    @model_validator(mode="after")
    def _of_its_role(self) -> Self:
        for number, block in enumerate(self.content):
            if _BELONGS.get(block.type, self.role) != self.role:
                refuse(
                    "content: block {number} is a {kind}, which is no {role}'s",
                    number=number, kind=block.type, role=self.role,
                )  # fmt: skip
        if self.role == "user" and not self.content:
            refuse("content: a user message needs it")
        return self

    def records(self) -> Iterator[Message]:
        """The messages of the wire records that it makes, in order."""
        if self.role == "assistant":
            # one reply was cut into these blocks, and is one again: the hash chain knows it by that
            text = "".join(block.text for block in self.content if isinstance(block, TextBlock))
            calls = [block.call() for block in self.content if isinstance(block, ToolUse)]
            content = None if calls and not text.strip() else text
            yield Message(role="assistant", content=content, tool_calls=calls or None)
            return
        texts: list[str] = []
        for block in self.content:
            if isinstance(block, TextBlock):
                texts.append(block.text)
            elif isinstance(block, ToolResult):
                yield from _said(self.role, texts)
                texts = []
                yield block.record()
        yield from _said(self.role, texts)


def _said(role: Literal["user", "system"], texts: Sequence[str]) -> Iterator[Message]:
    if texts:
        yield Message(role=role, content="\n".join(texts))


def prove_pairs(messages: Sequence[SentMessage]) -> None:
    """Refuse a result of no call and a call without its result; for a validator.

    Several messages of one role in a row stand for one.
    """
    called: dict[str, int] = {}  # calls without a result so far, and the messages that made them
    seen: set[str] = set()
    role = ""
    for number, message in enumerate(messages):
        if message.role == "assistant" != role:
            _prove_answered(called)
        role = message.role
        for use in (block for block in message.content if isinstance(block, ToolUse)):
            if use.id in seen:
                refuse("messages: message {number} calls {id} once more", number=number,
                       id=repr(use.id[:100]))  # fmt: skip
            seen.add(use.id)
            called[use.id] = number
        for result in (block for block in message.content if isinstance(block, ToolResult)):
            if called.pop(result.tool_use_id, None) is None:
                refuse(
                    "messages: message {number} has a result of {id}, and the assistant's message "
                    "before it has no such tool_use",
                    number=number, id=repr(result.tool_use_id[:100]),
                )  # fmt: skip
    _prove_answered(called)


def _prove_answered(called: dict[str, int]) -> None:
    for name, number in called.items():
        refuse(
            "messages: message {number} calls {id}, and no tool_result follows it",
            number=number, id=repr(name[:100]),
        )  # fmt: skip
