"""What is asked, and by whom: one value, whichever API it came by, and its prompt.

Messages that the chat template cannot render, and a prompt that leaves no room for a reply, are
refused here, with the parameter that is at fault.

Knows nothing of HTTP or of the engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from agent.errors import InvalidError
from agent.turn.origin import UNKNOWN, Origin
from agent.turn.sessions import Purpose
from streams.errors import TemplateRefusedError
from streams.records import Json, Message, Sampling


class Renderer(Protocol):
    """What is needed of the base model (streams.model.open.BaseModel)."""

    @property
    def context_tokens(self) -> int: ...

    def render(
        self, messages: Sequence[Message], tools: Sequence[Json] | None = None
    ) -> list[int]: ...


Truncation = Literal["auto", "disabled"]


@dataclass(frozen=True, slots=True)
class Cut:
    """What was left out of a prompt: its oldest exchanges.

    messages: how many, of the oldest that are not the system's or the developer's
    tokens: by how many that made the prompt shorter
    """

    messages: int = 0
    tokens: int = 0


WHOLE = Cut()


@dataclass(frozen=True, slots=True)
class Ask:
    """One request for replies: its principal, its conversation, and what is asked."""

    principal: str
    session: str
    line: str
    model: str  # what was asked for, by the client's name of it
    purpose: Purpose
    learn: bool  # False: the client asked not to be learned from
    messages: list[Message]
    tools: list[Json] | None  # what the model is shown; None: no tools, and none are looked for
    parallel_calls: bool  # False: of a reply's tool calls the first one counts
    samplings: tuple[Sampling, ...]  # one a choice
    top_logprobs: int = 0  # how many of the likeliest tokens to tell beside each sampled one
    continues: bool = False  # True: the reply goes on with the last message, the assistant's
    truncation: Truncation = "disabled"  # auto: leave out the oldest exchanges when all do not fit
    follows: str | None = None  # the turn that the client named as the one before
    origin: Origin = UNKNOWN
    prompt_token_ids: list[int] = field(default_factory=list)  # empty until it is rendered
    cut: Cut = WHOLE  # what the prompt lacks


def render(ask: Ask, base: Renderer, *, context_tokens: int) -> Ask:
    """Return the ask with its prompt, and no reply longer than the room that the prompt leaves.

    context_tokens: how many fit, prompt and reply together
    raises: InvalidError, naming the parameter
    """
    prompt_token_ids = _prompt(ask, base)
    room = context_tokens - len(prompt_token_ids)
    if room < 1:
        raise InvalidError(
            f"the messages are {len(prompt_token_ids)} tokens, and {context_tokens} fit, reply "
            "included: shorten them, or leave out the oldest",
            param="messages",
            code="context_length_exceeded",
        )
    # A reply that is cut at the end of the context says so itself: finish_reason "length".
    samplings = tuple(
        each.model_copy(update={"max_tokens": min(each.max_tokens, room)}) for each in ask.samplings
    )
    return replace(ask, prompt_token_ids=prompt_token_ids, samplings=samplings)


def _prompt(ask: Ask, base: Renderer) -> list[int]:
    try:
        return base.render(ask.messages, ask.tools)
    except TemplateRefusedError as cause:  # such as "roles must alternate"
        raise InvalidError(str(cause), param="messages") from cause
    except RecursionError as cause:
        raise InvalidError(
            "arguments of a tool call are nested too deep", param="messages"
        ) from cause
