"""Who asks, and what it may choose from: what every API needs beside the body to make an Ask.

Knows nothing of any API's JSON.
"""

import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.api.models.models import Models
from agent.errors import NotFoundError
from agent.settings import AgentSettings
from agent.turn.ask import Ask
from agent.turn.held.constraint import Constraint
from agent.turn.origin.origin import UNKNOWN, Origin
from agent.turn.origin.sessions import (
    SESSION_HEADER,
    may_learn,
    may_serve,
    purpose_of,
    session_of,
)
from streams.records import Json, Message, Sampling, Turn

MIN_SEED, MAX_SEED = -(2**63), 2**63 - 1


async def _nothing(response_id: str) -> Turn:
    raise NotFoundError(f"no response {response_id[:100]!r} is stored", param="response_id")


@dataclass(frozen=True, slots=True)
class Caller:
    """A client, as its request's headers tell it.

    headers: case-insensitive; what they say of session, purpose and learning is honoured
    settings: those in force, the context no longer than the model's own
    servers: the names of the agent's own servers of tools
    find: the turn of a stored response of this caller, by the response's id
    draw_seed: a seed for a request that names none
    """

    principal: str
    headers: Mapping[str, str]
    settings: AgentSettings
    models: Models
    servers: Collection[str] = ()
    find: Callable[[str], Awaitable[Turn]] = _nothing
    origin: Origin = UNKNOWN
    draw_seed: Callable[[], int] = lambda: secrets.randbelow(MAX_SEED)

    def wants_text(
        self, tools: list[Json] | None, constraint: Constraint | None, *, serves: bool
    ) -> bool:
        """Whether text alone is asked for, neither calls nor what a reply is held to.

        serves: as of `ask`
        """
        return tools is None and constraint is None and not (serves and self.servers)

    def ask(
        self,
        model: str,
        messages: Sequence[Message],
        samplings: tuple[Sampling, ...],
        *,
        learn: bool = True,
        session: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        serves: bool = False,
        **given: Any,
    ) -> Ask:
        """Make an ask; its prompt is not rendered yet.

        model: as the client names it
        learn: what the body says; the headers may forbid it, too
        session: where the body tells it; a header that names one counts before it
        metadata: the body's, which may name the conversation
        serves: whether its choice of tools allows those that the agent calls itself
        given: further fields of Ask
        raises: NotFoundError for a model that is not served; InvalidError, naming the header
        """
        purpose = purpose_of(messages, self.headers)
        fields: dict[str, Any] = {"tools": None, "parallel_calls": True, "purpose": purpose}
        fields["truncation"] = self.settings.truncation
        fields["serves"] = serves and purpose == "main" and may_serve(self.headers)
        return Ask(
            principal=self.principal,
            session=self._session(messages, session, metadata),
            line=self.settings.line,
            model=model,
            learn=may_learn(self.headers) and learn,
            messages=list(messages),
            samplings=samplings,
            wanted=self.models.choose(model),
            origin=self.origin,
            **(fields | given),
        )

    def _session(
        self, messages: Sequence[Message], told: str | None, metadata: Mapping[str, Any] | None
    ) -> str:
        if told is not None and not self.headers.get(SESSION_HEADER):
            return told
        return session_of(messages, self.headers, self.principal, metadata)
