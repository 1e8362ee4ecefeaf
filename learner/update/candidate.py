"""Describes a child of the serving version: the recipe, before its digest is known."""

from typing import Literal

from kernels.change import DECAY_LOG2
from learner.population.noise import Addresses, Lines, Where
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
    where: Where | None = None,
    decay: float = 0.0,
) -> Recipe:
    """Describe a child of the serving version; its digest is not known before it is built.

    where: of searched noise, where its pairs lie
    decay: the share of the integers that is taken off before the step; at the base there are none
    """
    signs = where if isinstance(where, Addresses) else Addresses((), (), ())
    lines = where if isinstance(where, Lines) else Lines((), (), ())
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
        tensors=list(where.tensors if where else ()),
        rows=list(signs.rows),
        columns=list(signs.columns),
        left=list(lines.left),
        right=list(lines.right),
        decay=round(decay * 2**DECAY_LOG2) if serving.number else 0,
    )
