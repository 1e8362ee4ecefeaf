"""Who asks, and what it may choose from: what every API needs beside the body to make an Ask.

Knows nothing of any API's JSON.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.api.models import Models
from agent.settings import AgentSettings
from agent.turn.ask import Ask
from agent.turn.origin import UNKNOWN, Origin
from agent.turn.sessions import may_learn, purpose_of, session_of
from streams.records import Message, Sampling

MAX_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Caller:
    """A client, as its request's headers tell it.

    headers: case-insensitive; what they say of session, purpose and learning is honoured
    settings: those in force, the context no longer than the model's own
    draw_seed: a seed for a request that names none
    """

    principal: str
    headers: Mapping[str, str]
    settings: AgentSettings
    models: Models
    origin: Origin = UNKNOWN
    draw_seed: Callable[[], int] = lambda: secrets.randbelow(MAX_SEED)

    def ask(
        self,
        model: str,
        messages: Sequence[Message],
        samplings: tuple[Sampling, ...],
        *,
        learn: bool = True,
        session: str | None = None,
        **given: Any,
    ) -> Ask:
        """Make an ask; its prompt is not rendered yet.

        model: as the client names it
        learn: what the body says; the headers may forbid it, too
        session: where the body tells it; None: as headers or messages tell
        given: further fields of Ask
        raises: NotFoundError for a model that is not served; InvalidError, naming the header
        """
        purpose = purpose_of(messages, self.headers)
        fields: dict[str, Any] = {"tools": None, "parallel_calls": True, "purpose": purpose}
        return Ask(
            principal=self.principal,
            session=session or session_of(messages, self.headers, self.principal),
            line=self.settings.line,
            model=model,
            learn=may_learn(self.headers) and learn,
            messages=list(messages),
            samplings=samplings,
            wanted=self.models.choose(model),
            origin=self.origin,
            **(fields | given),
        )
