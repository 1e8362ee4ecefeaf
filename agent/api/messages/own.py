"""Calls that the agent made of its own tools, as the blocks that Anthropic's API has for them.

Knows nothing of who made the call.
"""

import json
from typing import Any

from agent.api.messages.schema import McpToolResult, McpToolUse
from agent.tools.calls import plain_json
from agent.tools.served import Made


def own_use(made: Made) -> McpToolUse:
    """The call."""
    return {
        "type": "mcp_tool_use",
        "id": made.id,
        "name": made.name,
        "server_name": made.server,
        "input": input_of(made.arguments),
    }


def input_of(arguments: str) -> dict[str, Any]:
    """A call's arguments, which this API wants to be an object.

    What cannot be written again, such as an infinite number, stays a text.

    >>> input_of('{"a": 1}'), input_of("[1]"), input_of('{"a": '), input_of('{"a": 1e999}')
    ({'a': 1}, {'arguments': [1]}, {'arguments': '{"a": '}, {'arguments': '{"a": 1e999}'})
    """
    value = plain_json(arguments)
    if value is None:
        value = arguments
    return value if isinstance(value, dict) else {"arguments": value}


def text_of(arguments: str) -> str:
    """The same as a stream tells it: as it was sampled, where that can be read.

    >>> text_of('{"a":1}'), text_of("[1]")
    ('{"a":1}', '{"arguments": [1]}')
    """
    if isinstance(plain_json(arguments), dict):
        return arguments
    return json.dumps(input_of(arguments), ensure_ascii=False)


def own_result(made: Made) -> McpToolResult:
    """What came of it."""
    text = made.result.text if made.result else ""
    return {
        "type": "mcp_tool_result",
        "tool_use_id": made.id,
        "is_error": made.result is None or made.result.error is not None,
        "content": [{"type": "text", "text": text, "citations": None}],
    }
