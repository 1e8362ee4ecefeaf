"""Tools: the MCP servers whose tools the agent calls itself, and what the calls came to."""

from collections.abc import Iterator, Mapping
from typing import Final

from agent.console.views.view import Ask, View
from streams.records import Json

# What a call came to that is no answer, in words (agent.tools.served.Outcome).
FAILURES: Final[Mapping[str, str]] = {
    "failed": "the tool said that it failed",
    "timeout": "no answer in time",
    "away": "the server was away",
    "huge": "the answer was too long",
    "broken": "it broke off, or cannot be read",
}


def of_agent(ask: Ask) -> Json:
    """What this agent knows of each server, from memory, since its start."""
    return {"servers": list(_servers(ask.section("tools") or {}))}


VIEW = View(
    "tools", "/tools", "Tools", of_agent=of_agent, key="o",
    purpose="MCP servers whose tools the agent calls itself, calls and errors",
)  # fmt: skip


def _servers(servers: Json) -> Iterator[Json]:
    for name, each in sorted(servers.items()):
        yield {
            "name": name,
            "state": each["state"],
            "why": each["why"],
            "tools": [
                _tool(tool, calls, offered=tool in each["tools"])
                for tool, calls in sorted(each["calls"].items())
            ],
        }


def _tool(name: str, calls: Mapping[str, int], *, offered: bool) -> Json:
    """One tool; errors are calls that were made and not answered."""
    return {
        "name": name,
        "offered": offered,
        "calls": sum(calls.values()),
        "answered": calls.get("ok", 0),
        "errors": [
            {"outcome": outcome, "what": what, "number": calls[outcome]}
            for outcome, what in FAILURES.items()
            if calls.get(outcome)
        ],
    }
