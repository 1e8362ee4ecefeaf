"""Resources: a version, a turn, the models that can be asked for; prompts that use the tools."""

import json
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from deploy.errors import DeployError, RefusedError
from deploy.mcp.calls import Caller
from deploy.mcp.look import section, shown
from deploy.mcp.service import HeldKeys, Json, Service

JSON = "application/json"
MODELS = ("all", "candidate", "previous", "stable")


def add_read(server: MCPServer[Any], service: Service, caller: Caller) -> None:
    """Add these resources to a server."""

    @server.resource(
        "quickset://versions/{n}",
        name="version",
        title="A version",
        description="Its recipe, gate and outcome; by number, name, or how that begins.",
        mime_type=JSON,
    )
    async def version(n: str, ctx: Context[Any, Any]) -> str:
        try:
            return shown(await service.state(caller(ctx)), n).model_dump_json(indent=2)
        except DeployError as cause:
            raise _resource_error(cause) from cause

    @server.resource(
        "quickset://turns/{id}",
        name="turn",
        title="A turn",
        description="What was asked and answered, and how it was judged; by the response's id.",
        mime_type=JSON,
    )
    async def turn(id: str, ctx: Context[Any, Any]) -> str:
        try:
            return json.dumps(await _turn(service, id, caller(ctx)), indent=2, ensure_ascii=False)
        except DeployError as cause:
            raise _resource_error(cause) from cause

    @server.resource(
        "quickset://models/{which}",
        name="models",
        title="Models",
        description="The names that chat and compare take: quickset://models/all.",
        mime_type=JSON,
    )
    async def models(which: str, ctx: Context[Any, Any]) -> str:
        try:
            names = await service.models(caller(ctx))
        except DeployError as cause:
            raise _resource_error(cause) from cause
        return json.dumps(names if which == "all" else [n for n in names if which in n])


def add_completion(server: MCPServer[Any]) -> None:
    """Add suggestions for what a person types into a template of models; others have none."""

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion:
        del context  # nothing depends on what was typed before
        known = MODELS if isinstance(ref, ResourceTemplateReference) and "models" in ref.uri else ()
        return Completion(values=[name for name in known if name.startswith(argument.value)])


def add_prompts(server: MCPServer[Any]) -> None:
    """Add prompts, which hosts show to people as commands."""

    @server.prompt(title="Why isn't it promoted yet?")
    def why_not_promoted() -> str:
        """Ask why the candidate on trial does not serve everybody yet."""
        return (
            "Call rollout_status. In three sentences: what serves, what is on trial with which "
            "share and what it still waits for; then what an operator could do now, and what "
            "speaks against it."
        )

    @server.prompt(title="Compare the candidate")
    def compare_candidate(prompt: str) -> str:
        """Ask candidate and stable version the same, and weigh the answers."""
        return (
            "Call compare with a = stable, b = candidate and the prompt below. Show both answers, "
            f"say how they differ, and which you would rather have got.\n\n{prompt}"
        )


async def _turn(service: Service, turn_id: str, keys: HeldKeys) -> Json:
    """A turn as the console shows it; else the caller's own response, by the API."""
    refused: DeployError | None = None
    try:
        for row in section(await service.state(keys), "turns"):
            if row["id"] == turn_id:
                return row
    except DeployError as cause:
        refused = cause
    if turn_id.startswith("resp_"):
        return await service.response(turn_id, keys)
    raise refused or RefusedError(
        f"no turn {turn_id[:100]!r} is among the last ones: the tool lessons names some", status=404
    )


def _resource_error(cause: DeployError) -> ResourceError:
    missing = isinstance(cause, RefusedError) and cause.status in (0, 404)
    return (ResourceNotFoundError if missing else ResourceError)(str(cause))
