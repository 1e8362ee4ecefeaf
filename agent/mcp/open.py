"""The servers of the settings, opened; without any, nothing is, and no package is needed."""

from collections.abc import Mapping

from agent.errors import StartError
from agent.mcp.settings import ToolServer
from agent.tools.served import Toolbox
from agent.watch.events import Events
from agent.watch.metrics import Metrics


def open_servers(
    servers: Mapping[str, ToolServer],
    *,
    steps: int,
    seconds: float,
    most_bytes: int,
    events: Events,
    metrics: Metrics,
) -> Toolbox | None:
    """Open them; they are connected when they are started. None where none are named.

    steps, seconds: as the port has them
    most_bytes: of a result's text
    raises: StartError where the package that they need is not installed
    """
    if not servers:
        return None
    try:
        from agent.mcp.servers import Servers
    except ModuleNotFoundError as cause:
        raise StartError(
            "agent.tools needs the extra mcp: pip install -e '.[mcp]', or leave agent.tools out"
        ) from cause
    return Servers(
        servers,
        steps=steps,
        seconds=seconds,
        most_bytes=most_bytes,
        events=events,
        metrics=metrics,
    )
