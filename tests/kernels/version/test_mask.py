"""Frozen units become the rows and columns that they own."""

import pytest

from kernels.change import Frozen
from kernels.version.layout import TensorSpec
from kernels.version.mask import frozen_by_name
from streams.records import Mask

# 4 heads of width 2 over 2 KV groups, model width 6, 5 neurons
SHAPES = {
    "q_proj": (8, 6), "k_proj": (4, 6), "v_proj": (4, 6), "o_proj": (6, 8),
    "gate_proj": (5, 6), "up_proj": (5, 6), "down_proj": (6, 5),
}  # fmt: skip


class Sizes:
    """Sizes of the attention above."""

    heads, kv_heads, head_dim = 4, 2, 2


def freeze(module: str, *, neurons: set[int], groups: set[int]) -> Frozen:
    """Freeze units of the little layer above."""
    spec = TensorSpec("name", 0, module, SHAPES[module])
    units = Mask(base="", neurons={0: sorted(neurons)}, groups={0: sorted(groups)})
    return frozen_by_name(Sizes(), units, [spec])["name"]


@pytest.mark.parametrize(
    ("module", "rows", "columns"),
    [
        ("q_proj", [1, 1, 1, 1, 0, 0, 0, 0], None),
        ("k_proj", [1, 1, 0, 0], None),
        ("v_proj", [1, 1, 0, 0], None),
        ("o_proj", None, [1, 1, 1, 1, 0, 0, 0, 0]),
        ("gate_proj", [0, 1, 1, 0, 1], None),
        ("up_proj", [0, 1, 1, 0, 1], None),
        ("down_proj", None, [0, 1, 1, 0, 1]),
    ],
)
def test_each_tensor_freezes_what_its_units_own(
    module: str, rows: list[int] | None, columns: list[int] | None
) -> None:
    """A group owns its k and v rows, its heads' q rows and o columns; a neuron one of each MLP."""
    frozen = freeze(module, neurons={0, 3}, groups={1})
    assert (frozen.rows.tolist() if frozen.rows is not None else None) == rows
    assert (frozen.columns.tolist() if frozen.columns is not None else None) == columns


@pytest.mark.parametrize("module", SHAPES)
def test_nothing_frozen_needs_no_mask(module: str) -> None:
    """Without frozen units there is no mask to multiply by."""
    frozen = freeze(module, neurons=set(), groups=set())
    assert frozen.rows is None
    assert frozen.columns is None


@pytest.mark.parametrize(("module", "unit"), [("up_proj", 5), ("k_proj", 2), ("o_proj", -1)])
def test_a_unit_that_the_layer_lacks_is_refused(module: str, unit: int) -> None:
    """A map of another model is an error, not a mask of something else."""
    with pytest.raises(ValueError, match="units"):
        freeze(module, neurons={unit}, groups={unit})
