"""A twin of a model shares what it does not replace, and every parameter can be had plain."""

import pytest
import torch

from kernels.model.model import EMBEDDING, HEAD, Model, with_weights
from tests.tiny import FAMILIES, Family, as_plain, as_stored, tiny_model

NAME = "model.layers.3.mlp.up_proj.weight"


@pytest.fixture(params=["packed", "plain"])
def model(request: pytest.FixtureRequest) -> Model:
    """A tied model, stored either way."""
    stored = as_stored(tiny_model())
    return stored if request.param == "packed" else as_plain(stored)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_can_be_had_as_it_was(family: Family) -> None:
    """Names, order and bits are those of the model that was stored, tied parameters once."""
    model = tiny_model(family=family)
    stored, theirs = as_stored(model), dict(sorted(model.named_parameters()))
    assert stored.names == list(theirs)
    for name, tensor in theirs.items():
        assert torch.equal(stored.get_parameter(name), tensor)
    assert (HEAD in stored.names) is (family != "llama")


def test_an_unknown_parameter_is_said(model: Model) -> None:
    """A name that the model does not have is an error that repeats it."""
    for ask in (model.get_parameter, model.layer):
        with pytest.raises(ValueError, match=r"no .* 'model\.layers\.9\.mlp"):
            ask("model.layers.9.mlp.up_proj.weight")


def test_twin_shares_what_it_does_not_replace(model: Model) -> None:
    """A twin holds the new tensors, shares all others, and leaves its original alone."""
    before = model.get_parameter(NAME).clone()
    norm = torch.full((64,), 3.0)
    twin = with_weights(model, {NAME: before + 1, "model.norm.weight": norm})
    assert torch.equal(twin.get_parameter(NAME), before + 1)
    assert torch.equal(twin.get_parameter("model.norm.weight"), norm)
    assert torch.equal(model.get_parameter(NAME), before)
    shared = [name for name in model.layers if twin.layers[name] is model.layers[name]]
    assert sorted(set(model.layers) - set(shared)) == [NAME]


def test_twin_takes_the_weights_over(model: Model) -> None:
    """What is stored is gone from what was given, so that no weight stays in two forms."""
    weights = {NAME: model.get_parameter(NAME) * 2}
    with_weights(model, weights)
    assert weights == {}


@pytest.mark.parametrize("name", [EMBEDDING, HEAD])
def test_twin_of_a_tied_model_stays_tied(model: Model, name: str) -> None:
    """Replacing one of two tied parameters replaces both."""
    twin = with_weights(model, {name: torch.zeros(384, 64)})
    assert twin.layers[HEAD] is twin.layers[EMBEDDING]
    assert not twin.get_parameter(EMBEDDING).any()


@pytest.mark.parametrize(
    "name", ["model.layers.9.mlp.up_proj.weight", "lm_head.weight", "model.norm.weight"]
)
def test_twin_refuses_a_tensor_that_does_not_fit(model: Model, name: str) -> None:
    """An unknown name or a wrong shape is an error, not a broadcast."""
    with pytest.raises(ValueError, match=name):
        with_weights(model, {name: torch.zeros(1, 1)})


def test_twin_refuses_a_bias() -> None:
    """A bias belongs to its layer and does not move alone."""
    name = "model.layers.0.self_attn.q_proj.bias"
    with pytest.raises(ValueError, match="bias"):
        with_weights(as_stored(tiny_model(family="qwen2")), {name: torch.zeros(64)})
