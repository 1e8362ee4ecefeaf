"""A step in one compiled walk: the walk layer by layer, in any batch and on any threads."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from kernels.model.blocks import BlocksLayer
from kernels.model.forward import Decoder, Linear, unchanged
from kernels.model.kv import KvCache
from kernels.model.layers import Layer
from kernels.model.model import with_weights
from kernels.model.read import next_logits, read_chunk
from tests.tiny import as_stored, tiny_model

# whole strips of 64 everywhere, more queries than keys
SHAPE: dict[str, Any] = {
    "intermediate_size": 128,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
}
LENGTHS = [3, 40, 9, 9, 1, 22, 38, 14, 5]


def decoder_of(*, halves: bool) -> Decoder:
    """Return a tiny decoder, of float32 weights or of 16-bit ones."""
    model = tiny_model(**SHAPE)
    return Decoder(as_stored(model.bfloat16().float() if halves else model))


DECODERS = {"float32": decoder_of(halves=False), "16 bits": decoder_of(halves=True)}


@pytest.fixture(params=DECODERS)
def decoder(request: pytest.FixtureRequest) -> Decoder:
    """Each decoder."""
    return DECODERS[request.param]


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """One thread, or two that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def another(_name: str, layer: Layer, x: Tensor) -> Tensor:
    """Apply a layer as it is, in a way that the walk does not know."""
    return unchanged(_name, layer, x)


def steps(decoder: Decoder, lengths: Sequence[int], linear: Linear = unchanged) -> Tensor:
    """Return the logits of three tokens after prompts of these lengths: (rows, 3 · vocabulary)."""
    cache = KvCache(decoder, capacity=64, tokens=96 * len(lengths))
    slots = [cache.open() for _ in lengths]
    with torch.inference_mode():
        for slot, length in zip(slots, lengths, strict=True):
            read_chunk(decoder, cache, slot, [7 * place % 384 for place in range(length)])
        return torch.cat(
            [
                next_logits(decoder, cache, slots, [length + more for length in lengths], linear)
                for more in range(3)
            ],
            dim=1,
        )


@pytest.mark.usefixtures("threads")
def test_it_is_the_walk_layer_by_layer(decoder: Decoder) -> None:
    """Within the rounding of norms, rotations and gates."""
    assert decoder.step is not None
    torch.testing.assert_close(
        steps(decoder, LENGTHS), steps(decoder, LENGTHS, another), atol=1e-4, rtol=1e-4
    )


def test_a_row_does_not_depend_on_the_others(decoder: Decoder, threads: int) -> None:
    """Its logits have the same bits alone, among nine, and on one thread or two."""
    together = steps(decoder, LENGTHS)
    for row, length in zip(together, LENGTHS, strict=True):
        assert torch.equal(row, steps(decoder, [length])[0])
    torch.set_num_threads(3 - threads)
    assert torch.equal(together, steps(decoder, LENGTHS))


def test_versions_mix_full_weights_with_stored_ones() -> None:
    """A version's moved layers are in full beside those that stay, and are walked alike."""
    base = DECODERS["16 bits"]
    name = "model.layers.3.mlp.up_proj.weight"
    weight = base.model.get_parameter(name) * 1.001
    version = Decoder(with_weights(base.model, {name: weight}))
    assert isinstance(base.model.layer(name), BlocksLayer)
    assert version.step is not None
    found = steps(version, LENGTHS)
    assert not torch.equal(found, steps(base, LENGTHS))
    torch.testing.assert_close(found, steps(version, LENGTHS, another), atol=1e-4, rtol=1e-4)


def test_a_fault_shows_where_it_is(decoder: Decoder) -> None:
    """NaN in one row's past makes its logits NaN, and leaves the others as they were."""
    cache = KvCache(decoder, capacity=64, tokens=256)
    slots = [cache.open(), cache.open()]
    with torch.inference_mode():
        for slot in slots:
            read_chunk(decoder, cache, slot, [1, 2, 3])
        cache.pages.memory[cache.pages_of(slots[0])[0], 0, 1, :, 0] = torch.nan
        broken, whole = next_logits(decoder, cache, slots, [4, 4])
    assert broken.isnan().all()
    assert torch.isfinite(whole).all()


def test_models_that_the_walk_is_not_written_for_have_none() -> None:
    """Biases, norms of heads, and sizes that fill no strip are walked layer by layer."""
    for model in (tiny_model(family="qwen2"), tiny_model(family="qwen3"), tiny_model()):
        assert Decoder(as_stored(model)).step is None
