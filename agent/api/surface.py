"""What an API is to the server: a body becomes asks, and reply events become the API's JSON.

One implementation a folder beside this file. Knows no API.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from agent.api.caller import Caller
from agent.errors import ApiError
from agent.turn.answer import Step
from agent.turn.ask import Ask
from agent.turn.own.told import Told


class Call(Protocol):
    """A body that has been checked."""

    @property
    def stream(self) -> bool | None: ...


class Shape(Protocol):
    """How one API writes one answer: JSON for the whole, frames of server-sent events else."""

    def whole(self) -> Mapping[str, Any]: ...

    def step(self, step: Step) -> Iterable[bytes]: ...

    def end(self) -> Iterable[bytes]: ...

    def failure(self, error: ApiError) -> Iterable[bytes]: ...


Checked = TypeVar("Checked", bound=Call)


class Surface(Protocol[Checked]):
    """An API that answers with replies."""

    @property
    def id_prefix(self) -> str:
        """What the ids of its responses begin with."""
        ...

    def read(self, body: bytes) -> Checked:
        """Check the body of a request. Raises: InvalidError, which names the parameter."""
        ...

    async def asks(self, call: Checked, caller: Caller) -> Sequence[Ask]:
        """Turn a checked body into what every API asks, one ask a prompt.

        raises: InvalidError, NotFoundError, naming the parameter or header
        """
        ...

    def shape(self, answer: Told, call: Checked) -> Shape:
        """How the answer is written."""
        ...
