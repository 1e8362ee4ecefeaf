"""Holds kinds of noise against each other: what is learned, and what else moves.

Run: python -m tests.experiments.screened --generations 8 --seeds 0 1 2
For each preference, seed and kind of noise a line of generations on six lessons each, by the
learner's own stages, nothing frozen. Every step is as long as its measured pairs say that it takes
for the same gain. Prints, half-way and at the end: the gain in log-probability of held-out
rewrites, each token by its news; the rise of the negative log-likelihood of plain text; the length
of the last step relative to the weights that it moves; seconds of processor a generation.
"""

import argparse
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch

from deploy.demo.user import load_prompts
from kernels.contract import Backend
from kernels.model.decode import greedy
from kernels.model.forward import Decoder
from kernels.open import open_backend
from kernels.version.master import step_log2
from learner.batch.lesson import Lesson
from learner.batch.plan import generation_key
from learner.batch.rewriting.placements import with_hint
from learner.fitness import fitness
from learner.fitness.evaluate import LocalEvaluator, perturb
from learner.fitness.news import news
from learner.fitness.reference import refer
from learner.population.directed import direct
from learner.population.members import Passage
from learner.population.noise import Where
from learner.population.scoring import logprobs
from learner.population.screen import screen
from learner.safety.untaught import Untaught
from learner.serving import Serving
from learner.settings import LearnerSettings
from learner.update import strategies
from learner.update.candidate import draft
from streams.model.open import BaseModel, load_base
from streams.records import Mask, Message, Recipe
from streams.settings import ModelSettings

WISHES: Final = (
    "Answer in one short sentence.",
    "Start with the words: Dear Ada,",
    "Please answer in German.",
)
KINDS: Final = {
    "isotropic": LearnerSettings(noise="rank1", pairs=32),
    "screened": LearnerSettings(noise="screened", pairs=64),
    "directed": LearnerSettings(noise="directed"),
}
BATCH: Final = 6
TEXT: Final = Path(__file__).parents[2] / "docs/FORGETTING.md"  # plain, and about nothing taught


def nothing() -> None:
    """No pace."""


@dataclass(frozen=True)
class Course:
    """What a wish teaches, and what is measured of it."""

    base: BaseModel
    backend: Backend
    training: Sequence[Lesson]
    held_out: Sequence[Lesson]
    text: Passage
    untaught: Untaught

    @staticmethod
    def of(base: BaseModel, backend: Backend, wish: str, args: argparse.Namespace) -> "Course":
        """Let the base rewrite its replies as it is told."""
        prompts = load_prompts()
        chosen = [*prompts.training[: args.training], *prompts.test[: args.held_out]]
        asked, told = (
            [tuple(base.render(with_hint([Message(role="user", content=p)], h))) for p in chosen]
            for h in ("", wish)
        )
        targets = [
            tuple(target)
            for target in greedy(
                base.decoder, told, max_tokens=args.tokens, stop_ids=base.stop_ids, pause=nothing
            )
        ]
        scores = [
            [tuple(own.tolist()) for (own,) in logprobs(
                base.decoder, [Passage(p, (t,)) for p, t in zip(where, targets, strict=True)],
                backend=backend, pause=nothing,
            )]
            for where in (told, asked)
        ]  # fmt: skip
        lessons = [
            Lesson(str(place), 1 / BATCH, -1, 1.0, prompt, target, (), target=target,
                   teacher=teacher, news=news(teacher, before))
            for place, (prompt, target, teacher, before) in enumerate(
                zip(asked, targets, *scores, strict=True)
            )
        ]  # fmt: skip
        ids = tuple(base.tokenizer(TEXT.read_text()[:6000])["input_ids"][: args.text])
        text = Passage(ids[:1], (ids[1:],))
        untaught = Untaught(base, backend=backend)
        return Course(
            base, backend, lessons[: args.training], lessons[args.training :], text, untaught
        )

    def measure(self, decoder: Decoder) -> tuple[float, float]:
        """Return the held-out log-probability by news, and the plain text's negative one, nats."""
        passages = [*(lesson.passage for lesson in self.held_out), self.text]
        found = [own for (own,) in logprobs(
            decoder, passages, backend=self.backend, pause=nothing
        )]  # fmt: skip
        gains = [
            float((own * torch.tensor(lesson.news)).mean())
            for own, lesson in zip(found, self.held_out, strict=False)
        ]
        return sum(gains) / len(gains), -float(found[-1].mean())


