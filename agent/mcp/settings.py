"""What settings say of one MCP server."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from streams.settings import Section, distinct, prove_http

# What every family of models can write as the name of a function.
NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"
Name = Annotated[str, StringConstraints(pattern=NAME)]


class ToolServer(Section):
    """An MCP server: a command that is started here, or an address of streamable HTTP."""

    command: str | None = Field(
        None, description="program to start; it talks over stdin and stdout"
    )
    args: tuple[str, ...] = Field((), description="its arguments")
    env: dict[str, str] = Field({}, description="its environment, beside PATH, HOME and the like")
    url: str | None = Field(None, description="address of one that runs, in place of a command")
    headers: dict[str, str] = Field({}, description="sent with each request to the address")
    allow: Annotated[tuple[Name, ...], AfterValidator(distinct)] = Field(
        min_length=1, description="names of its tools that may be called; no other ever is"
    )
    approval: Literal["never", "always"] | tuple[Name, ...] = Field(
        "never", description="which of them somebody has to allow, call by call: or their names"
    )
    timeout_s: float = Field(30.0, gt=0, description="longest call, seconds")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("name a command or a url, and not both")
        if self.url is not None:
            prove_http("url", self.url)
        if self.command is None and (self.args or self.env):
            raise ValueError("args and env go with a command")
        if self.url is None and self.headers:
            raise ValueError("headers go with a url")
        if isinstance(self.approval, tuple) and (lost := set(self.approval) - set(self.allow)):
            raise ValueError(f"approval: {', '.join(sorted(lost))} is not in allow")
        return self

    def needs_approval(self, name: str) -> bool:
        """Whether somebody has to allow each call of a tool."""
        if isinstance(self.approval, str):
            return self.approval == "always"
        return name in self.approval


def prove_apart(servers: dict[str, ToolServer]) -> None:
    """Prove that no two servers offer a tool of one name. Raises: ValueError, which names it."""
    owners: dict[str, str] = {}
    for server, each in servers.items():
        if not re.match(NAME, server):
            raise ValueError(f"{server!r} is no name of a server: letters, digits, _ and -")
        for tool in each.allow:
            if tool in owners:
                raise ValueError(
                    f"the tool {tool} is in allow of {owners[tool]} and of {server}: the model "
                    "could not tell them apart; leave one out"
                )
            owners[tool] = server
