"""What the console needs of the agent that it watches: some reads and two writes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from agent.compare import Comparison
from agent.errors import UnknownVersionError
from agent.settings import AgentSettings
from agent.watch.events import Event, Kind
from agent.watch.metrics import Metrics
from streams.records import Json, LearnOrder, Rollout, Verb
from streams.settings import RolloutSettings


class Status(Protocol):
    """How an agent is at one moment (agent.status.Status)."""

    @property
    def tools(self) -> Json:
        """Each MCP server of agent.tools: its state, why it is away, its tools, their calls."""
        ...

    @property
    def changes(self) -> Sequence[Rollout]:
        """The last changes of the line that this agent has followed, newest first."""
        ...

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

    def named(self, version: int | str) -> str:
        """Return the version that a number, word or beginning means. Raises: ApiError."""
        ...


class Steering(Protocol):
    """What operators decide of a line, carried out (agent.steering.Steering)."""

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
        self,
        verb: Verb,
        who: str,
        reason: str,
        expected_seq: int | None = None,
        *,
        completes: bool = True,
    ) -> Rollout:
        """Use a verb on the line or the candidate that is on trial, by way of the log.

        raises: ConflictError when somebody else changed the line first; VerbRefusedError;
            NotAllowedError; LogUnavailableError; LastStepError when the candidate would serve
            everybody, and `completes` does not let it
        """
        ...

    async def order_learning(self, who: str, reason: str) -> LearnOrder:
        """Order one generation now, in any mode of the learner, by way of the log.

        raises: VerbRefusedError while the line learns nothing; LogUnavailableError
        """
        ...


class Service(Protocol):
    """The running agent (agent.service.AgentService)."""

    @property
    def settings(self) -> AgentSettings:
        """What is in force: what was left open is as the model has it."""
        ...

    @property
    def as_set(self) -> AgentSettings:
        """What file, environment and flags say."""
        ...

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

    @property
    def steering(self) -> Steering: ...

    def status(self) -> Status:
        """How it is now, from memory."""
        ...

    @property
    def rollout(self) -> RolloutSettings:
        """How a version comes to serve."""
        ...

    async def digest_of(self, version: str) -> str:
        """The SHA-256 of a version's served tensors, hex. Raises: UnknownVersionError."""
        ...


class Insight(Protocol):
    """What can be told of the model itself (agent.insight.Insight); each call takes its time."""

    def sizes(self) -> Mapping[str, int]:
        """How many layers the model has, and of each the neurons and attention groups."""
        ...

    def words(self, token_ids: Sequence[int]) -> tuple[list[str], str]:
        """What each token writes, half a character escaped, and what all write together."""
        ...

    def moved(self, version: str) -> list[Json]:
        """What a version changed of its parent, a tensor at a time (kernels.version.moved).

        raises: UnknownVersionError when its recipe or mask is not known here
        """
        ...


class NoInsight:
    """Nothing is known of the model: a console beside an agent that is none of ours."""

    def sizes(self) -> Mapping[str, int]:
        """No layer is known."""
        return {"layers": 0, "neurons": 0, "groups": 0}

    def words(self, token_ids: Sequence[int]) -> tuple[list[str], str]:
        """Tokens by their numbers."""
        return [f"[{id}]" for id in token_ids], ""

    def moved(self, version: str) -> list[Json]:
        """Nothing is known of any version."""
        raise UnknownVersionError(f"no recipe of version {version} is known here")
