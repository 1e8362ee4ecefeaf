"""How far a recipe moves each tensor, and that its frozen units do not move at all.

Turns a recipe into its integers, a tensor at a time, and measures these: nothing is estimated, and
what is said to be zero was looked at. In units of the tensor's RMS at the base, so that layers can
be compared.

Knows nothing of what came before the recipe: each one's step is its own, and what its decay took
off earlier ones is not part of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.change import Frozen
from kernels.contract import Backend
from kernels.model.forward import Decoder
from kernels.version.layout import TensorSpec, layout
from kernels.version.mask import UnitMap, frozen_by_name
from kernels.version.master import QUANTUM_LOG2
from kernels.version.recipe import Recipe, change_of


@dataclass(frozen=True, slots=True)
class Moved:
    """The step of one recipe in one tensor.

    rms, most: of the step over all elements, in units of the tensor's RMS at the base
    frozen: rows and columns of units that never move; frozen_most: the largest step in them
    """

    layer: int
    module: str
    rms: float
    most: float
    frozen: int
    frozen_most: float


def moved_by(base: Decoder, recipe: Recipe, mask: UnitMap, *, backend: Backend) -> Sequence[Moved]:
    """Measure what a recipe changes of its parent, in the order of its layout.

    raises: as kernels.version.layout.layout
    """
    specs = layout(base.model, recipe.layers, recipe.modules)
    frozen = frozen_by_name(base, mask, specs)
    return [_measured(spec, recipe, frozen[spec.name], base, backend) for spec in specs]


def _measured(
    spec: TensorSpec, recipe: Recipe, frozen: Frozen, base: Decoder, backend: Backend
) -> Moved:
    device = base.model.layer(spec.name).device
    step = torch.zeros(spec.shape, dtype=torch.int32, device=device)
    backend.accumulate(step, change_of(recipe, spec, sign=1, frozen=frozen))
    unit = 2.0**QUANTUM_LOG2
    held = list(_held(step, frozen))
    return Moved(
        layer=spec.layer,
        module=spec.module,
        rms=float(step.double().square().mean().sqrt()) * unit,
        most=float(step.abs().max()) * unit,
        frozen=sum(num for num, _ in held),
        frozen_most=max((most for _, most in held), default=0.0) * unit,
    )


def _held(step: Tensor, frozen: Frozen) -> Iterator[tuple[int, float]]:
    """Yield how many rows, and columns, are frozen, and the largest integer in them."""
    for mask, dim in ((frozen.rows, 0), (frozen.columns, 1)):
        if mask is None:
            continue
        places = (mask == 0).nonzero()[:, 0].to(step.device)
        if len(places):
            yield len(places), float(step.index_select(dim, places).abs().max())
