"""What OpenAI's APIs have in common: how tokens are counted, what a stream carries beside.

Knows no whole body.
"""

from typing import Literal

from typing_extensions import TypedDict

from agent.http.form import Form
from agent.turn import reply


class ErrorDetail(TypedDict):
    """What went wrong."""

    message: str
    type: str
    param: str | None  # the parameter at fault, as the client spells it
    code: str | None


class ErrorBody(TypedDict):
    """The body of a response that failed."""

    error: ErrorDetail


FinishReason = Literal["stop", "length", "tool_calls", "cancelled"]


class StreamOptions(Form):
    """What a stream shall carry beside the reply."""

    include_usage: bool | None = None


class PromptTokens(TypedDict):
    """What of the prompt did not have to be read, and what of the conversation is not in it."""

    cached_tokens: int
    truncated_tokens: int


class ReplyTokens(TypedDict):
    """What the reply's tokens went to."""

    reasoning_tokens: int  # always 0


class Usage(TypedDict):
    """Tokens read and sampled; of all choices together."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokens
    completion_tokens_details: ReplyTokens


def counted(usage: reply.Usage) -> Usage:
    """The tokens of an answer, as OpenAI counts them."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.reply_tokens,
        "total_tokens": usage.prompt_tokens + usage.reply_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "truncated_tokens": usage.cut_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
