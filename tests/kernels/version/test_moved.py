"""What a recipe moves is measured on its integers, and frozen units are exactly zero."""

import numpy as np
import pytest

from kernels.change import NOISES, Noise
from kernels.contract import Backend
from kernels.version.master import QUANTUM_LOG2
from kernels.version.moved import moved_by
from streams.model.open import BaseModel
from streams.records import Mask
from tests.kernels.version.test_master import Draft, master_of

UNITS: dict[str, dict[int, list[int]]] = {"neurons": {2: [0, 5, 95]}, "groups": {3: [1]}}


@pytest.mark.parametrize("noise", NOISES)
def test_the_step_is_that_of_the_master(
    tiny_base: BaseModel, backend: Backend, noise: Noise
) -> None:
    """Each tensor's root mean square is that of the integers which the recipe adds."""
    master = master_of(tiny_base, backend)
    draft = Draft(master.scales, noise=noise)
    found = moved_by(tiny_base.decoder, draft, Mask(base=tiny_base.name, **UNITS), backend=backend)
    master.apply(draft, verify=False)
    integers = dict(master.integers())
    assert [(each.layer, each.module) for each in found] == [
        (spec.layer, spec.module) for spec in master.specs
    ]
    for spec, each in zip(master.specs, found, strict=True):
        step = integers.get(spec.name, np.zeros(1)).astype(np.float64) * 2.0**QUANTUM_LOG2
        assert each.rms == pytest.approx(float(np.sqrt(np.mean(step**2))), rel=1e-12)
        assert each.most == pytest.approx(float(np.abs(step).max()))


def test_frozen_units_are_counted_and_do_not_move(tiny_base: BaseModel, backend: Backend) -> None:
    """Rows of gate and up, columns of down, a group's rows and columns: none has a step."""
    mask = Mask(base=tiny_base.name, **UNITS)
    draft = Draft(master_of(tiny_base, backend).scales)
    found = moved_by(tiny_base.decoder, draft, mask, backend=backend)
    frozen = {(each.layer, each.module): each.frozen for each in found}
    assert frozen[2, "up_proj"] == frozen[2, "down_proj"] == 3
    assert frozen[3, "k_proj"] == tiny_base.decoder.head_dim
    assert frozen[2, "k_proj"] == 0
    assert all(each.frozen_most == 0.0 for each in found)
    # without the mask the same rows do move: that they are zero is found, and not assumed
    free = moved_by(
        tiny_base.decoder, draft, Mask(base="b", neurons={}, groups={}), backend=backend
    )
    assert sum(each.rms for each in free) > sum(each.rms for each in found)
