"""The bundled model's measurements, as this user's cache keeps them for every home."""

from collections.abc import Sequence

from kernels.contract import Backend
from learner.safety.kept import kept_of
from learner.safety.measuring import Measuring, measuring_of
from learner.settings import LearnerSettings
from streams.model.open import BaseModel
from streams.settings import ModelSettings


def bundled_measuring(
    base: BaseModel, backend: Backend, settings: LearnerSettings | None = None
) -> Measuring:
    """Return what measures the bundled model, with what was kept of it before.

    settings: which layers are to move
    """
    kept = kept_of(ModelSettings(), base.name)
    return measuring_of(base, settings or LearnerSettings(), backend=backend, kept=kept)


def asking_only(settings: LearnerSettings, probes: Sequence[str]) -> LearnerSettings:
    """Return the settings with these probes alone, all of them quick; none: as they are."""
    chosen = tuple(probes)
    asked = {"probes": chosen, "quick_probes": chosen} if chosen else {}
    return settings.model_copy(update=asked)
