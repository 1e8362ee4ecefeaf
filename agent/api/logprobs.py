"""Log-probabilities as OpenAI's APIs tell them: of the tokens that a reply's text is made of.

Each is named by its own text: what a stop string took of it, or what waits for the rest of a
character, is named, too. A token that writes nothing, such as the one that ends a reply, is no part
of the text; among the likeliest it has a name and no bytes.

Knows no whole body.
"""

from collections.abc import Iterable

from typing_extensions import TypedDict

from agent.engine.contract import Token
from agent.engine.spelling import Spelling


class TopLogprob(TypedDict):
    """A token that could have been sampled instead; without bytes: it writes nothing."""

    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(TopLogprob):
    """A token, and its log-probability at temperature 1, without bias, penalties or truncation."""

    top_logprobs: list[TopLogprob]


def logprobs_of(tokens: Iterable[Token]) -> list[TokenLogprob]:
    """The log-probabilities of the tokens that are text, and of the likeliest in their place."""
    return [
        {
            **_scored(token.spelling, token.logprob),
            "top_logprobs": [_scored(each.spelling, each.logprob) for each in token.top],
        }
        for token in tokens
        if token.spelling.bytes is not None
    ]


def _scored(spelling: Spelling, logprob: float) -> TopLogprob:
    written = None if spelling.bytes is None else list(spelling.bytes)
    return {"token": spelling.name, "logprob": logprob, "bytes": written}
