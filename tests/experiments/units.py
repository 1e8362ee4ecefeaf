"""Which neurons refuse? Silences the first of several orders and measures what is lost.

Run: python -m tests.experiments.units   (five minutes on two cores; EXPERIMENTS, "Frozen units")
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kernels.model.forward import Decoder
from kernels.open import open_backend
from learner.population.members import Passage
from learner.population.scoring import logprobs
from learner.safety.asking import Questions, Subject
from learner.safety.prompts import load_prompts
from learner.safety.units.measured import Scores
from learner.safety.units.unit_map import load_unit_map
from learner.settings import LearnerSettings
from streams.model.open import load_base
from streams.settings import ModelSettings
from tests.learner.silenced import silenced

SETTINGS = LearnerSettings()
Order = NDArray[np.intp]


def nothing() -> None:
    """No pace."""


def orders(scores: Scores) -> dict[str, Order]:
    """Return orders of all neurons, by their worst rank over the calibration sets."""
    safety, utility = scores[:, 0].reshape(len(scores), -1), scores[:, 1].reshape(len(scores), -1)
    random = np.random.default_rng(0).permutation(safety.shape[1])
    return {
        "exclusive I_S − I_U": _by_worst_rank(safety - utility),
        "useful I_U − I_S": _by_worst_rank(utility - safety),
        "complex I_S + I_U": _by_worst_rank(safety + utility),
        "redundant −(I_S + I_U)": _by_worst_rank(-safety - utility),
        "random": random,
    }


def _by_worst_rank(scores: NDArray[np.int32]) -> Order:
    ranks = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1, kind="stable")
    return np.argsort(ranks.max(axis=0), kind="stable")


def main() -> None:
    """Print, for each order and number of neurons, what the model still does without them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".quickset"), help="keeps the scores")
    parser.add_argument("--counts", type=int, nargs="*", default=[100, 300, 600])
    given = parser.parse_args()
    base, backend = load_base(ModelSettings()), open_backend("cpu")
    measured = load_unit_map(base, SETTINGS, given.home, nothing, backend=backend).measured
    assert measured is not None  # something is to be frozen
    questions = Questions(
        base, load_prompts("gate"), count=12, max_tokens=24, backend=backend, pause=nothing
    )
    replies = [
        Passage(tuple(prompt), (tuple(reply),))
        for prompt, reply in zip(
            questions.benign, questions.replies(base.decoder, questions.benign), strict=True
        )
    ]

    def show(name: str, decoder: Decoder) -> None:
        found = logprobs(decoder, replies, backend=backend, pause=nothing)
        useful = sum(float(each.mean()) for (each,) in found) / len(found)
        odds = float(Subject(questions, decoder).odds.mean())
        print(f"{name:32} {odds:+8.2f} {useful:+8.2f}", flush=True)

    print(f"{'silenced':32} {'refusal':>8} {'useful':>8}   nats (log-odds; a token)")
    show("nothing", base.decoder)
    for count in given.counts:
        for name, order in orders(measured.neurons).items():
            show(f"{count} {name}", silenced(base, order[:count].tolist()))


if __name__ == "__main__":
    main()
