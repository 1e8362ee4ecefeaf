"""Which tensors move, in which order, and their scales."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kernels.errors import ExplodedError, UnsupportedModelError
from kernels.version.layout import layout, scale_log2
from streams.model.open import BaseModel


def test_the_layout_is_layer_major_in_the_order_given(tiny_base: BaseModel) -> None:
    """Layers as given, modules as given inside each, shapes of the model's own parameters."""
    specs = layout(tiny_base.model, [2, 1], ["v_proj", "down_proj"])
    assert [spec.name for spec in specs] == [
        "model.layers.2.self_attn.v_proj.weight",
        "model.layers.2.mlp.down_proj.weight",
        "model.layers.1.self_attn.v_proj.weight",
        "model.layers.1.mlp.down_proj.weight",
    ]
    assert [spec.shape for spec in specs] == [(32, 64), (64, 96)] * 2


@pytest.mark.parametrize(
    ("layers", "modules", "error"),
    [
        ([9], ["q_proj"], UnsupportedModelError),
        ([1, 1], ["q_proj"], ValueError),
        ([1], ["q_proj", "q_proj"], ValueError),
        ([1], ["lm_head"], ValueError),
    ],
)
def test_a_layout_that_the_model_lacks_is_refused(
    tiny_base: BaseModel, layers: list[int], modules: list[str], error: type[Exception]
) -> None:
    """Missing layers, repetitions and unknown modules are errors."""
    with pytest.raises(error):
        layout(tiny_base.model, layers, modules)


@given(scale=st.floats(1e-6, 1e6), seed=st.integers(0, 99))
def test_the_scale_is_the_nearest_power_of_two_of_the_rms(scale: float, seed: int) -> None:
    """It equals rounding log2 of the RMS, away from the ties."""
    weight = torch.randn(7, 11, generator=torch.Generator().manual_seed(seed)) * scale
    octave = 0.5 * math.log2(float(weight.double().square().mean()))
    if abs(octave - math.floor(octave) - 0.5) > 1e-9:
        assert scale_log2(weight) == round(octave)


@pytest.mark.parametrize("exponent", [-7, 0, 3])
def test_the_scale_is_exact_at_its_threshold(exponent: int) -> None:
    """A mean square of exactly 2^(2k−1) is scale k, the next float below is k − 1; in any order."""
    at = torch.tensor([[2.0**exponent] * 3 + [0.0] * 3])
    below = at.clone()
    below[0, 0] = torch.nextafter(below[0, 0], torch.tensor(0.0))
    assert scale_log2(at) == exponent
    assert scale_log2(below) == exponent - 1
    assert scale_log2(below.flip(1)) == exponent - 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_scale_of_half_precision_weights(dtype: torch.dtype) -> None:
    """The squares of half-precision weights do not overflow."""
    assert scale_log2(torch.full((3, 3), 2.0**12, dtype=dtype)) == 12


def test_weights_without_a_scale_are_refused() -> None:
    """All zeros have no RMS to perturb at; NaN is no number."""
    with pytest.raises(ValueError, match="zeros"):
        scale_log2(torch.zeros(2, 2))
    with pytest.raises(ExplodedError, match="finite"):
        scale_log2(torch.tensor([[float("nan")]]))
