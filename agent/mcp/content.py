"""What an MCP server says, as the model may read it: tools and results, bounded, text only.

A failure that a tool tells of becomes JSON with `is_error`, which the learner's verifier of tool
calls hears; that a server is away or slow is no fault of the reply, and is told in words only.

Knows no connections.
"""

import json
from typing import Any, Final

from mcp import types

from agent.tools.calls import written_object
from agent.tools.served import Result
from streams.records import Json

MAX_DESCRIPTION: Final = 1024  # characters; the prompt of every request carries it
MAX_TOOL_BYTES: Final = 16 * 1024  # of a tool with its schema, likewise


def tool_of(tool: types.Tool) -> Json | None:
    """A tool as the chat template has it; None where it is too large, or no template reads it.

    Nor is one whose schema has numbers that no JSON has: no turn could be recorded with it.
    """
    properties = tool.input_schema.get("properties", {})
    if not isinstance(properties, dict) or not all(
        isinstance(p, dict) for p in properties.values()
    ):
        return None
    shown: Json = {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": (tool.description or tool.title or "")[:MAX_DESCRIPTION],
            "parameters": tool.input_schema,
        },
    }
    if written_object(shown) is None or len(json.dumps(shown)) > MAX_TOOL_BYTES:
        return None
    return shown


def result_of(told: types.CallToolResult, *, most_bytes: int) -> Result:
    """What a call came to. most_bytes: of its text; the rest is cut, and said to be"""
    text = "\n".join(filter(None, map(_text, told.content)))
    if not text and told.structured_content is not None:
        text = json.dumps(told.structured_content, ensure_ascii=False)
    text = cut(text, most_bytes)
    if told.is_error:
        return Result(json.dumps({"is_error": True, "content": text}, ensure_ascii=False), "failed")
    return Result(text, "ok")


def cut(text: str, most_bytes: int) -> str:
    """A text of at most so many bytes of UTF-8, and a word on what was cut.

    >>> cut("häufig", 3)
    'hä … cut: 7 bytes in all, 3 are shown'
    """
    octets = text.encode("utf-8", "surrogatepass")
    if len(octets) <= most_bytes:
        return text
    begun = octets[:most_bytes].decode("utf-8", "ignore")
    return f"{begun} … cut: {len(octets)} bytes in all, {most_bytes} are shown"


def _text(block: Any) -> str:
    match block:
        case types.TextContent(text=text):
            return str(text)
        case types.EmbeddedResource(resource=types.TextResourceContents(text=text)):
            return str(text)
        case types.ResourceLink(uri=uri, name=name):
            return f"[{name}: {uri}]"
    return f"[{getattr(block, 'type', 'content')} left out: this model reads text only]"
