"""Turns a base model into its frozen units: measured once, kept, the same for every learner.

- Measuring is floating point, and may come out differently on another machine; so the scores are
  rounded to integers and kept in the home folder, and everything after that is exact: the same
  scores and share give the same mask. A line that has a mask keeps it: the Mask record on its
  log decides, not a second measurement.
- A unit counts only as far as every calibration set shows it: units stand by their worst rank.

Frozen are the safety-exclusive units (highest I_S − I_U) and the top of the complex ones (highest
I_S + I_U among the others), each kind up to the share asked for (SSAH, Li & Kim 2024, sec. 4).
"""

import hashlib
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
from learner.safety.prompts import PromptSet, load_prompts
from learner.safety.units.calibration import FOLDS, calibration_folds
from learner.safety.units.scores import unit_scores
from learner.settings import LearnerSettings
from streams.model.open import BaseModel
from streams.records import Mask, canonical_json
from streams.store.tables import ArtefactRow

Scores = NDArray[np.int32]

# Of the 7.5 % that the paper freezes 1.3 % are exclusive safety units (Li & Kim 2024, table 2).
_EXCLUSIVE = 1.3 / 7.5
# Scores are kept in hundredths of a standard deviation: finer differences are noise.
_HUNDREDTHS = 100
# Raise when the way of measuring changes: kept scores of the old way are then measured anew.
_FORMAT = "1"


@dataclass(frozen=True, slots=True)
class Measured:
    """What the units of a base scored: z-scores in hundredths.

    neurons: (folds, 2, layers, neurons), groups: (folds, 2, layers, KV groups); of the two, the
        first is on refusals (I_S) and the second on useful replies (I_U)
    """

    base: str
    prompts: str
    neurons: Scores
    groups: Scores


@dataclass(frozen=True, slots=True)
class UnitMap:
    """The frozen units, with the scores that made them so."""

    mask: Mask
    measured: Measured | None  # none: nothing was to be frozen
    frozen_share: float

    def row(self, created_ms: int) -> ArtefactRow:
        """Return the artefact for the store: the mask's digest, and every frozen unit's scores."""
        body = self.body()
        digest = hashlib.sha256(canonical_json(body)).hexdigest()
        return ArtefactRow(digest=digest, kind="unit-map", body=body, created_ms=created_ms)

    def body(self) -> dict[str, Any]:
        """Return the map as JSON: unit, worst I_S and I_U over the sets, in hundredths of a σ."""
        measured = self.measured
        return {
            "mask": self.mask.digest,
            "base": self.mask.base,
            "prompts": measured.prompts if measured else "",
            "frozen_share": self.frozen_share,
            "neurons": _scored(self.mask.neurons, measured.neurons) if measured else {},
            "groups": _scored(self.mask.groups, measured.groups) if measured else {},
        }


def load_mask(
    base: BaseModel,
    settings: LearnerSettings,
    home: Path,
    pause: Callable[[], None],
    *,
    backend: Backend,
) -> Mask:
    """Return the frozen units of a base, measuring them when this home has not yet.

    home: folder of the artefacts; pause: called between two passes, where the caller may yield
    """
    return load_unit_map(base, settings, home, pause, backend=backend).mask


def load_unit_map(
    base: BaseModel,
    settings: LearnerSettings,
    home: Path,
    pause: Callable[[], None],
    *,
    backend: Backend,
) -> UnitMap:
    """Return the frozen units of a base and the scores behind them; see `load_mask`."""
    share = settings.frozen_share
    if share == 0:
        return UnitMap(Mask(base=base.name, neurons={}, groups={}), None, share)
    prompts = load_prompts("calibration")
    path = home / "artefacts" / f"units-{base.name}-{prompts.digest[:12]}.safetensors"
    measured = _read(path, base.name, prompts.digest)
    if measured is None:
        measured = measure(base, prompts, backend=backend, pause=pause)
        _write(path, measured)
    mask = Mask(
        base=base.name,
        neurons=select(measured.neurons, share),
        groups=select(measured.groups, share),
    )
    return UnitMap(mask, measured, share)


