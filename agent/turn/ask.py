"""Turns a checked request into what the engine is asked: token ids, and how each choice is sampled.

Everything that would go wrong later is refused here, with the parameter that is at fault: messages
that the chat template cannot render, a prompt that leaves no room for a reply, a reply longer than
the model can hold.

Knows nothing of HTTP or of the engine.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.api.chat import MAX_SEED, ChatRequest
from agent.errors import InvalidError
from agent.settings import AgentSettings
from streams.errors import TemplateRefusedError
from streams.records import Json, Message, Sampling


class Renderer(Protocol):
    """What is needed of the base model (streams.model.open.BaseModel)."""

    @property
    def context_tokens(self) -> int: ...

    def render(
        self, messages: Sequence[Message], tools: Sequence[Json] | None = None
    ) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What the model is shown, and how its replies are sampled."""

    messages: list[Message]
    tools: list[Json] | None
    prompt_token_ids: list[int]
    sampling: tuple[Sampling, ...]  # one a choice


def ask(
    request: ChatRequest,
    base: Renderer,
    settings: AgentSettings,
    *,
    draw_seed: Callable[[], int] = lambda: secrets.randbelow(MAX_SEED),
) -> Asked:
    """Render a request and settle its sampling.

    raises: InvalidError, naming the parameter
    """
    context_tokens = min(settings.context_tokens, base.context_tokens)
    limit, param = request.reply_tokens()
    if limit is not None and limit > context_tokens:
        raise InvalidError(
            f"{param}: at most {context_tokens} tokens fit, prompt and reply together",
            param=param,
            code="invalid_value",
        )
    messages, tools = [each.record() for each in request.messages], request.offered()
    prompt_token_ids = _render(base, messages, tools)
    room = context_tokens - len(prompt_token_ids)
    if room < 1:
        raise InvalidError(
            f"the messages are {len(prompt_token_ids)} tokens, and {context_tokens} fit, reply "
            "included: shorten them, or leave out the oldest",
            param="messages",
            code="context_length_exceeded",
        )
    # A reply that is cut at the end of the context says so itself: finish_reason "length".
    max_tokens = min(limit or settings.default_max_tokens, room)
    sampling = _sampling(request, settings, max_tokens, draw_seed)
    return Asked(messages, tools, prompt_token_ids, sampling)


def _render(base: Renderer, messages: list[Message], tools: list[Json] | None) -> list[int]:
    try:
        return base.render(messages, tools)
    except TemplateRefusedError as cause:  # such as "roles must alternate"
        raise InvalidError(str(cause), param="messages") from cause
    except RecursionError as cause:
        raise InvalidError(
            "arguments of a tool call are nested too deep", param="messages"
        ) from cause


def _sampling(
    request: ChatRequest, settings: AgentSettings, max_tokens: int, draw_seed: Callable[[], int]
) -> tuple[Sampling, ...]:
    """Settle each choice's sampling; a given seed counts up, so that choices differ and repeat."""
    given = request.seed
    temperature, top_p = request.temperature, request.top_p
    return tuple(
        Sampling(
            temperature=settings.default_temperature if temperature is None else temperature,
            top_p=settings.default_top_p if top_p is None else top_p,
            max_tokens=max_tokens,
            seed=draw_seed() if given is None else (given + choice) % (MAX_SEED + 1),
            stop=request.stop or [],
        )
        for choice in range(request.n or 1)
    )
