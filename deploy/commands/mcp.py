"""quickset mcp: an MCP server in front of a running agent, over stdio or streamable HTTP."""

import os
from typing import Annotated

import typer

from deploy.commands.options import with_settings
from deploy.errors import MissingExtraError, SettingsError
from deploy.settings.load import InForce
from deploy.up.ports import url as url_of

Http = Annotated[bool, typer.Option("--http", help="Streamable HTTP in place of stdio.")]
Host = Annotated[str, typer.Option("--host", help="Address to serve at, with --http.")]
McpPort = Annotated[
    int,
    typer.Option("--mcp-port", min=0, max=65535, help="Port, with --http; 0 takes a free one."),
]
Url = Annotated[str | None, typer.Option("--url", help="The agent's address; else of settings.")]
Console = Annotated[
    str | None, typer.Option("--console-url", help="The console's address; else of the settings.")
]
Operator = Annotated[
    bool,
    typer.Option(
        "--operator", help="Offer the operators' verbs at a console that asks for no key."
    ),
]


@with_settings("port", "console_port")
def mcp(
    in_force: InForce,
    http: Http = False,
    host: Host = "127.0.0.1",
    mcp_port: McpPort = 8323,
    url: Url = None,
    console_url: Console = None,
    operator: Operator = False,
) -> None:
    """Offer a running agent to MCP hosts: chat, versions, rollouts, lessons.

    Over stdio the keys are QUICKSET_API_KEY and QUICKSET_OPERATOR_KEY; over HTTP each request
    brings its own. docs/MCP.md has what to paste into hosts.
    """
    for flag, given in (("--url", url), ("--console-url", console_url)):
        if given is not None and not given.startswith(("http://", "https://")):
            raise SettingsError(f"{flag} {given}: give an address that begins with http(s)://")
    try:
        from deploy.mcp.serve import serve_http, serve_stdio
    except ModuleNotFoundError as cause:
        if (cause.name or "").partition(".")[0] not in ("mcp", "mcp_types", "uvicorn"):
            raise
        raise MissingExtraError(
            "`quickset mcp` needs the extra mcp: pip install -e '.[mcp]'"
        ) from cause
    from deploy.mcp.service import API_KEY, OPERATOR_KEY, HeldKeys, Service

    agent = in_force.settings.agent
    service = Service(
        url or url_of(agent.host, agent.port),
        console_url or url_of(agent.console_host, agent.console_port),
    )
    if http:
        serve_http(service, agent, host=host, port=mcp_port, operates=operator)
        return
    keys = HeldKeys(os.environ.get(API_KEY), os.environ.get(OPERATOR_KEY))
    serve_stdio(service, keys, operates=operator or keys.operator is not None)