def measure(
    base: BaseModel, prompts: PromptSet, *, backend: Backend, pause: Callable[[], None]
) -> Measured:
    """Score every unit of the base on each calibration set; forward passes only."""
    scored = [
        [
            unit_scores(base.decoder, samples, backend=backend, pause=pause).standardised()
            for samples in (fold.safety, fold.utility)
        ]
        for fold in calibration_folds(base, prompts, pause=pause)
    ]
    return Measured(
        base=base.name,
        prompts=prompts.digest,
        neurons=np.stack([[_rounded(part.neurons) for part in fold] for fold in scored]),
        groups=np.stack([[_rounded(part.groups) for part in fold] for fold in scored]),
    )


def select(scores: Scores, share: float) -> dict[int, list[int]]:
    """Choose the units of one kind that are frozen.

    The intersection of every set's top k, with k as large as the share allows, is the first units
    by worst rank; so the sets need not agree on a threshold. Ties fall to the lower unit.

    scores: (folds, 2, layers, units), I_S and I_U; share: of all units of this kind, 0 to 1
    returns: layer → units, ascending; layers without a frozen unit are left out

    >>> select(np.array([[[[9, 1, 0, 8]], [[0, 1, 0, 8]]]], dtype=np.int32), 0.5)
    {0: [0, 3]}
    """
    num_units = scores.shape[3]
    wanted = int(scores[0, 0].size * share)
    exclusive = exclusive_first(scores)[: round(wanted * _EXCLUSIVE)]
    common = _first_by_worst_rank(scores[:, 0] + scores[:, 1])
    rest = common[~np.isin(common, exclusive)][: wanted - len(exclusive)]
    frozen: dict[int, list[int]] = {}
    for unit in sorted([*exclusive.tolist(), *rest.tolist()]):
        frozen.setdefault(unit // num_units, []).append(unit % num_units)
    return frozen


def exclusive_first(scores: Scores) -> NDArray[np.intp]:
    """Order the units of one kind, the most exclusively safety's first: layer · units + unit."""
    return _first_by_worst_rank(scores[:, 0] - scores[:, 1])


def _first_by_worst_rank(scores: Scores) -> NDArray[np.intp]:
    """Order units by their worst rank over the folds: (folds, layers, units), highest first."""
    scores = scores.reshape(len(scores), -1)
    order = np.argsort(-scores, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(scores.shape[1])[None], axis=1)
    return np.argsort(ranks.max(axis=0), kind="stable")


def _rounded(scores: Any) -> Scores:
    hundredths: Scores = np.rint(scores.cpu().numpy() * _HUNDREDTHS).astype(np.int32)
    return hundredths


def _scored(frozen: dict[int, list[int]], scores: Scores) -> dict[str, list[list[int]]]:
    safety, utility = scores[:, 0].min(axis=0), scores[:, 1].min(axis=0)
    return {
        str(layer): [[unit, int(safety[layer, unit]), int(utility[layer, unit])] for unit in units]
        for layer, units in frozen.items()
    }


def _read(path: Path, base: str, prompts: str) -> Measured | None:
    """Read kept scores; None when there are none of this base, set and format, or they are torn."""
    try:
        with safe_open(path, framework="numpy") as file:
            if file.metadata() != _metadata(base, prompts):
                return None
            return Measured(base, prompts, file.get_tensor("neurons"), file.get_tensor("groups"))
    except (FileNotFoundError, SafetensorError):
        return None


def _write(path: Path, measured: Measured) -> None:
    """Keep scores; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}")
    tensors = {"neurons": measured.neurons, "groups": measured.groups}
    save_file(tensors, aside, metadata=_metadata(measured.base, measured.prompts))
    aside.replace(path)


def _metadata(base: str, prompts: str) -> dict[str, str]:
    return {"base": base, "prompts": prompts, "format": _FORMAT, "folds": str(FOLDS)}
