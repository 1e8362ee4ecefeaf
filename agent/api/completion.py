"""Gives a response the shape of OpenAI's chat.completion, whole or in chunks.

`system_fingerprint` is the version that sampled the choice: two choices of one response may come
from two versions, when a swap lies between their starts.

Knows the API's JSON; nothing of sockets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.engine.contract import Token
from agent.turn.reply import Reply
from streams.records import Json


@dataclass(frozen=True, slots=True)
class Head:
    """What every part of a response repeats."""

    id: str
    model: str
    created_s: int
    logprobs: bool


def completion(head: Head, replies: Sequence[Reply], *, prompt_tokens: int) -> Json:
    """Give the whole response."""
    choices = [
        {
            "index": number,
            "message": _message(reply),
            "logprobs": _logprobs(reply.tokens) if head.logprobs else None,
            "finish_reason": reply.finish_reason,
        }
        for number, reply in enumerate(replies)
    ]
    return {
        **_common(head, "chat.completion", replies[0].version),
        "choices": choices,
        "usage": usage(replies, prompt_tokens=prompt_tokens),
    }


def chunk(
    head: Head,
    number: int,
    reply: Reply,
    delta: Json,
    *,
    tokens: Sequence[Token] = (),
    finished: bool = False,
) -> Json:
    """Give one chunk of a streamed choice.

    tokens: those whose log-probabilities this chunk carries, when they were asked for
    """
    choice = {
        "index": number,
        "delta": delta,
        "logprobs": _logprobs(tokens) if head.logprobs and tokens else None,
        "finish_reason": reply.finish_reason if finished else None,
    }
    return {**_common(head, "chat.completion.chunk", reply.version), "choices": [choice]}


def usage_chunk(head: Head, replies: Sequence[Reply], *, prompt_tokens: int) -> Json:
    """Give the last chunk, which carries the usage and no choice."""
    return {
        **_common(head, "chat.completion.chunk", replies[0].version),
        "choices": [],
        "usage": usage(replies, prompt_tokens=prompt_tokens),
    }


def usage(replies: Sequence[Reply], *, prompt_tokens: int) -> Json:
    """Count tokens; the prompt is read once, however many choices it has."""
    reply_tokens = sum(len(reply.tokens) for reply in replies)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": reply_tokens,
        "total_tokens": prompt_tokens + reply_tokens,
    }


def _common(head: Head, kind: str, version: str | None) -> Json:
    return {
        "id": head.id,
        "object": kind,
        "created": head.created_s,
        "model": head.model,
        "system_fingerprint": version,
    }


def _message(reply: Reply) -> Json:
    message = reply.message()
    shaped: Json = {"role": "assistant", "content": message.content, "refusal": None}
    return shaped | ({"tool_calls": message.tool_calls} if message.tool_calls else {})


def _logprobs(tokens: Sequence[Token]) -> Json:
    """Give the chosen tokens' log-probabilities, at temperature 1; others are not recorded."""
    return {
        "content": [
            {
                "token": token.text,
                "logprob": token.logprob,
                "bytes": list(token.text.encode()),
                "top_logprobs": [],
            }
            for token in tokens
        ],
        "refusal": None,
    }
