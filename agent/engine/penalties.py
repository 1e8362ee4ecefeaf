"""Changes the scores of tokens by what a request asks for: bias and penalties of repeated tokens.

In vLLM's order (vllm/v1/sample/sampler.py, steps 5 and 6): logit_bias is added; then the repetition
penalty, over prompt and reply (Keskar et al. 2019, CTRL, sec. 4.1: scores above 0 are divided,
others multiplied); then frequency and presence penalty, over the reply (OpenAI's, vLLM's order).

Only scores of tokens that are concerned are touched, each by IEEE operations of its own, so that a
row comes out the same to the bit whatever rows stand beside it.

Knows nothing of temperature or of how a token is drawn.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streams.records import Sampling

_ROOM = 64  # tokens that a reply may add before its arrays are made larger


class Penalties:
    """What one reply's tokens are penalised by, growing with it."""

    def __init__(self, sampling: Sampling, prompt_token_ids: Sequence[int]) -> None:
        """Begin with an empty reply.

        prompt_token_ids: what the repetition penalty counts as said already
        """
        self.presence = np.float32(sampling.presence_penalty)
        self.frequency = np.float32(sampling.frequency_penalty)
        self._repetition = np.float32(sampling.repetition_penalty)
        self._counts_reply = bool(self.presence or self.frequency or self._repetition != 1)
        said = set(prompt_token_ids) if self._repetition != 1 else set()
        tokens = sorted(said | set(sampling.logit_bias))
        self._places = {token: place for place, token in enumerate(tokens)}
        self._tokens = np.array(tokens, np.int64)
        self._bias = np.array([sampling.logit_bias.get(each, 0) for each in tokens], np.float32)
        self._factors = np.array(
            [self._repetition if each in said else 1 for each in tokens], np.float32
        )
        self._counts = np.zeros(len(tokens), np.float32)

    @property
    def concern(self) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32],
                               NDArray[np.float32]]:  # fmt: skip
        """The tokens concerned; of each its bias, repetition factor, and count in the reply."""
        size = len(self._places)
        return self._tokens[:size], self._bias[:size], self._factors[:size], self._counts[:size]

    def add(self, token: int) -> None:
        """Count a token of the reply."""
        if not self._counts_reply:
            return
        place = self._places.setdefault(token, len(self._places))
        if place >= len(self._tokens):
            self._grow()
        self._tokens[place] = token
        self._factors[place] = self._repetition
        self._counts[place] += 1

    def _grow(self) -> None:
        room = len(self._tokens) + _ROOM
        self._tokens = np.concatenate([self._tokens, np.zeros(room, np.int64)])
        self._bias = np.concatenate([self._bias, np.zeros(room, np.float32)])
        self._factors = np.concatenate([self._factors, np.ones(room, np.float32)])
        self._counts = np.concatenate([self._counts, np.zeros(room, np.float32)])


def penalties_of(sampling: Sampling, prompt_token_ids: Sequence[int]) -> Penalties | None:
    """The penalties of a reply; None when its sampling changes no score."""
    changes = (
        sampling.logit_bias
        or sampling.presence_penalty
        or sampling.frequency_penalty
        or sampling.repetition_penalty != 1
    )
    return Penalties(sampling, prompt_token_ids) if changes else None


def penalised(penalties: Sequence[Penalties | None], logits: Tensor) -> Tensor:
    """Return the scores with every reply's bias and penalties.

    penalties: one a row; None: the row stays as it is
    logits: (replies, vocabulary) float32; not changed, and returned itself when nothing concerns it
    """
    concerned = [(row, each) for row, each in enumerate(penalties) if each is not None]
    parts = [each.concern for _, each in concerned]
    sizes = [len(tokens) for tokens, *_ in parts]
    if not sum(sizes):
        return logits
    rows = torch.from_numpy(np.repeat([row for row, _ in concerned], sizes))
    tokens, bias, factors, counts = (
        torch.from_numpy(np.concatenate(column)) for column in zip(*parts, strict=True)
    )
    frequency = torch.from_numpy(np.repeat([each.frequency for _, each in concerned], sizes))
    presence = torch.from_numpy(np.repeat([each.presence for _, each in concerned], sizes))
    scores = logits[rows, tokens] + bias
    scores = torch.where(scores > 0, scores / factors, scores * factors)
    scores = scores - frequency * counts - presence * (counts > 0)
    changed = logits.clone()
    changed[rows, tokens] = scores
    return changed
