"""The walk over a model's layers equals the forward pass of transformers."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from kernels.errors import UnsupportedModelError
from kernels.model.forward import Decoder, causal, require_supported
from kernels.model.layers import Layer
from tests.tiny import FAMILIES, Family, as_stored, tiny_model


def logits_of(decoder: Decoder, ids: Tensor) -> Tensor:
    """Score every position of right-padded rows."""
    rope = decoder.rope(torch.arange(ids.shape[1])[None])
    return decoder.logits(decoder.run(decoder.embed(ids), rope=rope, attend=causal))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("length", [1, 2, 17])
def test_logits_equal_the_models_own(family: Family, length: int) -> None:
    """Every supported family gives the logits that transformers gives."""
    model = tiny_model(family=family, seed=3)
    ids = torch.randint(0, 384, (3, length), generator=torch.Generator().manual_seed(length))
    torch.testing.assert_close(logits_of(Decoder(as_stored(model)), ids), model(ids).logits)


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "linear", "factor": 4.0},
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512},
        {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    ],
    ids=lambda rope: rope["rope_type"],
)
def test_every_supported_rope_gives_the_models_own_logits(rope: dict[str, object]) -> None:
    """Scaled rotations are those of transformers, their scale of cosine and sine included."""
    model = tiny_model(seed=3, rope_parameters={"rope_theta": 1e4, **rope})
    ids = torch.randint(0, 384, (1, 90), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(logits_of(Decoder(as_stored(model)), ids), model(ids).logits)


@pytest.mark.parametrize("family", FAMILIES)
def test_right_padding_changes_nothing_before_it(family: Family) -> None:
    """A short row in a padded batch has the logits that it has alone."""
    model = tiny_model(family=family)
    ids = torch.randint(3, 384, (2, 12), generator=torch.Generator().manual_seed(1))
    ids[1, 5:] = 2
    padded = logits_of(Decoder(as_stored(model)), ids)
    torch.testing.assert_close(padded[1, :5], model(ids[1:, :5]).logits[0])
    torch.testing.assert_close(padded[0], model(ids[:1]).logits[0])


def test_layers_can_be_run_in_two_parts() -> None:
    """Running the trunk and then the last blocks equals running all, so a trunk can be shared."""
    decoder = Decoder(as_stored(tiny_model()))
    ids = torch.arange(3, 13)[None]
    rope = decoder.rope(torch.arange(10)[None])
    whole = decoder.run(decoder.embed(ids), rope=rope, attend=causal)
    trunk = decoder.run(decoder.embed(ids), rope=rope, attend=causal, layers=range(2))
    parts = decoder.run(trunk, rope=rope, attend=causal, layers=range(2, 4))
    assert torch.equal(whole, parts)


def test_linear_hook_sees_every_layer_by_its_parameter_name() -> None:
    """The hook is asked once for each linear layer, with the name of its weight."""
    model = as_stored(tiny_model(family="qwen2"))
    decoder = Decoder(model)
    seen: list[str] = []

    def watch(name: str, layer: Layer, x: Tensor) -> Tensor:
        assert model.layer(name) is layer
        seen.append(name)
        return layer.apply(x)

    ids = torch.tensor([[5, 6, 7]])
    decoder.run(
        decoder.embed(ids), rope=decoder.rope(torch.arange(3)[None]), attend=causal, linear=watch
    )
    assert sorted(seen) == sorted(name for name in model.layers if ".layers." in name)


def test_sizes_are_the_models() -> None:
    """The decoder names the model's sizes."""
    decoder = Decoder(as_stored(tiny_model(family="qwen3")))
    sizes = (decoder.num_layers, decoder.heads, decoder.kv_heads, decoder.head_dim)
    assert sizes == (4, 4, 2, 16)
    assert (decoder.width, decoder.vocabulary, decoder.head.shape) == (64, 384, (384, 64))


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "gpt2"},
        {"hidden_act": "gelu"},
        {"layer_types": ["full_attention", "sliding_attention"] * 2},
        {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
        # Mistral states its window by number and not by layer
        {"model_type": "mistral", "sliding_window": 8},
    ],
)
def test_unknown_architecture_is_refused(change: dict[str, object]) -> None:
    """What the walk would get wrong is an error that names what is supported."""
    config = SimpleNamespace(**(tiny_model(family="qwen3").config.to_dict() | change))
    with pytest.raises(UnsupportedModelError, match="supported are llama, mistral, qwen2"):
        require_supported(config)
