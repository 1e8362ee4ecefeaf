"""Draws the tokens of candidates: the same names give the same tokens, whatever stands beside them.

Knows nothing of what is written, or why.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

# Near enough to the likeliest reply to be one, far enough to leave an apology behind. Chosen, not
# calibrated.
TEMPERATURE: Final = 0.8
TOP_P: Final = 0.9


class Draws:
    """Draws tokens for some prompts (a kernels.model.decode.Choose)."""

    def __init__(self, names: Sequence[str]) -> None:
        """Begin: a name a prompt, which seeds what is drawn for it."""
        self._random = [
            np.random.Generator(np.random.Philox(key=int.from_bytes(_digest(name)[:16])))
            for name in names
        ]

    def __call__(self, places: Sequence[int], logits: Tensor) -> list[int]:
        """Draw a token for each of these prompts: logits (rows, vocabulary) → tokens."""
        chances = torch.softmax(logits.double() / TEMPERATURE, dim=-1)
        ranked, order = chances.sort(dim=-1, descending=True, stable=True)
        summed = ranked.cumsum(dim=-1)
        # whatever is still needed to reach top_p is kept, the likeliest always
        most = torch.where(summed - ranked < TOP_P, summed, 0.0).amax(dim=-1)
        chosen = [self._random[place].random() for place in places]
        drawn = torch.tensor(chosen, device=most.device) * most
        found = torch.searchsorted(summed, drawn[:, None].to(summed.dtype), right=True)
        tokens: list[int] = order.gather(1, found.clamp(max=order.shape[1] - 1))[:, 0].tolist()
        return tokens


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
