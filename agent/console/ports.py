"""What the console needs of the agent that it watches: a few reads and one write."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from agent.settings import AgentSettings
from agent.watch.events import Event
from streams.records import Rollout


class Residents(Protocol):
    """The versions whose weights are in memory."""

    def digest_of(self, version: str) -> str:
        """Give the SHA-256 of a resident version's served tensors, hex. Slow: call it in a thread.

        raises: UnknownVersionError
        """
        ...


class Service(Protocol):
    """The running agent."""

    @property
    def settings(self) -> AgentSettings: ...

    @property
    def residents(self) -> Residents: ...

    @property
    def events(self) -> Iterable[Event]:
        """What happened to this agent lately, oldest first."""
        ...

    def serving(self) -> Mapping[str, Mapping[str, Any]]:
        """Give line → {version, previous, seq, since_ms, …}, from memory.

        A line whose decided version does not serve (yet) says so: decided, pending, failed.
        """
        ...

    def spool(self) -> Mapping[str, Any]:
        """Give what is on this agent's disk and not in the log yet: records, bytes, dropped, why.

        From memory (agent.status.spooled).
        """
        ...

    async def rollback(self, who: str, reason: str, expected_seq: int | None = None) -> Rollout:
        """Serve the previous version again, now, with or without broker and database.

        raises: ConflictError when the line's seq is not the expected one; SwapError when there is
            nothing to go back to, or it cannot be taken
        """
        ...
