"""The MCP server, assembled: which tools, resources and prompts whoever connects is offered."""

from typing import Any, Final

from mcp.server import MCPServer

from deploy.mcp.calls import Caller
from deploy.mcp.look import add_look
from deploy.mcp.operate import add_operate
from deploy.mcp.read import add_completion, add_prompts, add_read
from deploy.mcp.service import Service
from deploy.mcp.talk import add_talk

INSTRUCTIONS: Final = """\
Quickset serves a language model that keeps learning from its conversations. chat talks with it (go
on by previous_response_id, correct it in plain words), rate says what a reply was worth. A reply
may have waiting calls of the agent's own tools: ask the person, then approve or deny them by chat.
versions, version, rollout_status and lessons show what it has learned and what serves; compare asks
two versions the same. pause, resume, promote, abort and rollback, where they are offered, change
what everybody gets: ask the person first."""


def build_server(
    service: Service, caller: Caller, *, operates: bool, looks: bool = True
) -> MCPServer[Any]:
    """Assemble the server.

    caller: whose keys a call uses
    operates: whether the operators' verbs are offered
    looks: whether what the console shows is, which has everybody's conversations
    """
    server: MCPServer[Any] = MCPServer(
        "quickset",
        title="Quickset",
        instructions=INSTRUCTIONS,
        version="0.1.0",
        log_level="WARNING",
    )
    add_talk(server, service, caller)
    if looks:
        add_look(server, service, caller)
        add_read(server, service, caller)
        add_prompts(server)
        add_completion(server)
    if operates:
        add_operate(server, service, caller)
    return server
