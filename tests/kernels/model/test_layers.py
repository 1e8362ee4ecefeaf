"""Every storage of a linear layer applies it, gives its rows and gives it back, and is one copy."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.model import onednn
from kernels.model.layers import Layer, PlainLayer
from kernels.model.packed import PackedLayer, in_full, packable

SHAPES = [(192, 576), (576, 1536), (64, 2048), (96, 64), (40, 24), (384, 64)]
Store = Callable[[Tensor, Tensor | None], Layer]


def without_rows(weight: Tensor, bias: Tensor | None) -> Layer:
    """Pack a weight as on a processor whose layout is not known."""
    layer = PackedLayer(weight, bias)
    layer.strips = None
    return layer


STORES: dict[str, Store] = {
    "plain": PlainLayer,
    "packed": PackedLayer,
    "packed, layout unknown": without_rows,
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    """Each way to store a layer."""
    return STORES[request.param]


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Return normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_storage_keeps_the_layer(store: Store, shape: tuple[int, int]) -> None:
    """Products agree within rounding; the weight and its rows come back to the bit."""
    weight, bias, x = normal(*shape), normal(shape[0], seed=1), normal(2, 9, shape[1], seed=2)
    layer = store(weight.clone(), bias)
    expected = F.linear(x, weight, bias)
    torch.testing.assert_close(layer.apply(x), expected, atol=1e-3, rtol=1e-4)
    assert torch.equal(layer.plain(), weight)
    ids = torch.tensor([[0, shape[0] - 1], [7, 7]])
    assert torch.equal(layer.rows(ids), weight[ids])
    assert (layer.shape, layer.dtype, layer.device.type) == (shape, torch.float32, "cpu")
    other = layer.like(weight * 2)
    assert type(other) is type(layer)
    assert torch.equal(other.plain(), weight * 2)
    assert other.bias is bias


@pytest.mark.parametrize("fast", [True, False], ids=["compiled rows", "oneDNN alone"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_row_does_not_depend_on_how_many_there_are(shape: tuple[int, int], fast: bool) -> None:
    """A row's product is the same to the bit alone, among a few and among many, by both ways."""
    make = PackedLayer if fast else without_rows
    layer = make(normal(*shape), normal(shape[0], seed=1))
    x = normal(130, shape[1], seed=2)
    whole = layer.apply(x)
    for rows in (1, 2, 3, 4, 5, 8, 31, 128):
        assert torch.equal(layer.apply(x[:rows]), whole[:rows])


def test_a_packed_weight_is_the_only_copy() -> None:
    """A packed layer keeps no other tensor of the weight's size, least of all the weight itself."""
    weight = normal(576, 1536)
    layer = PackedLayer(weight)
    sizes = [value.numel() for value in vars(layer).values() if isinstance(value, Tensor)]
    assert sizes == [weight.numel()]
    weight.zero_()
    assert layer.plain().any()


def test_rows_that_are_no_rows_are_refused() -> None:
    """A token that the vocabulary does not have is an error."""
    for layer in (PlainLayer(normal(384, 64)), in_full(normal(384, 64), looked_up=True)):
        with pytest.raises(IndexError):
            layer.rows(torch.tensor([384]))


def test_what_is_looked_up_is_packed_only_where_rows_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the layout is not known, an embedding stays plain: it is not unpacked at each look."""
    monkeypatch.setattr(onednn, "sum_block", lambda *_: None)
    assert isinstance(in_full(normal(384, 64), looked_up=True), PlainLayer)
    assert isinstance(in_full(normal(384, 64)), PackedLayer)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_only_float32_on_a_processor_is_packed(dtype: torch.dtype) -> None:
    """A weight of another type is kept plain, and its products have that type."""
    weight = normal(64, 32).to(dtype)
    assert not packable(weight)
    layer = in_full(weight)
    assert isinstance(layer, PlainLayer)
    assert layer.apply(weight[:3, :]).dtype == dtype
