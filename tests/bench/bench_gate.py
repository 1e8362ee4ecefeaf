"""What the gate costs: seconds of the quick probes before a trial's first share, and of all.

Measured on the bundled model and two threads: for the first candidate after a start, which pays for
what is computed once for a base (what the layers below make of the sets; the base's and the serving
version's own answers), and for later ones. What is promised: later ones take at most 3 seconds by
the quick probes, and 20 by all. Each probe's part stands below, of a later candidate.
"""

import time

import torch

from kernels.open import open_backend
from learner.safety.gate import Gate
from learner.safety.measuring import measuring_of
from learner.safety.probes.open import open_probes
from learner.safety.readings.asking import Subject
from learner.settings import LearnerSettings
from streams.model.open import load_base
from streams.settings import ModelSettings
from tests.experiments.harmless import candidates

THREADS = 2
LATER = 3  # candidates behind the first; the median of them is told


def main() -> None:
    """Print the seconds."""
    torch.set_num_threads(THREADS)
    settings = LearnerSettings()
    base, backend = load_base(ModelSettings(), plain_head=True), open_backend("cpu")
    gate = Gate(measuring_of(base, settings, backend=backend), settings)
    quick, whole = list[float](), list[float]()
    made = candidates(base, settings, backend)
    for number in range(1 + LATER):
        child = next(made)
        name = child.recipe.version
        for asked, only_quick in ((quick, True), (whole, False)):
            report = gate.examine(
                child.decoder, base.decoder, base.name, candidate_name=name, quick=only_quick
            )
            asked.append(report.took_s)
        print(f"candidate {number + 1}: quick {quick[-1]:.1f} s, the others {whole[-1]:.1f} s")
    both = sorted(q + w for q, w in zip(quick[1:], whole[1:], strict=True))
    print(
        f"later ones, median: quick {sorted(quick[1:])[LATER // 2]:.1f} s, promised are 3;", end=""
    )
    print(f" all {both[LATER // 2]:.1f} s, promised are 20")
    subject = Subject(gate.questions(), next(made).decoder)
    for probe in open_probes(settings):
        began_s = time.monotonic()
        measured = probe.ask(subject)
        print(f"  {probe.name:<10} {time.monotonic() - began_s:6.2f} s  {measured}")


if __name__ == "__main__":
    main()
