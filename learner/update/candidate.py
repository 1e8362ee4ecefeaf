"""Describes a child of the serving version: the recipe, before its digest is known."""

from typing import Literal

from kernels.change import Noise
from learner.serving import Versions
from learner.update.strategies import Update
from streams.records import Recipe


def draft(
    versions: Versions,
    key: str,
    update: Update,
    *,
    sigma_log2: int,
    strategy: Literal["es", "randopt"] = "es",
    noise: Noise = "rank1",
    line: str = "main",
) -> Recipe:
    """Describe a child of the serving version; its digest is not known before it is built."""
    return Recipe(
        line=line,
        number=versions.number + 1,
        parent=versions.name,
        strategy=strategy,
        noise=noise,
        key=key,
        coefficients=list(update.coefficients),
        step=update.step,
        sigma_log2=sigma_log2,
        layers=versions.layers,
        modules=versions.modules,
        scales=versions.scales,
        mask=versions.mask.digest,
        digest="",
    )
