"""Builds turns for the learner's tests: conversations as the agent would record them."""

import hashlib
from collections.abc import Sequence
from typing import Literal

from streams import chain
from streams.records import Message, Sampling, Turn

SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_tokens=64, seed=0)


def said(*texts: str) -> list[Message]:
    """A conversation in which user and assistant alternate."""
    roles: tuple[Literal["user"], Literal["assistant"]] = ("user", "assistant")
    return [Message(role=roles[i % 2], content=text) for i, text in enumerate(texts)]


def turn(
    messages: Sequence[Message],
    reply: str | Message,
    *,
    id: str = "",
    principal: str = "alice",
    session: str | None = None,
    created_ms: int = 1_000,
    purpose: Literal["main", "side", "chore"] = "main",
    learn: bool = True,
    version: str = "base",
    line: str = "main",
    prompt: Sequence[int] = (5, 6, 7),
    tokens: Sequence[int] = (8, 9),
    logprobs: Sequence[float] | None = None,
    finish_reason: Literal["stop", "length", "tool_calls", "cancelled"] = "stop",
    delivered: bool | None = None,
    client: str | None = None,
    follows: str | None = None,
    body: str | None = None,
    idempotency: str | None = None,
) -> Turn:
    """The turn that answers `messages` with `reply`.

    session: the client's name for it; None: it names none
    body, idempotency: anything that tells one body or key from another
    """
    answer = reply if isinstance(reply, Message) else Message(role="assistant", content=reply)
    keys = chain.keys([*messages, answer])
    given = list(logprobs) if logprobs is not None else [-1.0] * len(tokens)
    return Turn(
        id=id or f"turn-{keys[-1][:12]}-{created_ms}",
        line=line,
        version=version,
        principal=principal,
        session=_hash(session) if session else chain.session_of(messages, principal),
        prefix_key=keys[-2] if len(keys) > 1 else chain.ROOT,
        key=keys[-1],
        messages=list(messages),
        reply=answer,
        prompt_token_ids=list(prompt),
        token_ids=list(tokens),
        logprobs=given,
        sampling_logprobs=given,
        sampling=SAMPLING,
        finish_reason=finish_reason,
        learn=learn,
        purpose=purpose,
        created_ms=created_ms,
        delivered=delivered,
        client=client,
        follows=follows,
        body_key=_hash(body) if body else None,
        idempotency_key=_hash(idempotency) if idempotency else None,
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
