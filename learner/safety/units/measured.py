"""Turns a base model into the scores of its units: measured once, kept in the home, and read again.

Measuring is floating point, and may come out differently on another machine; so scores are rounded
to integers here, and everything after them is exact.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from kernels.contract import Backend
from learner.safety.prompts import PromptSet
from learner.safety.units.calibration import FOLDS, calibration_replies, dealt
from learner.safety.units.scores import unit_scores
from streams.model.open import BaseModel

Scores = NDArray[np.int32]
Progress = Callable[[str, float], None]
"""Takes what is being done, and the share that is done."""

# Scores are kept in hundredths of a standard deviation: finer differences are noise.
_HUNDREDTHS = 100
# Raise when the way of measuring changes: kept scores of the old way are then measured anew.
_FORMAT = "1"
# Answering the prompts takes about as long as scoring the replies of one seed.
_ANSWERING = 0.5


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


def kept_or_measured(
    base: BaseModel,
    prompts: PromptSet,
    home: Path,
    *,
    seeds: int,
    backend: Backend,
    pause: Callable[[], None],
    progress: Progress = unseen,
) -> Measured:
    """Return the scores of a base, measuring them when this home has not, or with fewer seeds.

    home: folder of the artefacts
    """
    path = home / "artefacts" / f"units-{base.name}-{prompts.digest[:12]}.safetensors"
    kept = _read(path, base.name, prompts.digest)
    if kept is None or kept.num_seeds < seeds:
        kept = measure(base, prompts, seeds=seeds, backend=backend, pause=pause, progress=progress)
        _write(path, kept)
    return kept.of_seeds(slice(seeds))


def measure(
    base: BaseModel,
    prompts: PromptSet,
    *,
    seeds: int,
    backend: Backend,
    pause: Callable[[], None],
    progress: Progress = unseen,
) -> Measured:
    """Score every unit of the base on each calibration set; forward passes only."""
    progress("answering the calibration prompts", 0.0)
    replies = calibration_replies(base, prompts, pause=pause)
    parts = [
        samples
        for seed in range(seeds)
        for fold in dealt(replies, seed)
        for samples in (fold.safety, fold.utility)
    ]
    scored = []
    for place, samples in enumerate(parts):
        done = (_ANSWERING + place / len(parts) * seeds) / (_ANSWERING + seeds)
        progress("scoring the units", done)
        found = unit_scores(base.decoder, samples, backend=backend, pause=pause).standardised()
        scored.append((_rounded(found.neurons), _rounded(found.groups)))
    progress("scoring the units", 1.0)
    neurons, groups = (np.stack(kind) for kind in zip(*scored, strict=True))
    return Measured(
        base=base.name,
        prompts=prompts.digest,
        neurons=neurons.reshape(-1, 2, *neurons.shape[1:]),
        groups=groups.reshape(-1, 2, *groups.shape[1:]),
    )


def _rounded(scores: Any) -> Scores:
    hundredths: Scores = np.rint(scores.cpu().numpy() * _HUNDREDTHS).astype(np.int32)
    return hundredths


def _read(path: Path, base: str, prompts: str) -> Measured | None:
    """Read kept scores; None when there are none of this base, set and format, or they are torn."""
    try:
        with safe_open(path, framework="numpy") as file:
            found = Measured(base, prompts, file.get_tensor("neurons"), file.get_tensor("groups"))
            return found if file.metadata() == _metadata(found) else None
    except (FileNotFoundError, SafetensorError):
        return None


def _write(path: Path, measured: Measured) -> None:
    """Keep scores; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}")
    tensors = {
        "neurons": np.ascontiguousarray(measured.neurons),
        "groups": np.ascontiguousarray(measured.groups),
    }
    save_file(tensors, aside, metadata=_metadata(measured))
    aside.replace(path)


def _metadata(measured: Measured) -> dict[str, str]:
    sets = str(len(measured.neurons))
    return {
        "base": measured.base, "prompts": measured.prompts, "format": _FORMAT, "folds": sets,
    }  # fmt: skip
