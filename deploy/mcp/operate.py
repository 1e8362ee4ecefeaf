"""Tools that change what serves: the operators' verbs, each with a reason that is kept.

Offered only to whoever holds an operator's key; the console proves it, and writes down who and why.
"""

from typing import Annotated, Any, Final

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import ToolAnnotations
from pydantic import Field

from deploy.mcp.calls import Caller, answered
from deploy.mcp.service import Json, Service
from deploy.mcp.told import Change

# name → verb of the console, title, what it does, whether it takes something from people at once
VERBS: Final = (
    ("pause", "pause", "Pause the trial", "Keep the candidate at its share until resumed.", False),
    ("resume", "resume", "Resume the trial", "Let a paused or held trial go on.", False),
    (
        "promote",
        "promote-full",
        "Promote the candidate",
        "Let the candidate that is on trial serve everybody now; without a trial there is none: a "
        "version of before is taken into service by `quickset versions promote VERSION`.",
        True,
    ),
    ("abort", "abort", "Abort the trial", "End the trial; what serves, serves everybody.", True),
    (
        "rollback",
        "rollback",
        "Roll back",
        "Take the serving version back: the previous one serves again, at once.",
        True,
    ),
)
Reason = Annotated[str, Field(min_length=1, max_length=500, description="kept in the audit")]
Seq = Annotated[
    int | None,
    Field(ge=0, description="seq of rollout_status: refuse if the line has changed since"),
]


def add_operate(server: MCPServer[Any], service: Service, caller: Caller) -> None:
    """Add these tools to a server."""
    for name, verb, title, what, destructive in VERBS:
        server.add_tool(
            _tool(service, caller, verb),
            name=name,
            title=title,
            description=f"{what} For operators; say why.",
            annotations=ToolAnnotations(
                read_only_hint=False,
                destructive_hint=destructive,
                idempotent_hint=False,
                open_world_hint=False,
            ),
        )


def _tool(service: Service, caller: Caller, verb: str) -> Any:
    @answered
    async def steer(reason: Reason, ctx: Context[Any, Any], expected_seq: Seq = None) -> Change:
        body: Json = {"reason": reason}
        if expected_seq is not None:
            body["expected_seq"] = expected_seq
        told = await service.steer(verb, body, caller(ctx))
        names = ("line", "seq", "verb", "version", "candidate", "state", "share", "who", "reason")
        return Change(**{name: told.get(name) for name in names})

    return steer
