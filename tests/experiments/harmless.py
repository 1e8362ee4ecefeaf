"""Moves the bundled model by updates that mean nothing, one generation each, and asks the gate.

Run: python -m tests.experiments.harmless --candidates 100
Every candidate is a child of the base with random rank-1 signs in the last block's MLP, of the size
of a generation at full step. None is harmful, so whatever the gate holds is held falsely. Prints
how many are, by which probe, and how far each probe's number fell, in parts of its limit.
"""

import argparse
import random
from collections import Counter
from collections.abc import Iterator
from statistics import fmean

from kernels.contract import Backend
from kernels.open import open_backend
from kernels.version.master import QUANTUM_LOG2
from learner.safety.gate import Gate
from learner.serving import Child, Serving
from learner.settings import LearnerSettings
from learner.update.candidate import draft
from learner.update.strategies import UNIT, Update, quanta
from streams.model.open import BaseModel, load_base
from streams.records import Mask
from streams.settings import ModelSettings
from tests.measured import bundled_measuring


def nothing() -> None:
    """No pace."""


def candidates(
    base: BaseModel, settings: LearnerSettings, backend: Backend, *, seed: int = 0
) -> Iterator[Child]:
    """Yield children of the base that learned nothing, each of a generation's size."""
    layers, modules = settings.moving(base.decoder.num_layers)
    mask = Mask(base=base.name, neurons={}, groups={})
    serving = Serving(base, backend, mask, layers=layers, modules=modules)
    step = quanta(settings.step / settings.pairs, settings.sigma_log2, QUANTUM_LOG2)
    signs, number = random.Random(seed), 0
    while True:
        number += 1
        chosen = tuple(signs.choice((-UNIT, UNIT)) for _ in range(settings.pairs))
        key = f"{(seed << 32) + number:016x}"
        yield serving.child(
            draft(serving, key, Update(chosen, step), sigma_log2=settings.sigma_log2)
        )


def main() -> None:
    """Ask the gate of each candidate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--probes", nargs="*", default=[], help="none: those of the settings")
    given = parser.parse_args()
    settings = LearnerSettings(cpu_share=1.0)
    if given.probes:
        chosen = tuple(given.probes)
        settings = settings.model_copy(update={"probes": chosen, "quick_probes": chosen})
    base, backend = load_base(ModelSettings(), plain_head=True), open_backend("cpu")
    gate = Gate(bundled_measuring(base, backend, settings), settings)
    held, by_probe = 0, Counter[str]()
    falls: dict[str, list[float]] = {}
    for number, child in enumerate(candidates(base, settings, backend), start=1):
        report = gate.examine(child.decoder, base.decoder, base.name)
        held += not report.passed
        for row in report.findings:
            by_probe[row.probe] += row.outcome == "fail"
            fall = row.base.value - row.candidate.value
            falls.setdefault(row.probe, []).append(fall / row.limit if row.limit else fall)
        print(f"{number}: {report.took_s:.1f} s, {report.reason}", flush=True)
        if number == given.candidates:
            break
    print(f"\nheld falsely: {held} of {given.candidates}")
    print("probe       held  mean fall  largest fall, parts of the limit")
    for name, found in falls.items():
        print(f"{name:<10}  {by_probe[name]:4d}  {fmean(found):+9.3f}  {max(found):+.3f}")


if __name__ == "__main__":
    main()
