"""The items that clients send, checked, and the messages that they make.

A reply was cut into items, a message and its calls, and is one message again, because that is how
the hash chain knows it. Items of reasoning come from other models and are left out. A reference
stands for an item of a stored response, and is replaced before messages are made.

Knows nothing of the other parameters.
"""

from collections.abc import Collection, Iterable
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from agent.api.responses.own import McpApprovalResponse, OwnItemInput
from agent.errors import InvalidError
from agent.http.form import Form, named_type, refuse
from streams.records import Json, Message

_TEXT_ONLY: Final = "this model reads text only"


class ResponseTextPart(Form):
    """A piece of text."""

    type: Literal["input_text", "output_text", "text", "refusal"]
    text: str | None = None
    refusal: str | None = None


def _text(content: Any) -> Any:
    """Join parts to one text, a reply's as they came, a user's with line breaks between."""
    if not isinstance(content, list):
        return content
    texts: list[str] = []
    joint = "\n"
    for number, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        field = "refusal" if kind == "refusal" else "text"
        said = part.get(field) if kind in _PARTS else None
        if kind in _PARTS and not isinstance(said, str):
            refuse("part {number} needs {field}, which is a string", number=number, field=field)
        if not isinstance(said, str):
            refuse("part {number} is not text{kind}: {why}", number=number, why=_TEXT_ONLY,
                   kind=named_type(part))  # fmt: skip
        if kind == "output_text":
            joint = ""
        texts.append(said)
    return joint.join(texts)


_PARTS: Final = ("input_text", "output_text", "text", "refusal")
Text = Annotated[str, BeforeValidator(_text, json_schema_input_type=str | list[ResponseTextPart])]


class MessageInput(Form):
    """A message; its type may be left out."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: Text
    phase: Literal["commentary", "final_answer"] | None = None


class CallInput(Form):
    """A call that the model made before."""

    type: Literal["function_call"]
    call_id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    arguments: str
    status: str | None = Field(None, description="incomplete: the limit cut it, it is none")

    def call(self) -> Json:
        """The call as the wire records have it."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": self.call_id, "type": "function", "function": function}


class CallOutputInput(Form):
    """What a function returned."""

    type: Literal["function_call_output"]
    call_id: str = Field(min_length=1)
    output: Text


class ItemReference(Form):
    """An item of a response that was stored before; its type may be left out."""

    type: Literal["item_reference"] | None = "item_reference"
    id: str = Field(min_length=1)


class ReasoningInput(Form):
    """What another model thought; left out."""

    type: Literal["reasoning"]


def _kind(item: Any) -> str:
    if isinstance(item, Form):
        return f"<{getattr(item, 'type', None) or 'item_reference'}>"
    if not isinstance(item, dict):
        return "<>"
    kind = item.get("type")
    if kind is None:
        return "<message>" if "role" in item else "<item_reference>" if "id" in item else "<>"
    return f"<{kind}>"


Item = Annotated[
    Annotated[MessageInput, Tag("<message>")]
    | Annotated[CallInput, Tag("<function_call>")]
    | Annotated[CallOutputInput, Tag("<function_call_output>")]
    | Annotated[ItemReference, Tag("<item_reference>")]
    | Annotated[ReasoningInput, Tag("<reasoning>")]
    | Annotated[McpApprovalResponse, Tag("<mcp_approval_response>")]
    | Annotated[OwnItemInput, Tag("<mcp_call>")]
    | Annotated[OwnItemInput, Tag("<mcp_approval_request>")]
    | Annotated[OwnItemInput, Tag("<mcp_list_tools>")],
    Discriminator(
        _kind,
        custom_error_type="invalid",
        custom_error_message="its type must be message, function_call, function_call_output, "
        f"item_reference or reasoning: {_TEXT_ONLY}, and runs no built-in tool",
    ),
]


def _items(value: Any) -> Any:
    """A text alone is a user's message; null is nothing."""
    if value is None:
        return []
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


Items = Annotated[
    list[Item], BeforeValidator(_items, json_schema_input_type=str | list[Item] | None)
]


def messages_of(items: Iterable[Item]) -> list[Message]:
    """The messages of the wire records that items without references make, in order."""
    messages: list[Message] = []
    items = list(items)
    answered = {item.call_id for item in items if isinstance(item, CallOutputInput)}
    for item in items:
        match item:
            case MessageInput(role="assistant"):
                before = _growing(messages) or Message(role="assistant", content=None)
                # beside calls it is the rest of the same reply; else it is one more message
                joint = "" if before.tool_calls or before.content is None else "\n"
                text = f"{before.content or ''}{joint}{item.content}"
                messages.append(before.model_copy(update={"content": text}))
            case MessageInput():
                messages.append(Message(role=item.role, content=item.content))
            case CallInput(status="incomplete") if item.call_id not in answered:
                pass  # it was never made: clients send all items back
            case CallInput():
                before = _growing(messages) or Message(role="assistant", content=None)
                calls = [*(before.tool_calls or []), item.call()]
                messages.append(before.model_copy(update={"tool_calls": calls}))
            case CallOutputInput():
                said = Message(role="tool", content=item.output, tool_call_id=item.call_id)
                messages.append(said)
    return messages


def _growing(messages: list[Message]) -> Message | None:
    """Take the last message out, if it is a reply to which more belongs."""
    if messages and messages[-1].role == "assistant":
        return messages.pop()
    return None


def prove_pairs(messages: Iterable[Message], waiting: Collection[str] = ()) -> None:
    """Prove that each call has its result, and each result its call. Raises: InvalidError.

    waiting: calls that wait for somebody's approval, by their ids; another one by such an id could
        be made in place of what was asked for
    """
    called: dict[str, None] = {}
    asked: set[str] = set()
    for message in messages:
        if message.role == "tool":
            name = message.tool_call_id or ""
            if name not in called:
                raise _unpaired(f"no function_call is before the output of {name[:100]!r}")
            del called[name]
        for name in (call["id"] for call in message.tool_calls or []):
            if name in called:
                raise _unpaired(f"two calls are {name[:100]!r}, and neither has its output yet")
            if name in asked:
                raise _unpaired(f"the call {name[:100]!r} waits for approval: send no other as it")
            if name in waiting:
                asked.add(name)
            else:
                called[name] = None
    for name in called:
        raise _unpaired(f"no function_call_output follows the call {name[:100]!r}")


def _unpaired(why: str) -> InvalidError:
    return InvalidError(f"input: {why}", param="input", code="invalid_value")
