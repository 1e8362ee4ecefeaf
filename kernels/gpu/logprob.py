# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""Scores from hidden states on the GPU; logits live in registers only.

Each program walks a share of the vocabulary for a block of tokens and keeps a running maximum
and sum of exponentials (online softmax, Milakov & Gimelshein 2018), as fused linear
cross-entropy kernels do (Liger, Hsu et al. 2024). For the best tokens it leaves the maximum of
every tile: the k best tokens lie in the k tiles of the highest maxima, and only those are
computed again.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.gpu.members import base_product
from kernels.gpu.tuning import LOGPROB, tuned


@tuned(LOGPROB, key=["tokens_log2", "vocabulary", "width"])
@triton.jit
def logprob_kernel(
    highest, normaliser, target_logit, hidden, head, targets,
    tokens, vocabulary, width, share, tokens_log2,  # noqa: ARG001  (chooses the tile)
    ROWS: tl.constexpr, HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Reduce the logits of one share of the vocabulary.

    hidden: (tokens, width); head: (vocabulary, width); targets: (tokens,) int64; share: entries
        of the vocabulary a program
    highest, normaliser: (shares, tokens) float32, max and Σ exp(logit − max); target_logit:
        (tokens,) float32, written by the share that holds the target
    """
    row, split = tl.program_id(0) * ROWS, tl.program_id(1)
    rows = row + tl.arange(0, ROWS)
    target = tl.load(targets + rows, mask=rows < tokens, other=-1)
    top = tl.full((ROWS,), float("-inf"), tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    found = tl.zeros((ROWS,), tl.float32)
    end = tl.minimum((split + 1) * share, vocabulary)
    for start in range(split * share, end, HEIGHT):
        ids = start + tl.arange(0, HEIGHT)
        logits = base_product(hidden, head, row, start, tokens, end, width, ROWS, HEIGHT, WIDTH)
        found += tl.sum(tl.where(ids[None, :] == target[:, None], logits, 0.0), 1)
        logits = tl.where((ids < end)[None, :], logits, float("-inf"))
        above = tl.maximum(top, tl.max(logits, 1))
        total = total * tl.exp(top - above) + tl.sum(tl.exp(logits - above[:, None]), 1)
        top = above
    place = split * tokens + rows
    tl.store(highest + place, top, mask=rows < tokens)
    tl.store(normaliser + place, total, mask=rows < tokens)
    here = (target >= split * share) & (target < end)
    tl.store(target_logit + rows, found, mask=(rows < tokens) & here)


@triton.jit
def tile_maxima_kernel(
    maxima, normaliser, hidden, head, tokens, vocabulary, width,
    ROWS: tl.constexpr, HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Write each tile's largest logit and Σ exp(logit − largest).

    maxima, normaliser: (tiles, tokens) float32, a tile being HEIGHT entries of the vocabulary
    """
    row, tile = tl.program_id(0) * ROWS, tl.program_id(1)
    rows, ids = row + tl.arange(0, ROWS), tile * HEIGHT + tl.arange(0, HEIGHT)
    logits = base_product(
        hidden, head, row, tile * HEIGHT, tokens, vocabulary, width, ROWS, HEIGHT, WIDTH
    )
    logits = tl.where((ids < vocabulary)[None, :], logits, float("-inf"))
    top = tl.max(logits, 1)
    place = tile * tokens + rows
    tl.store(maxima + place, top, mask=rows < tokens)
    tl.store(normaliser + place, tl.sum(tl.exp(logits - top[:, None]), 1), mask=rows < tokens)


@triton.jit
def tile_logits_kernel(
    out, hidden, head, tiles, slots, vocabulary, width,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Write the logits of chosen tiles: out (tokens, slots, HEIGHT) float32, −inf outside.

    tiles: (tokens, slots) int64, the tiles to compute for each token
    """
    token, slot = tl.program_id(0), tl.program_id(1)
    tile = tl.load(tiles + token * slots + slot)
    ids = tile * HEIGHT + tl.arange(0, HEIGHT)
    sums = tl.zeros((HEIGHT, WIDTH), tl.float32)
    for start in range(0, width, WIDTH):
        ins = start + tl.arange(0, WIDTH)
        x = tl.load(hidden + token.to(tl.int64) * width + ins, mask=ins < width, other=0)
        inside = (ids < vocabulary)[:, None] & (ins < width)[None, :]
        w = tl.load(head + ids[:, None] * width + ins[None, :], mask=inside, other=0)
        sums += w.to(tl.float32) * x.to(tl.float32)[None, :]
    logits = tl.where(ids < vocabulary, tl.sum(sums, 1), float("-inf"))
    place = (token * slots + slot).to(tl.int64) * HEIGHT + tl.arange(0, HEIGHT)
    tl.store(out + place, logits)


PROGRAMS = 256  # about two waves on a large GPU: few tokens are split over the vocabulary
TILE = {"ROWS": 32, "HEIGHT": 128, "WIDTH": 32}


def score_targets(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Return the log-probability of one target per row: (tokens,) float32."""
    hidden, head = hidden.contiguous(), head.detach().contiguous()
    (tokens, width), vocabulary = hidden.shape, head.shape[0]
    if not tokens:
        return torch.empty(0, device=hidden.device)
    blocks = triton.cdiv(tokens, 64)
    share = triton.cdiv(vocabulary, max(1, PROGRAMS // blocks))
    share = triton.cdiv(share, 128) * 128
    shares = triton.cdiv(vocabulary, share)
    highest = torch.empty(shares, tokens, dtype=torch.float32, device=hidden.device)
    normaliser, target_logit = torch.empty_like(highest), torch.empty_like(highest[0])

    def grid(shape: dict[str, int]) -> tuple[int, int]:
        return triton.cdiv(tokens, shape["ROWS"]), shares

    logprob_kernel[grid](
        highest, normaliser, target_logit, hidden, head, targets, tokens, vocabulary, width,
        share, tokens.bit_length(),
    )  # fmt: skip
    return target_logit - torch.logsumexp(highest + normaliser.log(), dim=0)


def search_top(hidden: Tensor, head: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k most probable tokens of each row: log-probabilities and ids, (tokens, k)."""
    hidden, head = hidden.contiguous(), head.detach().contiguous()
    (tokens, width), vocabulary = hidden.shape, head.shape[0]
    if not tokens:
        return torch.empty(0, k), torch.empty(0, k, dtype=torch.int64)
    count = triton.cdiv(vocabulary, TILE["HEIGHT"])
    maxima = torch.empty(count, tokens, dtype=torch.float32, device=hidden.device)
    normaliser = torch.empty_like(maxima)
    tile_maxima_kernel[(triton.cdiv(tokens, TILE["ROWS"]), count)](
        maxima, normaliser, hidden, head, tokens, vocabulary, width, **TILE
    )
    best = maxima.topk(min(k, count), dim=0).indices.T.contiguous()
    slots = best.shape[1]
    logits = torch.empty(tokens, slots, TILE["HEIGHT"], dtype=torch.float32, device=hidden.device)
    tile_logits_kernel[(tokens, slots)](
        logits, hidden, head, best, slots, vocabulary, width,
        HEIGHT=TILE["HEIGHT"], WIDTH=TILE["WIDTH"],
    )  # fmt: skip
    winners = logits.view(tokens, -1).topk(k, dim=1)
    tile = best.gather(1, winners.indices // TILE["HEIGHT"])
    ids = tile * TILE["HEIGHT"] + winners.indices % TILE["HEIGHT"]
    total = torch.logsumexp(maxima + normaliser.log(), dim=0)
    return winners.values - total[:, None], ids
