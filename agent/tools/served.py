"""Tools that the agent calls itself: what is offered, what a call came to, and the port for both.

What such a tool says is *tainted*: the model reads it, and nothing that it says is ever a reward, a
hint or an instruction.

Knows nothing of where the tools are.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from streams.records import Json

# ok: it answered. failed: it says itself that it failed. timeout, away, huge, broken: no answer,
# nobody there, too much of an answer, or none that can be read. unapproved: it was not called, as
# somebody has to allow it first. left: nor was it, as the bounds of the request were reached.
Outcome = Literal["ok", "failed", "timeout", "away", "huge", "broken", "unapproved", "left"]


@dataclass(frozen=True, slots=True)
class Served:
    """A tool that the agent calls itself.

    tool: as the chat template has it, in OpenAI's form
    approval: whether somebody has to allow each call
    """

    server: str
    tool: Json
    approval: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a call came to. text: what the model reads, bounded"""

    text: str
    outcome: Outcome

    @property
    def error(self) -> str | None:
        """Its text, where it is no answer."""
        return None if self.outcome == "ok" else self.text


@dataclass(frozen=True, slots=True)
class Made:
    """A call that the agent made, or would have made, in place of handing it to the client.

    id: of the call, by which the model's history has it
    result: None while it is being made
    asks: whether somebody is asked to allow it, in this reply
    """

    id: str
    server: str
    name: str
    arguments: str
    result: Result | None = None
    asks: bool = False


class Toolbox(Protocol):
    """Where such tools are. Nothing here fails: what goes wrong is a Result that says so."""

    @property
    def steps(self) -> int:
        """How often the model may be asked again with results."""
        ...

    @property
    def seconds(self) -> float:
        """How long all calls for one request may take together."""
        ...

    @property
    def servers(self) -> Collection[str]:
        """The names of all servers, also of those that are away."""
        ...

    def start(self) -> None:
        """Begin to connect; nothing waits for it."""
        ...

    def stop(self) -> None:
        """Let go of all servers; takes a moment."""
        ...

    def status(self) -> Json:
        """How each server is, for people."""
        ...

    def offered(self) -> Mapping[str, Served]:
        """The tools that can be called now, by name."""
        ...

    async def call(self, name: str, arguments: str, *, within_s: float) -> Result:
        """Call a tool. arguments: JSON, an object"""
        ...
