"""Tunes the upper blocks and a head on texts with labels, and writes what the judge loads.

Cross-entropy with AdamW, the learning rate rising for a tenth of the steps and falling to zero;
batches of texts of like length, so that little is padded. Deterministic by its seed on one machine.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from learner.judges.embedding import SHARPNESS
from learner.judges.training.encoder import Encoder, Hidden

BATCH: Final = 16
# As published for BitFit, whose parameters bear ten times the rate of whole matrices.
RATE: Final = 2e-3
HEAD_RATE: Final = 1e-2
WARMING: Final = 0.1
DROPOUT: Final = 0.1
# A label is somebody's reading: one in twenty may be read otherwise.
SMOOTHING: Final = 0.05
# Batches are cut from this many texts sorted by length.
SORTED: Final = 16 * BATCH

Tell = Callable[[int, float], None]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Texts whose lower blocks are done, and their labels by number."""

    hidden: list[Hidden]
    labels: Tensor


def tune(
    encoder: Encoder, texts: Labelled, *, labels: int, epochs: int, seed: int, tell: Tell
) -> torch.nn.Linear:
    """Tune the encoder in place, and return the head.

    tell: called after each epoch with its number and mean loss
    """
    torch.manual_seed(seed)
    head = torch.nn.Linear(encoder.width, labels)
    optimiser = torch.optim.AdamW(
        [
            {"params": list(encoder.parameters()), "lr": RATE},
            {"params": list(head.parameters()), "lr": HEAD_RATE},
        ],
        weight_decay=0.01,
    )
    steps = epochs * (len(texts.hidden) // BATCH + 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    for epoch in range(epochs):
        losses = []
        for batch in _batches([len(hidden) for hidden in texts.hidden]):
            vectors = encoder([texts.hidden[i] for i in batch], dropout=DROPOUT)
            loss = F.cross_entropy(
                SHARPNESS * head(vectors), texts.labels[batch], label_smoothing=SMOOTHING
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        tell(epoch, float(np.mean(losses)))
    return head


def _rate(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / (WARMING * steps)) * max(0.0, 1 - step / steps)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    order = torch.randperm(len(lengths)).tolist()
    order = [
        index
        for first in range(0, len(order), SORTED)
        for index in sorted(order[first : first + SORTED], key=lambda i: lengths[i])
    ]
    batches = [order[first : first + BATCH] for first in range(0, len(order), BATCH)]
    for number in torch.randperm(len(batches)).tolist():
        yield batches[number]