def run(course: Course, kind: str, seed: int, args: argparse.Namespace) -> None:
    """Run one line of generations and print how it fares."""
    settings = KINDS[kind].model_copy(update={"sigma_log2": args.sigma_log2, "seed": seed})
    layers, modules = settings.moving(course.base.decoder.num_layers)
    mask = Mask(base=course.base.name, neurons={}, groups={})
    serving = Serving(course.base, course.backend, mask, layers=layers, modules=modules)
    draw, chain = random.Random(seed), list[Recipe]()
    gain_before, nll_before = course.measure(serving.decoder)
    spent_s = 0.0
    for number in range(1, args.generations + 1):
        began_s = time.process_time()
        lessons = draw.sample(list(course.training), BATCH)
        chain.append(_generation(course, serving, lessons, settings, number, args.gain))
        before = serving.decoder
        serving.follow(chain[-1].version, chain)
        spent_s += time.process_time() - began_s
        if number in (args.generations // 2, args.generations):
            gain, nll = course.measure(serving.decoder)
            print(
                f"{kind:10} seed {seed} after {number}: news {gain - gain_before:+.2f}, "
                f"text {nll - nll_before:+.3f}, step {_moved(serving, before):.4f}, "
                f"recipe {len(chain[-1].model_dump_json())} bytes, "
                f"{spent_s / number:.1f} s of processor a generation",
                flush=True,
            )


def _generation(
    course: Course,
    serving: Serving,
    lessons: Sequence[Lesson],
    settings: LearnerSettings,
    number: int,
    goal: float,
) -> Recipe:
    """Score a population, and make the child whose first-order gain is the goal."""
    backend, name = course.backend, generation_key(settings.seed, "main", number, serving.name)
    key = int(name, 16)
    reference = refer(serving, lessons, settings, backend=backend, pause=nothing)
    pulls = reference.pulls(pause=nothing)
    perturbation = perturb(serving, settings, key, backend=backend)
    where: Where | None = None
    if settings.noise == "screened":
        where = screen(serving.decoder, pulls, perturbation, pause=nothing)
    elif settings.noise == "directed":
        spared = course.untaught.spared(settings, pause=nothing)
        where = direct(serving.decoder, pulls, perturbation, pause=nothing, spared=spared)
    table = LocalEvaluator(backend, settings).evaluate(
        reference, key, range(settings.pairs), pause=nothing, where=where
    )
    members = fitness.combined(reference.lessons, table)
    es = partial(
        strategies.es,
        members,
        sigma_log2=settings.sigma_log2,
        quantum_log2=step_log2(settings.noise),
        ranked=settings.noise != "directed",
    )
    one = es(step=1.0)
    slopes = (members[0::2] - members[1::2]) / 2  # along σ E of each pair
    foreseen = float(np.asarray(one.coefficients) / strategies.UNIT @ slopes) / settings.pairs
    update = es(step=goal / foreseen)
    described = draft(
        serving, name, update, sigma_log2=settings.sigma_log2, noise=settings.noise,
        where=where,
    )  # fmt: skip
    return serving.child(described).recipe


def _moved(serving: Serving, before: Decoder) -> float:
    """Return the root of Σ (|ΔW| / |W|)² over the tensors that move."""
    total = 0.0
    for spec in serving.specs:
        now, was = (each.model.get_parameter(spec.name) for each in (serving.decoder, before))
        total += float((now - was).norm() / was.norm()) ** 2
    return math.sqrt(total)


def main() -> None:
    """Run every preference, seed and kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--wishes", nargs="*", default=WISHES)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS)
    parser.add_argument("--gain", type=float, default=0.25, help="nats a generation, foreseen")
    parser.add_argument("--sigma-log2", type=int, default=-4)
    parser.add_argument("--training", type=int, default=18)
    parser.add_argument("--held-out", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--text", type=int, default=900, help="tokens of plain text")
    args = parser.parse_args()
    base, backend = load_base(ModelSettings()), open_backend("cpu")
    for wish in args.wishes:
        print(f"\n{wish}", flush=True)
        course = Course.of(base, backend, wish, args)
        for seed in args.seeds:
            for kind in args.kinds:
                run(course, kind, seed, args)


if __name__ == "__main__":
    main()
