"""The JSON that Completions answers with, as types; reply.py builds it."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from agent.api.openai import FinishReason, Usage


class TextLogprobs(TypedDict):
    """Log-probabilities of a choice's or a chunk's tokens, at temperature 1."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int]


class TextChoice(TypedDict):
    """One of the replies, or what is new of it; the first prompt's come first."""

    index: int
    text: str
    logprobs: TextLogprobs | None
    finish_reason: FinishReason | None


class TextCompletion(TypedDict):
    """A whole answer, or one event of a stream."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: str | None
    choices: list[TextChoice]
    usage: NotRequired[Usage | None]
