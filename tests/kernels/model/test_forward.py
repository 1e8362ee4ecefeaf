"""The walk over a model's modules equals the model's own forward pass."""

import pytest
import torch
from torch import Tensor, nn

from kernels.errors import UnsupportedModelError
from kernels.model.forward import Decoder, causal, plain, with_weights
from tests.tiny import FAMILIES, Family, tiny_model


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
    torch.testing.assert_close(logits_of(Decoder(model), ids), model(ids).logits)


@pytest.mark.parametrize("family", FAMILIES)
def test_right_padding_changes_nothing_before_it(family: Family) -> None:
    """A short row in a padded batch has the logits that it has alone."""
    model = tiny_model(family=family)
    ids = torch.randint(3, 384, (2, 12), generator=torch.Generator().manual_seed(1))
    ids[1, 5:] = 2
    padded = logits_of(Decoder(model), ids)
    torch.testing.assert_close(padded[1, :5], model(ids[1:, :5]).logits[0])
    torch.testing.assert_close(padded[0], model(ids[:1]).logits[0])


def test_layers_can_be_run_in_two_parts() -> None:
    """Running the trunk and then the last blocks equals running all, so a trunk can be shared."""
    decoder = Decoder(tiny_model())
    ids = torch.arange(3, 13)[None]
    rope = decoder.rope(torch.arange(10)[None])
    whole = decoder.run(decoder.embed(ids), rope=rope, attend=causal)
    trunk = decoder.run(decoder.embed(ids), rope=rope, attend=causal, layers=range(2))
    parts = decoder.run(trunk, rope=rope, attend=causal, layers=range(2, 4))
    assert torch.equal(whole, parts)


def test_linear_hook_sees_every_layer_by_its_parameter_name() -> None:
    """The hook is asked once for each linear layer, with the name and module of its parameter."""
    model = tiny_model(family="qwen2")
    decoder = Decoder(model)
    seen: list[str] = []

    def watch(name: str, layer: nn.Linear, x: Tensor) -> Tensor:
        assert model.get_parameter(name) is layer.weight
        seen.append(name)
        return plain(name, layer, x)

    ids = torch.tensor([[5, 6, 7]])
    decoder.run(
        decoder.embed(ids), rope=decoder.rope(torch.arange(3)[None]), attend=causal, linear=watch
    )
    linears = [n for n, m in model.model.layers.named_modules() if isinstance(m, nn.Linear)]
    assert sorted(seen) == sorted(f"model.layers.{name}.weight" for name in linears)


def test_sizes_are_the_models() -> None:
    """The decoder names the model's sizes."""
    decoder = Decoder(tiny_model(family="qwen3"))
    sizes = (decoder.num_layers, decoder.heads, decoder.kv_heads, decoder.head_dim)
    assert sizes == (4, 4, 2, 16)
    assert (decoder.width, decoder.vocabulary, decoder.head.shape) == (64, 384, (384, 64))


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "gpt2"},
        {"layer_types": ["full_attention", "sliding_attention"] * 2},
        {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
    ],
)
def test_unknown_architecture_is_refused(change: dict[str, object]) -> None:
    """A model that the walk would get wrong is refused, and the error says what is supported."""
    model = tiny_model(family="qwen3")
    for name, value in change.items():
        setattr(model.config, name, value)
    with pytest.raises(UnsupportedModelError, match="supported are llama, mistral, qwen2"):
        Decoder(model)


def test_mistral_with_sliding_window_is_refused() -> None:
    """Mistral states its window by number and not by layer; it is refused too."""
    model = tiny_model(family="mistral")
    model.config.sliding_window = 8
    with pytest.raises(UnsupportedModelError, match="sliding window"):
        Decoder(model)


def test_twin_shares_what_it_does_not_replace() -> None:
    """A twin holds the new tensors, shares all others, and leaves its original alone."""
    model = tiny_model()
    name = "model.layers.3.mlp.up_proj.weight"
    before = model.get_parameter(name).clone()
    replaced = before + 1
    twin = with_weights(model, {name: replaced})
    assert twin.get_parameter(name).data_ptr() == replaced.data_ptr()
    assert torch.equal(model.get_parameter(name), before)
    for other, parameter in model.named_parameters():
        if other != name:
            assert twin.get_parameter(other) is parameter
    assert twin.lm_head.weight is twin.model.embed_tokens.weight


def test_twin_of_a_tied_model_stays_tied() -> None:
    """Replacing one of two tied parameters replaces both."""
    twin = with_weights(tiny_model(), {"lm_head.weight": torch.zeros(384, 64)})
    assert twin.lm_head.weight is twin.model.embed_tokens.weight
    assert not twin.model.embed_tokens.weight.any()


@pytest.mark.parametrize("name", ["model.layers.9.mlp.up_proj.weight", "lm_head.weight"])
def test_twin_refuses_a_tensor_that_does_not_fit(name: str) -> None:
    """An unknown name or a wrong shape is an error, not a broadcast."""
    with pytest.raises(ValueError, match=name):
        with_weights(tiny_model(), {name: torch.zeros(1, 1)})
