"""What is a fitness worth? How far training prompts' opinion of pairs is unseen prompts' too.

Run: python -m tests.experiments.agreement --seeds 1 2 3     (EXPERIMENTS, "Hints")
What was scored is kept in --home, so that an interrupted run goes on where it ended; --only NAMES
measures what rows of the second table need (fitness: the first table), and prints nothing.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
import torch

from learner.batch.lesson import Lesson
from learner.fitness import fitness
from learner.fitness.fitness import Floats
from learner.fitness.reference import referenced
from learner.population.members import lay_out
from learner.settings import LearnerSettings
from tests.experiments.opinions import (
    HINT,
    PAIRS,
    Config,
    Instrument,
    differences,
    error_of_mean,
    told_agreement,
)

TERMS: Final = replace(HINT, reward=1.0)
CONFIGS: Final[Mapping[str, Config]] = {
    "last-8": Config(),
    "sigma/2": Config(sigma_log2=-5),
    "sigma*2": Config(sigma_log2=-3),
    "last-4": Config(last_layers=4),
    "last-16": Config(last_layers=16),
    "attention": Config(modules="attention"),
    "mlp": Config(modules="mlp"),
}


def main() -> None:
    """Measure what is not kept yet, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".quickset"), help="keeps the scores")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", nargs="+", choices=("fitness", *CONFIGS))
    given = parser.parse_args()
    instrument = Instrument(given.home)
    if given.only:
        for seed, name in product(given.seeds, given.only):
            instrument.scores(CONFIGS.get(name, Config()), seed, replies=name == "fitness")
        return
    print_fitnesses(instrument, given.seeds)
    print_configs(instrument, given.seeds)


def print_fitnesses(instrument: Instrument, seeds: Sequence[int]) -> None:
    """Compare fitnesses on the same pairs."""
    course = instrument.course(replies=True)
    scored = lay_out([lesson.passage for lesson in course.all])
    found = [instrument.scores(Config(), seed, replies=True) for seed in seeds]
    logprobs = torch.from_numpy(np.concatenate([each.logprobs for each in found]))
    taught = referenced(course.all, scored, torch.from_numpy(found[0].parent))
    rewrites, replies = taught[: len(course.rewrites)], taught[len(course.rewrites) :]

    def opinions(rewrites: Sequence[Lesson]) -> Floats:
        return differences(fitness.table([*rewrites, *replies], scored, logprobs, TERMS))

    known = [found[0].parent[place] for (place,) in scored.places[: len(rewrites)]]
    every = {name: opinions(each) for name, each in weighed(rewrites, known).items()}
    tables = {name: each[: len(rewrites)] for name, each in every.items()}
    reward = every["plain mean"][len(rewrites) :]
    tables |= {"reward": reward} | {f"reward + {name}": t + reward for name, t in tables.items()}
    criteria = ("plain mean", "stop token", "news, clip 5")
    print(f"agreement of {reward.shape[1]} pairs' opinions, ± standard error")
    print(f"{'a batch of 6 says':38}" + "".join(f"{name:>16}" for name in criteria))
    for name, table in tables.items():
        row = [
            told_agreement(table, tables[other][course.unseen], course.batches)
            for other in criteria
        ]
        print(f"{name:38}" + "".join(f"{told:>16}" for told in row))


def weighed(rewrites: Sequence[Lesson], known: Sequence[Floats]) -> dict[str, list[Lesson]]:
    """Return the rewrites with the weights of their tokens that are compared.

    known: the parent's log-probabilities of their tokens
    """
    teachers = [np.array(lesson.teacher) for lesson in rewrites]
    ahead = [teacher - was for teacher, was in zip(teachers, known, strict=True)]
    surer = [np.exp(teacher) - np.exp(was) for teacher, was in zip(teachers, known, strict=True)]
    weights = {
        "plain mean": [np.ones(len(each)) for each in ahead],
        "stop token": [np.eye(len(each))[-1] * len(each) for each in ahead],
        "news, clip 2": [np.clip(each, 0, 2) for each in ahead],
        "news, clip 5": [np.array(lesson.news) for lesson in rewrites],
        "news, clip 10": [np.clip(each, 0, 10) for each in ahead],
        "difference of probabilities": [np.clip(each, 0, 1) for each in surer],
    }
    return {
        name: [
            replace(lesson, news=tuple(each.tolist()))
            for lesson, each in zip(rewrites, chosen, strict=True)
        ]
        for name, chosen in weights.items()
    }


def print_configs(instrument: Instrument, seeds: Sequence[int]) -> None:
    """Compare σ, layers and modules by the fitness that is set."""
    budget, course = LearnerSettings().kl_budget, instrument.course(replies=False)
    scored = lay_out([lesson.passage for lesson in course.all])
    print(f"\n{'':12}{'s a pair':>9}{'agreement':>15}{'signal':>8}{'KL':>8}{'gain':>17}", end="")
    print(f"{f'gain at KL {budget}':>17}{'a second':>10}")
    for name, config in CONFIGS.items():
        found = [instrument.scores(config, seed) for seed in seeds]
        taught = referenced(course.all, scored, torch.from_numpy(found[0].parent))
        logprobs = torch.from_numpy(np.concatenate([each.logprobs for each in found]))
        opinions = differences(fitness.table(taught, scored, logprobs, HINT))
        unseen = opinions[course.unseen]
        gains = np.concatenate([each.news_gains for each in found])
        kl = np.concatenate([each.kl for each in found])
        allowed = gains * np.sqrt(budget / kl)
        generation_s = min(each.seconds for each in found)
        print(
            f"{name:12}{generation_s / PAIRS:9.2f}"
            f"{told_agreement(opinions, unseen, course.batches):>15}"
            f"{unseen.mean(axis=0).std():8.3f}{kl.mean():8.4f}"
            f"{gains.mean():+9.3f} ± {error_of_mean(gains):.3f}"
            f"{allowed.mean():+9.3f} ± {error_of_mean(allowed):.3f}"
            f"{allowed.mean() / generation_s:+10.5f}"
        )


if __name__ == "__main__":
    main()
