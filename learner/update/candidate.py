"""Describes a child of the serving version: the recipe, before its digest is known."""

from typing import Literal

from learner.serving import Serving
from learner.update.strategies import Update
from streams.records import Noise, Recipe


def draft(
    serving: Serving,
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
        number=serving.number + 1,
        parent=serving.name,
        strategy=strategy,
        noise=noise,
        key=key,
        coefficients=list(update.coefficients),
        step=update.step,
        sigma_log2=sigma_log2,
        layers=serving.layers,
        modules=serving.modules,
        scales=serving.scales,
        mask=serving.mask.digest,
        digest="",
    )
