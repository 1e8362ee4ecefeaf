"""Log-probabilities from hidden states, a block of the vocabulary at a time.

Turns (tokens, width) and the head into scores, holding TOKENS × VOCABULARY logits at most: the
logits of 1,000 tokens would be 200 MB at SmolLM2's vocabulary. The sum of exponentials is
merged over blocks as in online softmax (Milakov & Gimelshein 2018, sec. 3).
"""

from collections.abc import Iterator

import torch
from torch import Tensor

TOKENS, VOCABULARY = 256, 4096  # a 4 MiB block of logits: read back from cache, not memory


def token_logprobs(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Return the log-probability of one target per row.

    hidden: (tokens, width); head: (vocabulary, width); targets: (tokens,) int64
    returns: (tokens,) float32
    """
    scores = torch.empty(hidden.shape[0], dtype=torch.float32)
    for part in _token_blocks(hidden):
        target = (hidden[part].float() * head[targets[part]].float()).sum(dim=1)
        normaliser = torch.stack(
            [torch.logsumexp(logits, dim=1) for _, logits in _logit_blocks(hidden[part], head)]
        ).logsumexp(dim=0)
        scores[part] = target - normaliser
    return scores


def top_tokens(hidden: Tensor, head: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k most probable tokens of each row, best first.

    returns: (tokens, k) float32 log-probabilities, (tokens, k) int64 ids
    """
    scores, ids = [], []
    for part in _token_blocks(hidden):
        best, places, normalisers = [], [], []
        for start, logits in _logit_blocks(hidden[part], head):
            top = logits.topk(min(k, logits.shape[1]), dim=1)
            best.append(top.values)
            places.append(top.indices + start)
            normalisers.append(torch.logsumexp(logits, dim=1))
        winners = torch.cat(best, dim=1).topk(k, dim=1)
        scores.append(winners.values - torch.stack(normalisers).logsumexp(dim=0)[:, None])
        ids.append(torch.cat(places, dim=1).gather(1, winners.indices))
    if not scores:
        return torch.empty(0, k), torch.empty(0, k, dtype=torch.int64)
    return torch.cat(scores), torch.cat(ids)


def _token_blocks(hidden: Tensor) -> Iterator[slice]:
    """Cut the rows into blocks."""
    for start in range(0, hidden.shape[0], TOKENS):
        yield slice(start, min(start + TOKENS, hidden.shape[0]))


def _logit_blocks(hidden: Tensor, head: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Return the first token id and the float32 logits of each block of the vocabulary."""
    for start in range(0, head.shape[0], VOCABULARY):
        yield start, (hidden @ head[start : start + VOCABULARY].T).float()
