"""The labelled examples as vectors, and the chances of a message by the nearest of them.

Each example lies here twice, alone and in its context. Of a message's two vectors, the mean cosine
to the three nearest examples of each class and a linear classifier's chances are weighed against
each other (`weigh`), by weights that were fitted on examples which neither had seen: so a chance of
0.9 means that nine of ten such messages are so. Everything here is written by python -m
learner.judges.training, of learner/judges/examples alone.

Knows nothing of words, turns or thresholds.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load

from streams.errors import ModelFilesError

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Label = Literal["complaint", "wish", "praise", "thanks", "neutral"]
LABELS: Final[tuple[Label, ...]] = ("complaint", "wish", "praise", "thanks", "neutral")
# Numbers of the labels of each class: unhappy, says nothing, pleased.
CLASSES: Final = ((0, 1), (4,), (2, 3))
FILE: Final = Path(__file__).parent / "examples.safetensors"
# Of each class so many of the nearest count: one may be mislabelled, more reach other topics.
NEAREST: Final = 3
# Cosines of this model lie within a few hundredths of each other.
SPREAD: Final = 30.0
# Keeps the logarithm of a chance finite.
LEAST: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Chances:
    """What a message is, with which chance; the first three sum to one, a wish is unhappy, too."""

    unhappy: float
    nothing: float
    pleased: float
    wished: float

    @property
    def likeliest(self) -> tuple[str, float]:
        """The likeliest class and its chance."""
        found = {"unhappy": self.unhappy, "like nothing": self.nothing, "pleased": self.pleased}
        name = max(found, key=lambda each: found[each])
        return name, found[name]


@dataclass(frozen=True, slots=True)
class Nearest:
    """The examples and what was fitted on them.

    alone, placed: (examples, dimensions), each row of length one
    labels: (examples,), numbers of LABELS
    weight, bias: the linear classifier, (2 · dimensions, 5) and (5,), around mean (2 · dimensions,)
    weigh, offset: (9, 3) and (3,)
    """

    alone: Floats
    placed: Floats
    labels: Ints
    weight: Floats
    bias: Floats
    mean: Floats
    weigh: Floats
    offset: Floats

    @classmethod
    def open(cls, file: Path = FILE) -> Self:
        """Read what training wrote.

        raises: ModelFilesError when the file is missing or has another form
        """
        try:
            found = load(file.read_bytes())
            labels = found.pop("labels").astype(np.int64)
            return cls(labels=labels, **{k: v.astype(np.float32) for k, v in found.items()})
        except (OSError, KeyError, TypeError, SafetensorError) as cause:
            raise ModelFilesError(
                f"{file} does not hold the examples of the judge by embedding ({cause}): check it "
                "out again, or write it anew with python -m learner.judges.training"
            ) from cause

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""
        return int(self.alone.shape[1])

    def chances(self, vectors: Floats) -> Chances:
        """Return the chances of one message.

        vectors: (2, dimensions): alone and in its context
        """
        both: Floats = (vectors.reshape(1, -1) - self.mean).astype(np.float32)
        labels = softmax(both @ self.weight + self.bias)
        near = [
            nearness(vector[None], examples, self.labels)
            for vector, examples in zip(vectors, (self.alone, self.placed), strict=True)
        ]
        (found,) = softmax(weighed(labels, *near) @ self.weigh + self.offset)
        return Chances(float(found[0]), float(found[1]), float(found[2]), float(labels[0, 1]))


def nearness(vectors: Floats, examples: Floats, labels: Ints) -> Floats:
    """Return the mean cosine to the nearest examples of each class: (vectors, classes)."""
    cosines = vectors @ examples.T
    of_class = (np.sort(cosines[:, np.isin(labels, each)], axis=1) for each in CLASSES)
    return np.stack([found[:, -NEAREST:].mean(axis=1) for found in of_class], axis=1)


def weighed(labels: Floats, alone: Floats, placed: Floats) -> Floats:
    """Return what is weighed: the classes' log-chances, and how much nearer each is: (texts, 9).

    labels: (texts, labels), chances; alone, placed: (texts, classes), cosines
    """
    classes = np.stack([labels[:, list(each)].sum(axis=1) for each in CLASSES], axis=1)
    near = [SPREAD * (each - each.mean(axis=1, keepdims=True)) for each in (alone, placed)]
    found: Floats = np.concatenate([np.log(classes + LEAST), *near], axis=1).astype(np.float32)
    return found


def softmax(logits: npt.NDArray[np.floating]) -> Floats:
    """Return chances: each row sums to one."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances: Floats = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    return chances
