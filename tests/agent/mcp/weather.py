"""A real MCP server, written with the SDK: over stdio, or over HTTP where a port file is named."""

import asyncio
import socket
import sys
from pathlib import Path

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("weather", log_level="ERROR")


@server.tool()
def weather(city: str) -> str:
    """Say what the weather is like."""
    return f"It rains in {city}."


@server.tool()
def failing(reason: str) -> str:
    """Fail."""
    raise ToolError(reason)


@server.tool()
def long(size: int) -> str:
    """Say much."""
    return "x" * size


@server.tool()
def secret() -> str:
    """A tool that nobody allowed."""
    return "the moon"


@server.tool()
async def learn(ctx: Context) -> str:
    """Offer one more tool from now on."""

    def later() -> str:
        """A tool that came later."""
        return "here I am"

    server.add_tool(later, name="later")
    await ctx.session.send_tool_list_changed()
    await ctx.notify_tools_changed()
    return "learned"


@server.tool()
async def slow() -> str:
    """Take very long."""
    await asyncio.sleep(3600)
    return "done"


async def over_http(port_file: Path) -> None:
    """Serve on a free port, and write its address down."""
    import uvicorn

    listening = socket.create_server(("127.0.0.1", 0))
    app = server.streamable_http_app()
    running = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
    port_file.write_text(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp")
    await running.serve(sockets=[listening])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(over_http(Path(sys.argv[1])))
    else:
        server.run("stdio")
