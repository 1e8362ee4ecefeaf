"""A weight in the bits that it came as: gives it back, and multiplies as the full one does."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels.loops.lanes import GROUP
from kernels.loops.strips import Numbers
from kernels.model.blocks import Blocks, BlocksLayer, as_it_came
from kernels.model.packed import PackedLayer, in_full

KINDS: tuple[Numbers, ...] = ("nibbles", "signed nibbles", "bytes", "bfloat16", "float16")
SHAPES = [(192, 576), (576, 1536), (64, 64), (96, 64), (1, 32), (130, 96)]
BITS = {"nibbles": 6, "signed nibbles": 6, "bytes": 10, "bfloat16": 16, "float16": 16}


def blocks_of(kind: Numbers, out: int, inputs: int, seed: int) -> Blocks:
    """Return random blocks, as a file has them: scales and offsets are float16."""
    random = np.random.default_rng(seed)
    low, high = {"nibbles": (0, 16), "signed nibbles": (-8, 8)}.get(kind, (-128, 128))
    numbers = random.integers(low, high, (out, inputs))
    scales, offsets = random.standard_normal((2, out, inputs // GROUP)).astype(np.float16)
    return Blocks(
        kind,
        numbers.astype(np.uint8 if kind == "nibbles" else np.int8),
        scales.astype(np.float32),
        offsets.astype(np.float32),
    )


def plain(blocks: Blocks) -> Tensor:
    """Make the weight the obvious way."""
    wide = blocks.numbers.astype(np.float32).reshape(*blocks.scales.shape, GROUP)
    made = blocks.scales[..., None] * wide + blocks.offsets[..., None]
    return torch.from_numpy(made.reshape(len(wide), -1))


def layer_of(kind: Numbers, out: int, inputs: int, seed: int = 0) -> tuple[BlocksLayer, Tensor]:
    """Return a layer of a kind, and the weight that it stands for."""
    if kind in ("bfloat16", "float16"):
        random = torch.Generator().manual_seed(seed)
        halves = torch.bfloat16 if kind == "bfloat16" else torch.float16
        weight = torch.randn(out, inputs, generator=random).to(halves).float()
        layer = as_it_came(weight)
    else:
        blocks = blocks_of(kind, out, inputs, seed)
        weight = plain(blocks)
        layer = as_it_came(weight, None, blocks)
    assert layer is not None
    assert layer.strips.kind == kind
    return layer, weight


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_weight_comes_back(kind: Numbers, shape: tuple[int, int]) -> None:
    """The whole weight and single rows of it are what was stored, to the bit."""
    layer, weight = layer_of(kind, *shape)
    assert torch.equal(layer.plain(), weight)
    ids = torch.tensor([[0, shape[0] - 1], [shape[0] // 2, 0]])
    assert torch.equal(layer.rows(ids), weight[ids])
    with pytest.raises(IndexError):
        layer.rows(torch.tensor([shape[0]]))


@pytest.mark.parametrize("kind", KINDS)
@given(
    out=st.integers(1, 4), inputs=st.integers(1, 40), seed=st.integers(0, 999),
    rows=st.integers(1, 99) | st.integers(400, 500),
)  # fmt: skip
@settings(max_examples=12, deadline=None)
def test_the_product_is_that_of_the_weight_in_full(
    kind: Numbers, out: int, inputs: int, rows: int, seed: int
) -> None:
    """To the bit, also one row at a time: nothing depends on how a weight is stored."""
    layer, weight = layer_of(kind, 64 * out, GROUP * inputs, seed)
    x = torch.randn(rows, GROUP * inputs, generator=torch.Generator().manual_seed(seed))
    found = layer.apply(x)
    full = PackedLayer(weight)
    if full.has_rows:  # oneDNN's order of sums is known here
        assert torch.equal(found, full.apply(x))
    exact = (x.double() @ weight.double().T).float()
    spread = x.abs().double() @ weight.abs().double().T
    assert ((found - exact).abs() <= 1e-5 * spread + 1e-30).all()
    alone = torch.cat([layer.apply(row[None]) for row in x[:9]])
    assert torch.equal(found[:9], alone)


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_that_fill_no_strip(kind: Numbers) -> None:
    """What is added to fill the last strip is not seen."""
    layer, weight = layer_of(kind, 70, 64)
    x = torch.randn(3, 64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(layer.apply(x), x @ weight.T, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_change_no_bit(threads: int) -> None:
    """Sums are not shared between threads."""
    layer, weight = layer_of("nibbles", 576, 576)
    x = torch.randn(5, 576, generator=torch.Generator().manual_seed(1))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = layer.apply(x)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found, PackedLayer(weight).apply(x))


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_takes_is_counted(kind: Numbers) -> None:
    """A weight takes the bits that it came as, with scales and offsets of 32 bits."""
    layer, weight = layer_of(kind, 576, 1536)
    assert layer.nbytes * 8 == BITS[kind] * weight.numel()


def test_a_version_has_a_layer_in_full() -> None:
    """What replaces a weight need not fit its blocks."""
    layer, weight = layer_of("nibbles", 64, 64)
    other = layer.like(weight + 0.001)
    assert isinstance(other, PackedLayer)
    assert torch.equal(other.plain(), weight + 0.001)


def test_blocks_that_do_not_give_the_weight_are_refused() -> None:
    """One bit is enough."""
    blocks = blocks_of("nibbles", 64, 64, 0)
    weight = plain(blocks)
    weight[3, 5] += 0.001
    with pytest.raises(ValueError, match="do not give the weight"):
        as_it_came(weight, None, blocks)


def test_weights_of_32_bits_stay_whole() -> None:
    """Nothing is rounded to be stored; nor is what this room has no product for."""
    random = torch.Generator().manual_seed(0)
    assert as_it_came(torch.randn(64, 64, generator=random)) is None
    assert as_it_came(torch.ones(64, 48)) is None
    assert as_it_came(torch.ones(64, 64, dtype=torch.bfloat16)) is None
    assert isinstance(in_full(torch.ones(64, 64)), PackedLayer)
