"""Fits the linear classifier and the weights of what is weighed, by examples that neither had seen.

Multinomial regression with a quadratic penalty, by L-BFGS. Examples are parted into folds; each
fold is predicted by the others, and the weights are fitted to these predictions, so that chances
are what they say. Deterministic by its seed.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from learner.judges.nearest import (
    CLASSES,
    LABELS,
    Floats,
    Ints,
    nearness,
    softmax,
    weighed,
)

FOLDS: Final = 5
SEED: Final = 0
# Chosen on the folds: 0.03 and 0.3 hear less at 98 % right.
PENALTY: Final = 0.1
WEIGHING_PENALTY: Final = 1.0
STEPS: Final = 100


@dataclass(frozen=True, slots=True)
class Linear:
    """weight: (features, classes); bias: (classes,)."""

    weight: Floats
    bias: Floats

    def chances(self, features: Floats) -> Floats:
        """Return the chances of the classes."""
        return softmax(features @ self.weight + self.bias)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What was predicted of each example by others: what is weighed, and the chances."""

    weighed: Floats
    chances: Floats


@dataclass(frozen=True, slots=True)
class Fitted:
    """The classifier of labels around the mean of all features, and the weights."""

    head: Linear
    mean: Floats
    weigh: Linear


def fit(features: Floats, labels: Ints, *, classes: int, penalty: float) -> Linear:
    """Fit a multinomial regression.

    features: (examples, features); labels: (examples,) below classes
    """
    x, y = torch.from_numpy(features), torch.from_numpy(labels)
    weight = torch.zeros(x.shape[1], classes, requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        found = torch.nn.functional.cross_entropy(x @ weight + bias, y, reduction="sum")
        found = found + penalty / 2 * (weight**2).sum()
        found.backward()  # type: ignore[no-untyped-call]
        return found

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return Linear(weight.detach().numpy(), bias.detach().numpy())


def crossed(alone: Floats, placed: Floats, labels: Ints) -> HeldOut:
    """Predict each fold by the others."""
    both = np.concatenate([alone, placed], axis=1)
    folds = np.random.default_rng(SEED).integers(0, FOLDS, len(labels))
    found = np.zeros((len(labels), 9), np.float32)
    for fold in range(FOLDS):
        kept, left = folds != fold, folds == fold
        mean = both[kept].mean(axis=0)
        head = fit(both[kept] - mean, labels[kept], classes=len(LABELS), penalty=PENALTY)
        found[left] = weighed(
            head.chances(both[left] - mean),
            nearness(alone[left], alone[kept], labels[kept]),
            nearness(placed[left], placed[kept], labels[kept]),
        )
    classes = classes_of(labels)
    chances = np.zeros((len(labels), len(CLASSES)), np.float32)
    again = np.random.default_rng(SEED + 1).integers(0, FOLDS, len(labels))
    for fold in range(FOLDS):
        kept, left = again != fold, again == fold
        chances[left] = _weigh(found[kept], classes[kept]).chances(found[left])
    return HeldOut(found, chances)


def fit_all(alone: Floats, placed: Floats, labels: Ints, held_out: HeldOut) -> Fitted:
    """Fit the classifier to all examples, and the weights to what was held out."""
    both = np.concatenate([alone, placed], axis=1)
    mean = both.mean(axis=0)
    head = fit(both - mean, labels, classes=len(LABELS), penalty=PENALTY)
    return Fitted(head, mean, _weigh(held_out.weighed, classes_of(labels)))


def classes_of(labels: Ints) -> Ints:
    """Return the number of each label's class."""
    number = {label: place for place, each in enumerate(CLASSES) for label in each}
    return np.array([number[int(label)] for label in labels])


def _weigh(features: Floats, classes: Ints) -> Linear:
    return fit(features, classes, classes=len(CLASSES), penalty=WEIGHING_PENALTY)
