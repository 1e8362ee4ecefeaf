"""Scores without keeping logits. The plain NumPy version, which does keep them.

Turns final hidden states into log-probabilities of target tokens, or into the best tokens.
Knows nothing of sampling: temperature 1, no truncation.
"""

import numpy as np
import numpy.typing as npt

from kernels.reference.members import Floats

TokenIds = npt.NDArray[np.int64]


def logprobs(hidden: Floats, head: Floats) -> npt.NDArray[np.float64]:
    """Return the log-probability of every token.

    hidden: (tokens, width), after the final norm; head: (vocabulary, width)
    returns: (tokens, vocabulary) float64, natural logarithms
    """
    logits = hidden.astype(np.float64) @ head.astype(np.float64).T
    highest = logits.max(axis=1, keepdims=True)
    centred: npt.NDArray[np.float64] = logits - highest
    normaliser: npt.NDArray[np.float64] = np.log(np.exp(centred).sum(axis=1, keepdims=True))
    return centred - normaliser


def token_logprobs(hidden: Floats, head: Floats, targets: TokenIds) -> Floats:
    """Return the log-probability of one target per row.

    returns: (tokens,) float32
    """
    scores = np.take_along_axis(logprobs(hidden, head), targets[:, None], axis=1)
    return scores[:, 0].astype(np.float32)


def top_tokens(hidden: Floats, head: Floats, k: int) -> tuple[Floats, TokenIds]:
    """Return the k most probable tokens of each row, best first; equals go to the lower id.

    returns: (tokens, k) float32 log-probabilities, (tokens, k) int64 ids
    """
    scores = logprobs(hidden, head)
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, ids, axis=1).astype(np.float32), ids
