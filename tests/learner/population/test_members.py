"""Members scored together are scored as each would be alone."""

import pytest
import torch
from torch import Tensor

from kernels.contract import Backend
from kernels.model.forward import Decoder, causal
from kernels.model.model import with_weights
from kernels.version.factors import rank1_factors
from learner.population import members as population
from learner.population.members import (
    Passage,
    Population,
    Trunk,
    final_states,
    lay_out,
    run_trunk,
    score,
)
from learner.population.shortlist import Shortlist
from learner.serving import Versions

PASSAGES = [
    Passage((1, 20, 30, 40), ((50, 51, 2), (60, 2))),
    Passage((1, 20, 31), ((52, 53, 54, 55, 56, 2),)),
    Passage((1, 20, 30, 40, 50, 51), ((9,), (8, 7))),
]
SIGMA = -3


def members(versions: Versions, backend: Backend, pairs: int = 3) -> Population:
    """Draw a small population."""
    return Population(
        backend,
        versions.specs,
        key=77,
        pairs=pairs,
        sigmas_log2=[scale + SIGMA for scale in versions.scales],
        frozen=versions.frozen,
    )


def shortlist(versions: Versions, backend: Backend, trunk: Trunk) -> Shortlist:
    """Score the parent; the tiny vocabulary is kept whole, so scores are exact."""
    states, targets = (
        final_states(versions.decoder, trunk, pause=lambda: None)[0],
        trunk.scored.targets,
    )
    return Shortlist(backend, states, versions.decoder.head, targets)


def alone(decoder: Decoder, prompt: tuple[int, ...], tokens: tuple[int, ...]) -> Tensor:
    """Score a continuation by a plain forward pass and the whole softmax."""
    ids = torch.tensor([[*prompt, *tokens]])
    rope = decoder.rope(torch.arange(ids.shape[1])[None])
    hidden = decoder.run(decoder.embed(ids), rope=rope, attend=causal)
    logprobs = decoder.logits(hidden)[0, len(prompt) - 1 : -1].log_softmax(dim=-1)
    return logprobs.gather(1, torch.tensor(tokens)[:, None])[:, 0]


def perturbed(versions: Versions, backend: Backend, member: int) -> Decoder:
    """Write one member's weights out: base ± σ a bᵀ."""
    weights = {}
    for spec, scale in zip(versions.specs, versions.scales, strict=True):
        frozen = versions.frozen.get(spec.name)
        rows, columns = rank1_factors(backend, spec, key=77, members=[member], frozen=frozen)
        noise = rows[0].float()[:, None] * columns[0].float()
        base = versions.base.model.get_parameter(spec.name)
        weights[spec.name] = base + noise * 2.0 ** (scale + SIGMA)
    return Decoder(with_weights(versions.base.model, weights))


@pytest.mark.parametrize("piece_tokens", [1, 40, 10_000])
def test_members_are_scored_as_if_alone(
    versions: Versions, backend: Backend, piece_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packed, shared and in pieces of any size, each member's scores are those of its weights."""
    monkeypatch.setattr(population, "PIECE_TOKENS", piece_tokens)
    scored = lay_out(PASSAGES)
    pauses: list[None] = []
    trunk = run_trunk(versions.decoder, scored, moving=2, pause=lambda: pauses.append(None))
    found = score(
        versions.decoder,
        trunk,
        members(versions, backend),
        shortlist=shortlist(versions, backend, trunk),
        pause=lambda: pauses.append(None),
    )
    assert pauses
    for member in range(6):
        decoder = perturbed(versions, backend, member)
        for passage, places in zip(PASSAGES, scored.places, strict=True):
            for tokens, place in zip(passage.continuations, places, strict=True):
                wanted = alone(decoder, passage.prompt, tokens)
                torch.testing.assert_close(found[member, place], wanted, rtol=1e-4, atol=2e-4)


def test_a_passage_does_not_hear_its_neighbours(versions: Versions, backend: Backend) -> None:
    """What a passage scores does not depend on what is packed beside it."""
    group, scores = members(versions, backend), []
    for passages in (PASSAGES, PASSAGES[1:2]):
        trunk = run_trunk(versions.decoder, lay_out(passages), moving=2, pause=lambda: None)
        few = shortlist(versions, backend, trunk)
        scores.append(score(versions.decoder, trunk, group, shortlist=few, pause=lambda: None))
    place = lay_out(PASSAGES).places[1][0]
    torch.testing.assert_close(scores[0][:, place], scores[1], rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("passage", [Passage((), ((1,),)), Passage((1,), ((),)), Passage((1,), ())])
def test_nothing_to_score_is_refused(passage: Passage) -> None:
    """A passage needs a prompt and a token to score."""
    with pytest.raises(ValueError, match="needs a prompt"):
        lay_out([passage])
