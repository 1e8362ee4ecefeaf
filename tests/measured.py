"""The bundled model's measurements, as this user's cache keeps them, and experiments' settings."""

import os
from collections.abc import Sequence
from pathlib import Path

from deploy.settings.load import load
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


def settings_of(given: Sequence[str], **own: float) -> LearnerSettings:
    """Return the defaults with an experiment's own values, and over them what `--set` gave.

    given: texts such as learner.margin=0.5
    raises: SettingsError for a name or a value that is none
    """
    flags = {f"learner.{name}": (str(value), "the experiment") for name, value in own.items()}
    for text in given:
        name, _, value = text.partition("=")
        flags[name] = (value, f"--set {name}")
    # neither this folder's quickset.toml nor the environment is part of an experiment
    return load(config=Path(os.devnull), environ={}, flags=flags).settings.learner
