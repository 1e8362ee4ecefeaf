# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""Per-unit variance on the GPU, in one pass over the activations.

Each program walks a share of the tokens for a block of units and merges tile after tile into a
running count, mean and sum of squared differences (Chan, Golub & LeVeque 1979), so nothing
cancels as in E[x²] − E[x]². The shares are merged in float64.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def moments_kernel(
    means, squares, x, tokens, units, share, TOKENS: tl.constexpr, UNITS: tl.constexpr
):
    """Write the mean and Σ (x − mean)² of one share of the tokens.

    x: (tokens, units); share: tokens a program; means, squares: (shares, units) float32
    """
    split = tl.program_id(1)
    unit = tl.program_id(0) * UNITS + tl.arange(0, UNITS)
    first, last = split * share, tl.minimum((split + 1) * share, tokens)
    mean, square = tl.zeros((UNITS,), tl.float32), tl.zeros((UNITS,), tl.float32)
    for start in range(first, last, TOKENS):
        token = start + tl.arange(0, TOKENS)
        inside = (token < last)[:, None] & (unit < units)[None, :]
        place = token.to(tl.int64)[:, None] * units + unit[None, :]
        tile = tl.load(x + place, mask=inside, other=0).to(tl.float32)
        fresh = tl.minimum(last - start, TOKENS).to(tl.float32)
        known = (start - first).to(tl.float32)
        tile_mean = tl.sum(tile, 0) / fresh
        apart = tl.where(inside, tile - tile_mean[None, :], 0.0)
        delta = tile_mean - mean
        square += tl.sum(apart * apart, 0) + delta * delta * known * fresh / (known + fresh)
        mean += delta * fresh / (known + fresh)
    tl.store(means + split * units + unit, mean, mask=unit < units)
    tl.store(squares + split * units + unit, square, mask=unit < units)


TILE = {"TOKENS": 128, "UNITS": 64}
PROGRAMS = 256  # enough to fill a large GPU
MIN_SHARE = 128  # tokens a program, at least: fewer are not worth the merge


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return every unit's mean and sum of squared differences: (units,) float64 each."""
    x = x.detach().contiguous()
    tokens, units = x.shape
    blocks = triton.cdiv(units, TILE["UNITS"])
    share = max(MIN_SHARE, triton.cdiv(tokens, max(1, PROGRAMS // blocks)))
    shares = triton.cdiv(tokens, share)
    means = torch.empty(shares, units, dtype=torch.float32, device=x.device)
    squares = torch.empty_like(means)
    moments_kernel[blocks, shares](means, squares, x, tokens, units, share, **TILE)
    counts = torch.full((shares, 1), share, dtype=torch.float64, device=x.device)
    counts[-1] = tokens - share * (shares - 1)
    mean = (means * counts).sum(dim=0) / tokens
    return mean, squares.double().sum(dim=0) + (counts * (means - mean).square()).sum(dim=0)
