"""Products in 8 bits: exact sums, whatever multiplies them, and near enough to the floats'."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learner.judges.tuned.eights import (
    INPUT_STEPS,
    MOST_INPUTS,
    STEPS,
    EightBitLayer,
    multiplies_bytes,
)


@given(st.integers(0, 2**32), st.integers(1, 40), st.sampled_from([1, 2, 31, 384, MOST_INPUTS]))
@pytest.mark.skipif(
    not multiplies_bytes(torch.cpu.get_capabilities()), reason="bytes are not multiplied here"
)
def test_bytes_and_floats_give_the_same_bits(seed: int, rows: int, inputs: int) -> None:
    """A sum of bytes is a whole number that a float holds, in whatever order it is made."""
    torch.manual_seed(seed)
    weight, bias = torch.randn(8, inputs) * torch.logspace(-6, 3, 8)[:, None], torch.randn(8)
    x = torch.randn(rows, inputs) * torch.logspace(-9, 6, rows)[:, None]
    first, second = (EightBitLayer(weight, bias, of_bytes=each).apply(x) for each in (True, False))
    assert torch.equal(first, second)


@pytest.mark.parametrize("of_x", [1.0, -1.0])
@pytest.mark.parametrize("of_weight", [1.0, -1.0])
@pytest.mark.parametrize("outputs", [1, 3, 384])
def test_nothing_is_cut_off_at_the_ends(of_x: float, of_weight: float, outputs: int) -> None:
    """Every product at its largest: where two are added in 16 bits they must hold them."""
    layer = EightBitLayer(torch.full((outputs, MOST_INPUTS), of_weight), torch.zeros(outputs))
    found = layer.apply(torch.full((5, MOST_INPUTS), of_x))
    assert torch.allclose(found, torch.tensor(of_x * of_weight * MOST_INPUTS), rtol=1e-6)


@given(st.integers(0, 2**32))
def test_it_is_near_the_product_of_floats(seed: int) -> None:
    """Off by half a step of both at most, input by input."""
    torch.manual_seed(seed)
    weight, bias, x = torch.randn(16, 96), torch.randn(16), torch.randn(7, 96)
    error = (EightBitLayer(weight, bias).apply(x) - (x @ weight.t() + bias)).abs()
    of_x = x.abs().amax(1, keepdim=True) / INPUT_STEPS / 2
    of_weight = weight.abs().amax(1, keepdim=True) / STEPS / 2
    most = of_x @ weight.abs().sum(1)[None] + (x.abs().sum(1)[:, None] + 96 * of_x) @ of_weight.t()
    assert bool((error <= most * 1.001 + 1e-4).all())


def test_zeros_are_zeros() -> None:
    """Rows without any scale, on either side."""
    layer = EightBitLayer(torch.zeros(2, 4), torch.tensor([1.0, -2.0]))
    assert layer.apply(torch.tensor([[0.0] * 4, [3.0] * 4])).tolist() == [[1.0, -2.0]] * 2


def test_more_inputs_than_sums_hold_are_refused() -> None:
    """Rather than a sum that another processor rounds otherwise."""
    with pytest.raises(ValueError, match=str(MOST_INPUTS)):
        EightBitLayer(torch.zeros(1, MOST_INPUTS + 1), torch.zeros(1))
