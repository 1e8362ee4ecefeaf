"""Our client of MCP servers, as the conformance suite runs one: with the address of its server.

python -m tests.agent.mcp.suite_client ADDRESS, and MCP_CONFORMANCE_SCENARIO in the environment
"""

import asyncio
import json
import os
import sys

from agent.mcp.servers import Servers
from agent.mcp.settings import ToolServer
from agent.watch.events import Events
from agent.watch.metrics import Metrics

# scenario → the tool that it wants called, and with what
CALLS = {"tools_call": ("add_numbers", {"a": 5, "b": 3}), "sse-retry": ("test_reconnection", {})}


async def run(box: Servers, scenario: str) -> int:
    """Do what a scenario wants. Returns: the exit status."""
    while box.status()["suite"]["state"] != "up":
        await asyncio.sleep(0.05)
    if scenario not in CALLS:
        return 0
    name, arguments = CALLS[scenario]
    result = await box.call(name, json.dumps(arguments), within_s=20)
    print(result)
    return 0 if result.outcome == "ok" else 1


def main(address: str) -> int:
    """Connect as the agent does."""
    allow = tuple(name for name, _ in CALLS.values())
    servers = {"suite": ToolServer(url=address, allow=allow)}
    box = Servers(
        servers, steps=1, seconds=30, most_bytes=10_000, events=Events(), metrics=Metrics()
    )
    box.start()
    try:
        return asyncio.run(run(box, os.environ["MCP_CONFORMANCE_SCENARIO"]))
    finally:
        box.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
