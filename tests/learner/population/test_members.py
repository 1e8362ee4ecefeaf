"""Members scored together are scored as each would be alone."""

import pytest
import torch
from torch import Tensor

from kernels.change import Address, MemberNoise
from kernels.contract import Backend
from kernels.model.forward import Decoder, causal
from kernels.model.model import with_weights
from kernels.open import open_backend
from kernels.version.factors import rank1_factors
from learner.population import members as population
from learner.population.members import (
    Passage,
    Trunk,
    final_states,
    lay_out,
    run_trunk,
    score,
)
from learner.population.noise import Addresses, Lines, Perturbation, Population, Where
from learner.population.noises.open import NOISES, open_population
from learner.population.shortlist import Shortlist
from learner.serving import Serving
from streams.records import Noise

PASSAGES = [
    Passage((1, 20, 30, 40), ((50, 51, 2), (60, 2))),
    Passage((1, 20, 31), ((52, 53, 54, 55, 56, 2),)),
    Passage((1, 20, 30, 40, 50, 51), ((9,), (8, 7))),
]
SIGMA = -3
ADDRESSES = Addresses((13, 0, 11), (5, 5, 16000), (0, 999, 3))  # down, the layer below's q, gate
LINES = Lines(
    ADDRESSES.tensors, ("Bg_x" * 16, "hC0-" * 16, "gBj_" * 24), ("_gB" * 32, "h" * 64, "B9" * 32)
)
SEARCHED: dict[Noise, Where] = {"screened": ADDRESSES, "directed": LINES}


def members(serving: Serving, backend: Backend, noise: Noise = "rank1") -> Population:
    """Draw a small population."""
    return open_population(
        noise,
        Perturbation(
            backend,
            serving.specs,
            key=77,
            pairs=3,
            sigmas_log2=[scale + SIGMA for scale in serving.scales],
            frozen=serving.frozen,
            where=SEARCHED.get(noise),
        ),
    )


def shortlist(serving: Serving, backend: Backend, trunk: Trunk) -> Shortlist:
    """Score the parent; the tiny vocabulary is kept whole, so scores are exact."""
    states, targets = (
        final_states(serving.decoder, trunk, pause=lambda: None)[0],
        trunk.scored.targets,
    )
    return Shortlist(backend, states, serving.decoder.head, targets)


def alone(decoder: Decoder, prompt: tuple[int, ...], tokens: tuple[int, ...]) -> Tensor:
    """Score a continuation by a plain forward pass and the whole softmax."""
    ids = torch.tensor([[*prompt, *tokens]])
    rope = decoder.rope(torch.arange(ids.shape[1])[None])
    hidden = decoder.run(decoder.embed(ids), rope=rope, attend=causal)
    logprobs = decoder.logits(hidden)[0, len(prompt) - 1 : -1].log_softmax(dim=-1)
    return logprobs.gather(1, torch.tensor(tokens)[:, None])[:, 0]


def perturbed(serving: Serving, member: int, noise: Noise) -> Decoder:
    """Write one member's weights out, by the reference: base ± σ a bᵀ, or base ± σ E."""
    weights, reference = {}, open_backend("reference")
    for spec, scale in zip(serving.specs, serving.scales, strict=True):
        frozen, base = serving.frozen[spec.name], serving.base.model.get_parameter(spec.name)
        if noise == "full" or noise == "normal":
            drawn = MemberNoise(Address.of(77, spec.name), scale + SIGMA, noise, frozen)
            weights[spec.name] = reference.full_member(base, drawn, member)
            continue
        unit = scale + SIGMA
        if noise in SEARCHED:
            address, pair = Address.of(77, spec.name), member // 2
            if serving.specs[ADDRESSES.tensors[pair]] != spec:
                continue
            rows, columns = reference.chosen_factors(
                address, spec.shape, ADDRESSES.of([pair]), frozen=frozen
            )
            if noise == "directed":
                told, unit = LINES.of([pair]), unit - 6
                rows, columns = frozen.zeroed(told.rows, told.columns)
            rows = rows * (1 - 2 * (member % 2))
        else:
            rows, columns = rank1_factors(reference, spec, key=77, members=[member], frozen=frozen)
        signs = rows[0].float()[:, None] * columns[0].float()
        weights[spec.name] = base + signs * 2.0**unit
    return Decoder(with_weights(serving.base.model, weights))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("piece_tokens", [1, 40, 10_000])
def test_members_are_scored_as_if_alone(
    serving: Serving,
    backend: Backend,
    noise: Noise,
    piece_tokens: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Packed, shared and in pieces of any size, each member's scores are those of its weights."""
    monkeypatch.setattr(population, "PIECE_TOKENS", piece_tokens)
    scored = lay_out(PASSAGES)
    pauses: list[None] = []
    trunk = run_trunk(serving.decoder, scored, moving=2, pause=lambda: pauses.append(None))
    found = score(
        serving.decoder,
        trunk,
        members(serving, backend, noise),
        shortlist=shortlist(serving, backend, trunk),
        pause=lambda: pauses.append(None),
    )
    assert pauses
    for member in range(6):
        decoder = perturbed(serving, member, noise)
        for passage, places in zip(PASSAGES, scored.places, strict=True):
            for tokens, place in zip(passage.continuations, places, strict=True):
                wanted = alone(decoder, passage.prompt, tokens)
                torch.testing.assert_close(found[member, place], wanted, rtol=1e-4, atol=2e-4)


def test_a_passage_does_not_hear_its_neighbours(serving: Serving, backend: Backend) -> None:
    """What a passage scores does not depend on what is packed beside it."""
    group, scores = members(serving, backend), []
    for passages in (PASSAGES, PASSAGES[1:2]):
        trunk = run_trunk(serving.decoder, lay_out(passages), moving=2, pause=lambda: None)
        few = shortlist(serving, backend, trunk)
        scores.append(score(serving.decoder, trunk, group, shortlist=few, pause=lambda: None))
    place = lay_out(PASSAGES).places[1][0]
    torch.testing.assert_close(scores[0][:, place], scores[1], rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("passage", [Passage((), ((1,),)), Passage((1,), ((),)), Passage((1,), ())])
def test_nothing_to_score_is_refused(passage: Passage) -> None:
    """A passage needs a prompt and a token to score."""
    with pytest.raises(ValueError, match="needs a prompt"):
        lay_out([passage])
