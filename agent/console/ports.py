"""What the console needs of the agent that it watches: a few reads and one write."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from agent.compare import Comparison
from agent.settings import AgentSettings
from agent.watch.events import Event, Kind
from agent.watch.metrics import Metrics
from streams.records import Json, Rollout, Verb


class Status(Protocol):
    """How an agent is at one moment (agent.status.Status)."""

    def serving(self) -> Json:
        """Line → {version, previous, seq, since_ms, …}.

        A line whose decided version does not serve (yet) says so: decided, pending, failed.
        """
        ...

    def spooled(self) -> Json:
        """What is on this agent's disk and not in the log yet."""
        ...


class Events(Protocol):
    """What happened to this agent lately (agent.watch.events.Events)."""

    def add(self, kind: Kind, text: str) -> None:
        """Keep an event."""
        ...

    def __iter__(self) -> Iterator[Event]:
        """Yield the events, oldest first."""
        ...


class Comparisons(Protocol):
    """Compares versions (agent.compare.Comparisons)."""

    async def compare(
        self, a: int | str, b: int | str, prompts: Sequence[str], *, max_tokens: int
    ) -> Comparison:
        """Answer prompts on two versions. Raises: ApiError, with what is in the way."""
        ...


class Service(Protocol):
    """The running agent (agent.service.AgentService)."""

    @property
    def settings(self) -> AgentSettings: ...

    @property
    def events(self) -> Events:
        """What happened to this agent lately, oldest first."""
        ...

    @property
    def metrics(self) -> Metrics:
        """What is counted here."""
        ...

    @property
    def comparisons(self) -> Comparisons: ...

    def status(self) -> Status:
        """How it is now, from memory."""
        ...

    async def digest_of(self, version: str) -> str:
        """The SHA-256 of a version's served tensors, hex. Raises: UnknownVersionError."""
        ...

    async def rollback(self, who: str, reason: str, expected_seq: int | None = None) -> Rollout:
        """Serve the previous version again, now, with or without broker and database.

        raises: ConflictError when the line's seq is not the expected one; SwapError when there is
            nothing to go back to, or it cannot be taken
        """
        ...

    async def reset(self, who: str, reason: str, expected_seq: int | None = None) -> Rollout:
        """Serve the base again, now, and learn nothing more until told.

        raises: ConflictError when the line's seq is not the expected one; VerbRefusedError when it
            has been done already
        """
        ...

    async def operate(
        self, verb: Verb, who: str, reason: str, expected_seq: int | None = None
    ) -> Rollout:
        """Use a verb on the line or the candidate that is on trial, by way of the log.

        raises: ConflictError when somebody else changed the line first; VerbRefusedError;
            NotAllowedError; LogUnavailableError
        """
        ...
