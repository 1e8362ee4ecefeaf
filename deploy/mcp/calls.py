"""What every tool needs: the keys of its caller, and failures that a model can read."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final, ParamSpec, TypeVar

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

from deploy.errors import DeployError
from deploy.mcp.service import HeldKeys

OPERATOR_HEADER: Final = "X-Quickset-Operator-Key"

# The keys of whoever sent the request that a tool is called by.
Caller = Callable[[Context[Any, Any]], HeldKeys]
P = ParamSpec("P")
R = TypeVar("R")


def of_environment(keys: HeldKeys) -> Caller:
    """Over stdio: whoever starts the process has brought the keys."""
    return lambda _: keys


def of_request(ctx: Context[Any, Any]) -> HeldKeys:
    """Over HTTP: each request brings its own keys, and never acts with those of the process."""
    headers = {name.lower(): value for name, value in (ctx.headers or {}).items()}
    scheme, _, key = headers.get("authorization", "").partition(" ")
    bearer = key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    return HeldKeys(bearer or None, headers.get(OPERATOR_HEADER.lower()) or None)


def answered(tool: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Turn what the service refuses into an error of the tool, whose text says what to do."""

    @functools.wraps(tool)
    async def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await tool(*args, **kwargs)
        except DeployError as cause:
            raise ToolError(str(cause)) from cause

    return called
