"""Calls that the agent made of its own tools, as the blocks that Anthropic's API has for them.

Knows nothing of who made the call.
"""

import json

from agent.api.messages.schema import McpToolResult, McpToolUse
from agent.tools.served import Made


def own_use(made: Made) -> McpToolUse:
    """The call."""
    return {
        "type": "mcp_tool_use",
        "id": made.id,
        "name": made.name,
        "server_name": made.server,
        "input": json.loads(made.arguments),
    }


def own_result(made: Made) -> McpToolResult:
    """What came of it."""
    text = made.result.text if made.result else ""
    return {
        "type": "mcp_tool_result",
        "tool_use_id": made.id,
        "is_error": made.result is None or made.result.error is not None,
        "content": [{"type": "text", "text": text, "citations": None}],
    }
