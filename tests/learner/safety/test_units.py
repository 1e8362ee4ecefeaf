"""Unit scores equal the formula, computed the slow way."""

import pytest
import torch
from torch import Tensor

from kernels.contract import Backend
from kernels.model.forward import Decoder, causal
from kernels.model.layers import Layer
from learner.safety.units.scores import Sample, UnitScores, unit_scores
from streams.model.open import BaseModel

SAMPLES = [
    Sample([5, 6, 7, 8], [20, 21, 22]),
    Sample([5, 6, 7, 9], [20, 30]),
    Sample([5, 6, 7, 8], [20, 40, 41]),
]


def _one_by_one(decoder: Decoder, name: str) -> Tensor:
    """Return what enters one linear layer at the reply tokens, each sample run alone."""
    seen: list[Tensor] = []

    def watch(called: str, layer: Layer, x: Tensor) -> Tensor:
        if called == name:
            seen.append(x[0, -num_reply:])
        return layer.apply(x)

    for sample in SAMPLES:
        ids = torch.tensor([[*sample.prompt, *sample.reply]])
        num_reply = len(sample.reply)
        rope = decoder.rope(torch.arange(ids.shape[1])[None])
        decoder.run(decoder.embed(ids), rope=rope, attend=causal, linear=watch)
    return torch.cat(seen).double()


def test_neurons_score_their_variance_times_their_column(
    tiny_base: BaseModel, backend: Backend
) -> None:
    """I = Var(X_j) · ‖W_:,j‖² over the reply tokens, shared prompts and all."""
    scores = unit_scores(tiny_base.decoder, SAMPLES, backend=backend)
    x = _one_by_one(tiny_base.decoder, "model.layers.2.mlp.down_proj.weight")
    weight = tiny_base.model.get_parameter("model.layers.2.mlp.down_proj.weight").double()
    expected = x.var(dim=0) * weight.square().sum(dim=0)
    torch.testing.assert_close(scores.neurons[2], expected, rtol=1e-4, atol=1e-9)


def test_groups_score_the_sum_over_their_heads(tiny_base: BaseModel, backend: Backend) -> None:
    """A KV group is the columns of o_proj behind all the heads that share it."""
    scores = unit_scores(tiny_base.decoder, SAMPLES, backend=backend)
    x = _one_by_one(tiny_base.decoder, "model.layers.1.self_attn.o_proj.weight")
    weight = tiny_base.model.get_parameter("model.layers.1.self_attn.o_proj.weight").double()
    columns = x.var(dim=0) * weight.square().sum(dim=0)
    assert scores.groups.shape == (4, 2)
    torch.testing.assert_close(
        scores.groups[1], columns.view(2, -1).sum(dim=1), rtol=1e-4, atol=1e-9
    )


def test_scores_do_not_depend_on_the_order(tiny_base: BaseModel, backend: Backend) -> None:
    """Samples in any order, and so in any passes, give the same scores."""
    forward = unit_scores(tiny_base.decoder, SAMPLES * 4, backend=backend)
    reverse = unit_scores(tiny_base.decoder, SAMPLES[::-1] * 4, backend=backend)
    torch.testing.assert_close(forward.neurons, reverse.neurons, rtol=1e-4, atol=1e-9)


def test_standardising_leaves_equal_units_at_zero() -> None:
    """z-scores are within a layer; a layer whose units are equal says nothing of any of them."""
    scores = UnitScores(
        neurons=torch.tensor([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]]).double(),
        groups=torch.tensor([[1.0], [9.0]]).double(),
    ).standardised()
    assert scores.neurons[0].mean() == pytest.approx(0)
    assert scores.neurons[0].std(correction=0) == pytest.approx(1)
    assert scores.neurons[1].tolist() == [0, 0, 0]
    assert scores.groups.tolist() == [[0], [0]]


def test_too_few_reply_tokens_are_refused(tiny_base: BaseModel, backend: Backend) -> None:
    """One reply token has no variance: an error, not a score of zero."""
    with pytest.raises(ValueError, match="two"):
        unit_scores(tiny_base.decoder, [Sample([5, 6], [7])], backend=backend)
