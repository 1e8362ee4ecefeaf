"""Wears a version down by updates that mean nothing, and prints what the gate sees of it.

Run: python -m tests.experiments.drift --updates 48
Every update has random coefficients of the size that a generation's have, at full step: the part of
learning that is noise. Chooses the gate's tolerances: what it holds should be less than this does.
"""

import argparse
import random

from kernels.open import open_backend
from kernels.version.master import QUANTUM_LOG2
from learner.safety.probes.open import open_probes
from learner.safety.prompts import load_prompts
from learner.safety.readings.asking import Questions, Subject
from learner.safety.units.unit_map import load_mask
from learner.serving import Serving
from learner.settings import LearnerSettings
from learner.update.candidate import draft
from learner.update.strategies import UNIT, Update, quanta
from streams.model.open import load_base
from streams.records import Recipe
from streams.settings import ModelSettings
from tests.measured import bundled_measuring


def nothing() -> None:
    """No pace."""


def main() -> None:
    """Update blindly, and ask now and then."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=48)
    parser.add_argument("--ask-every", type=int, default=8)
    parser.add_argument("--last-layers", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--step", type=float, default=3.0)
    given = parser.parse_args()
    settings = LearnerSettings(last_layers=given.last_layers, pairs=given.pairs, step=given.step)
    base, backend = load_base(ModelSettings()), open_backend("cpu")
    measuring = bundled_measuring(base, backend, settings)
    questions = Questions(
        measuring,
        load_prompts("gate"),
        count=settings.gate_prompts,
        max_tokens=settings.gate_tokens,
    )
    mask = load_mask(measuring, settings)
    layers = range(base.decoder.num_layers - given.last_layers, base.decoder.num_layers)
    serving = Serving(base, backend, mask, layers=layers, modules=settings.modules)
    step = quanta(given.step / given.pairs, settings.sigma_log2, QUANTUM_LOG2)
    signs, chain = random.Random(0), list[Recipe]()
    probes = open_probes(settings)
    print("updates  " + "  ".join(probe.name for probe in probes), flush=True)
    for number in range(given.updates + 1):
        if number:
            update = Update(tuple(signs.choice((-UNIT, UNIT)) for _ in range(given.pairs)), step)
            described = draft(serving, f"{number:016x}", update, sigma_log2=settings.sigma_log2)
            chain.append(serving.child(described).recipe)
            serving.follow(chain[-1].version, chain)
        if number % given.ask_every == 0:
            subject = Subject(questions, serving.decoder)
            seen = "  ".join(str(probe.ask(subject)) for probe in probes)
            print(f"{number:7d}  {seen}", flush=True)


if __name__ == "__main__":
    main()
