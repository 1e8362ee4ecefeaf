"""Builds turns for the learner's tests: conversations as the agent would record them."""

from collections.abc import Sequence
from typing import Literal

from streams import chain
from streams.records import Message, Sampling, Turn

SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_tokens=64, seed=0)


def said(*texts: str) -> list[Message]:
    """Give a conversation in which user and assistant alternate."""
    roles: tuple[Literal["user"], Literal["assistant"]] = ("user", "assistant")
    return [Message(role=roles[i % 2], content=text) for i, text in enumerate(texts)]


def turn(
    messages: Sequence[Message],
    reply: str | Message,
    *,
    id: str = "",
    principal: str = "alice",
    created_ms: int = 1_000,
    purpose: Literal["main", "side", "chore"] = "main",
    learn: bool = True,
    version: str = "base",
    line: str = "main",
    prompt: Sequence[int] = (5, 6, 7),
    tokens: Sequence[int] = (8, 9),
    logprobs: Sequence[float] | None = None,
) -> Turn:
    """Give the turn that answers `messages` with `reply`."""
    answer = reply if isinstance(reply, Message) else Message(role="assistant", content=reply)
    keys = chain.keys([*messages, answer])
    given = list(logprobs) if logprobs is not None else [-1.0] * len(tokens)
    return Turn(
        id=id or f"turn-{keys[-1][:12]}-{created_ms}",
        line=line,
        version=version,
        principal=principal,
        session=chain.session_of(messages, principal),
        prefix_key=keys[-2],
        key=keys[-1],
        messages=list(messages),
        reply=answer,
        prompt_token_ids=list(prompt),
        token_ids=list(tokens),
        logprobs=given,
        sampling_logprobs=given,
        sampling=SAMPLING,
        finish_reason="stop",
        learn=learn,
        purpose=purpose,
        created_ms=created_ms,
    )
