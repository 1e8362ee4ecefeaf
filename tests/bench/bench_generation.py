"""Scoring a population on judged turns, against the textbook order of ES on the same batch.

The textbook order (Salimans et al. 2017, alg. 2; Qiu et al. 2025): for each member perturb every
tensor in place with torch noise of its seed, run the whole model on the padded batch, score, and
restore by subtracting the same noise. Both score the same tokens: 8 judged turns, each with the
reply that was given and the hinted rewrite behind one prompt. The share of the peak counts only
the products that ours needs: the layers that move, and the kept tokens at scored positions.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.contract import Backend
from kernels.open import open_backend
from kernels.version.layout import layout, scale_log2
from learner.population.members import (
    Passage,
    Scored,
    final_states,
    lay_out,
    run_trunk,
    score,
)
from learner.population.noise import Perturbation
from learner.population.noises.open import open_population
from learner.population.shortlist import KEPT, Shortlist
from learner.settings import LearnerSettings
from streams.model.open import BaseModel, load_base
from streams.records import Message
from streams.settings import ModelSettings
from tests.bench.published import load_published

MEMBERS = (8, 32, 128)
ROUNDS = 3  # of the textbook order, one member each, between ours: the rest cost the same
TARGET = 4.0
QUESTIONS = (
    "What is photosynthesis?", "How do I boil an egg?", "Why is the sky blue?",
    "Who was Marie Curie?", "What does a compiler do?", "Tell me about the river Rhine.",
    "What is a black hole?", "How does a bicycle stay upright?",
)  # fmt: skip
REPLY_TOKENS = (64, 48, 96, 30, 80, 57, 72, 41)
REWRITE_TOKENS = (28, 16, 31, 24, 19, 35, 22, 27)


@dataclass(frozen=True, slots=True)
class Ours:
    """What our order needs."""

    base: BaseModel
    backend: Backend
    settings: LearnerSettings

    def score(self, passages: Sequence[Passage], members: int) -> Tensor:
        """Lay out, run the trunk, draw the members, score: everything that a generation pays."""
        decoder, settings = self.base.decoder, self.settings
        first = decoder.num_layers - settings.last_layers
        specs = layout(self.base.model, range(first, decoder.num_layers), settings.modules)
        weights = [self.base.model.get_parameter(spec.name) for spec in specs]
        perturbation = Perturbation(
            self.backend,
            specs,
            key=1,
            pairs=members // 2,
            sigmas_log2=[scale_log2(weight) + settings.sigma_log2 for weight in weights],
            frozen={},
        )
        population = open_population(settings.noise, perturbation)
        trunk = run_trunk(decoder, lay_out(passages), moving=settings.last_layers, pause=_go_on)
        states, targets = final_states(decoder, trunk, pause=_go_on)[0], trunk.scored.targets
        shortlist = Shortlist(self.backend, states, decoder.head, targets)
        return score(decoder, trunk, population, shortlist=shortlist, pause=_go_on)

    def flops_per_member(self, scored: Scored) -> float:
        """Count the multiplications and additions that one member needs."""
        model, settings = self.base.model, self.settings
        first = self.base.decoder.num_layers - settings.last_layers
        specs = layout(model, range(first, self.base.decoder.num_layers), settings.modules)
        moving = sum(spec.shape[0] * spec.shape[1] for spec in specs)
        rows, kept = scored.packed.ids.shape[1], KEPT * self.base.decoder.width
        return 2.0 * (moving * rows + kept * len(scored.targets))


class Textbook:
    """The textbook order, on its own copy of the model."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        """Pad every prompt with each of its continuations to one batch."""
        self._model: Any = load_published()
        texts = [(p.prompt, tokens) for p in passages for tokens in p.continuations]
        longest = max(len(prompt) + len(tokens) for prompt, tokens in texts)
        self._ids = torch.zeros(len(texts), longest, dtype=torch.int64)
        self._scored = torch.zeros(len(texts), longest - 1, dtype=torch.bool)
        for row, (prompt, tokens) in enumerate(texts):
            self._ids[row, : len(prompt) + len(tokens)] = torch.tensor([*prompt, *tokens])
            self._scored[row, len(prompt) - 1 : len(prompt) + len(tokens) - 1] = True

    @property
    def padded_tokens(self) -> int:
        """How many positions a member computes."""
        return self._ids.numel()

    @torch.inference_mode()
    def score(self) -> Tensor:
        """Run the whole model: (scored,) log-probabilities."""
        logits = self._model(self._ids, use_cache=False).logits[:, :-1][self._scored]
        targets = self._ids[:, 1:][self._scored]
        return -F.cross_entropy(logits, targets, reduction="none")

    @torch.inference_mode()
    def member(self, seed: int, sigma: float = 1e-3) -> Tensor:
        """Perturb, score, restore."""
        self._move(seed, sigma)
        found = self.score()
        self._move(seed, -sigma)
        return found

    def _move(self, seed: int, sigma: float) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in self._model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise, alpha=sigma)


def main() -> None:
    """Measure both orders in turn, and print the table."""
    base = load_base(ModelSettings(), plain_head=True)
    ours = Ours(base, open_backend("cpu"), LearnerSettings(noise="rank1"))
    passages = judged_turns(base)
    textbook = Textbook(passages)
    check(ours, textbook, passages)
    peaks, theirs_s = [peak_gflops()], []
    for seed in range(ROUNDS - 1):
        theirs_s.append(seconds(partial(textbook.member, seed)))
    ours_s = {number: seconds(partial(ours.score, passages, number)) for number in MEMBERS}
    theirs_s.append(seconds(partial(textbook.member, ROUNDS)))
    peaks.append(peak_gflops())
    report(ours, textbook, lay_out(passages), ours_s, statistics.median(theirs_s), max(peaks))


def judged_turns(base: BaseModel) -> list[Passage]:
    """Return 8 turns: a chat prompt, a reply and a rewrite. Which tokens costs nothing to know."""
    chance = torch.Generator().manual_seed(0)

    def tokens(count: int) -> tuple[int, ...]:
        drawn = torch.randint(100, base.decoder.vocabulary, (count,), generator=chance)
        return tuple(drawn.tolist())

    return [
        Passage(
            tuple(base.render([Message(role="user", content=question)])), (tokens(a), tokens(b))
        )
        for question, a, b in zip(QUESTIONS, REPLY_TOKENS, REWRITE_TOKENS, strict=True)
    ]


def check(ours: Ours, textbook: Textbook, passages: Sequence[Passage]) -> None:
    """Prove that both orders score the same thing: the unperturbed model, token by token.

    raises: AssertionError, and there is nothing to compare
    """
    decoder = ours.base.decoder
    trunk = run_trunk(decoder, lay_out(passages), moving=ours.settings.last_layers, pause=_go_on)
    states, targets = final_states(decoder, trunk, pause=_go_on)[0], trunk.scored.targets
    found = Shortlist(ours.backend, states, decoder.head, targets).parent
    torch.testing.assert_close(found, textbook.score(), rtol=1e-3, atol=1e-3)


def report(
    ours: Ours,
    textbook: Textbook,
    scored: Scored,
    ours_s: dict[int, float],
    theirs_s: float,
    peak: float,
) -> None:
    """Print the table."""
    rows, tokens = scored.packed.ids.shape[1], len(scored.targets)
    print(
        f"{len(QUESTIONS)} judged turns: {tokens} scored tokens; {rows} positions packed, "
        f"{textbook.padded_tokens} padded; {torch.get_num_threads()} threads"
    )
    print(f"{'':<34}{'s in all':>10}{'s a member':>12}{'textbook ×':>12}{'of peak':>9}")
    print(f"{'textbook order (one member)':<34}{theirs_s:>10.1f}{theirs_s:>12.2f}{1.0:>12.1f}")
    for number, took_s in ours_s.items():
        share = ours.flops_per_member(scored) * number / took_s / 1e9 / peak
        label = f"ours, {number} members"
        each = took_s / number
        print(f"{label:<34}{took_s:>10.1f}{each:>12.2f}{theirs_s / each:>12.1f}{share:>9.0%}")
    for few, many in pairwise(ours_s):
        more_s = (ours_s[many] - ours_s[few]) / (many - few)
        print(f"each more from {few} to {many}: {more_s:.3f} s")
    worst = min(theirs_s * number / took_s for number, took_s in ours_s.items())
    print(f"peak of a matrix product, measured here: {peak:.0f} GFLOP/s")
    print(f"target ≥ {TARGET:.0f}: {'met' if worst >= TARGET else 'MISSED'} ({worst:.1f})")


def peak_gflops() -> float:
    """Return the best rate of a large matrix product in several tries."""
    size = 2048
    a, b = torch.randn(size, size), torch.randn(size, size)
    return max(2 * size**3 / seconds(lambda: a @ b) / 1e9 for _ in range(8))


def seconds(work: Callable[[], object]) -> float:
    """Time one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _go_on() -> None:
    pass


if __name__ == "__main__":
    main()
