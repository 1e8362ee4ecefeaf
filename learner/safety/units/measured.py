"""Turns a base model into the scores of its units: measured once a machine, and read again.

Measuring is floating point, and may come out differently on another machine; so scores are rounded
to integers here, and everything after them is exact.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learner.safety.measuring import Measuring
from learner.safety.prompts import PromptSet
from learner.safety.units.calibration import FOLDS, Fold, calibration_replies, dealt
from learner.safety.units.scores import unit_scores

Scores = NDArray[np.int32]
Progress = Callable[[str, float], None]
"""Takes what is being done, and the share that is done."""

# Scores are kept in hundredths of a standard deviation: finer differences are noise.
_HUNDREDTHS = 100


def unseen(_stage: str, _share: float) -> None:
    """Show nobody how far it is."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the units of a base scored on each calibration set: z-scores in hundredths.

    neurons: (sets, 2, layers, neurons), groups: (sets, 2, layers, KV groups); of the two, the
        first is on refusals (I_S) and the second on useful replies (I_U); FOLDS sets a seed
    """

    base: str
    prompts: str
    neurons: Scores
    groups: Scores

    @property
    def num_seeds(self) -> int:
        """How often the replies were dealt out to sets."""
        return len(self.neurons) // FOLDS

    def of_seeds(self, seeds: slice) -> "Measured":
        """Return what some of the seeds' sets show."""
        first, last, _ = seeds.indices(self.num_seeds)
        sets = slice(first * FOLDS, last * FOLDS)
        return Measured(self.base, self.prompts, self.neurons[sets], self.groups[sets])


def measured_units(
    measuring: Measuring, prompts: PromptSet, *, seeds: int, progress: Progress = unseen
) -> Measured:
    """Return the score of every unit of the base on each calibration set, what is kept and the rest
    measured; forward passes only."""
    replies = calibration_replies(measuring, prompts)
    dealt_out = []
    for seed in range(seeds):

        def show(share: float, before: int = seed) -> None:
            progress("scoring the units", (before + share) / seeds)

        dealt_out.append(_of_seed(measuring, dealt(replies, seed), show))
    neurons, groups = (
        np.concatenate([scores[name] for scores in dealt_out]) for name in ("neurons", "groups")
    )
    return Measured(measuring.base.name, prompts.digest, neurons, groups)


def _of_seed(
    measuring: Measuring, folds: Sequence[Fold], show: Callable[[float], None]
) -> dict[str, Scores]:
    """Return the scores on one deal of the replies, kept or measured, of both kinds of unit.

    show: takes the share that is done, while it is measured
    """
    asked = [
        [[list(sample.prompt), list(sample.reply)] for sample in samples]
        for fold in folds
        for samples in (fold.safety, fold.utility)
    ]
    kept = measuring.kept.tensors("units", asked, lambda: _scored(measuring, folds, show))
    return {name: scores.numpy() for name, scores in kept.items()}


def _scored(
    measuring: Measuring, folds: Sequence[Fold], show: Callable[[float], None]
) -> dict[str, Tensor]:
    scored: dict[str, list[Tensor]] = {"neurons": [], "groups": []}
    for place, fold in enumerate(folds):
        show(place / len(folds))
        for samples in (fold.safety, fold.utility):
            found = unit_scores(
                measuring.base.decoder, samples, backend=measuring.backend, pause=measuring.pause
            ).standardised()
            scored["neurons"].append(_rounded(found.neurons))
            scored["groups"].append(_rounded(found.groups))
    show(1.0)
    return {
        name: torch.stack(each).reshape(len(folds), 2, *each[0].shape)
        for name, each in scored.items()
    }


def _rounded(scores: Tensor) -> Tensor:
    """Round to hundredths, the even one where two are as near."""
    return torch.from_numpy(np.rint(scores.cpu().numpy() * _HUNDREDTHS).astype(np.int32))
