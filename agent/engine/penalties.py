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
        self._presence = np.float32(sampling.presence_penalty)
        self._frequency = np.float32(sampling.frequency_penalty)
        self._repetition = np.float32(sampling.repetition_penalty)
        self._counts_reply = bool(self._presence or self._frequency or self._repetition != 1)
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
    def concerns(self) -> int:
        """How many tokens are concerned."""
        return len(self._places)

    def change(self, scores: NDArray[np.float32]) -> None:
        """Change the scores of the tokens concerned: (vocabulary,)."""
        size = len(self._places)
        tokens, counts = self._tokens[:size], self._counts[:size]
        some = scores[tokens] + self._bias[:size]
        if self._repetition != 1:
            factors = self._factors[:size]
            some = np.where(some > 0, some / factors, some * factors)
        scores[tokens] = some - self._frequency * counts - self._presence * (counts > 0)

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
    if not any(each is not None and each.concerns for each in penalties):
        return logits
    changed = logits.clone()
    rows = changed.numpy()
    for row, each in zip(rows, penalties, strict=True):
        if each is not None:
            each.change(row)
    return changed
