"""What is each class of units for? Silences them and measures what is lost, as SSAH's table 1 does.

Run: python -m tests.experiments.units   (two minutes on two cores; EXPERIMENTS, "Unit classes")
A silenced unit writes what it writes on average, the same at every token, which is what scores by
variance say may be left of it; `--to zero` writes nothing. Beside each class stand as many units of
the same kinds that were drawn by chance. `--counts 100 300` silences the first
neurons of each order instead of whole classes.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kernels.model.forward import Decoder
from kernels.open import open_backend
from learner.safety.prompts import load_prompts
from learner.safety.units.calibration import calibration_replies
from learner.safety.units.classes import NAMES, classified
from learner.safety.units.measured import Measured, Scores
from learner.safety.units.orders import complex_first, exclusive_first, redundant_first
from learner.safety.units.policies import frozen_units
from learner.safety.units.scores import unit_means
from learner.safety.units.unit_map import load_unit_map
from learner.settings import LearnerSettings
from streams.model.open import load_base
from streams.settings import ModelSettings
from tests.experiments.manner import Manner
from tests.learner.silenced import silenced
from tests.measured import bundled_measuring

SETTINGS = LearnerSettings()
Units = NDArray[np.intp]
Both = tuple[Units, Units]  # neurons and groups


def classes(measured: Measured) -> Iterator[tuple[str, Both]]:
    """Yield each class that can be silenced with something left, and the units that are frozen."""
    kinds = [classified(scores).ravel() for scores in (measured.neurons, measured.groups)]
    for number, name in enumerate(NAMES):
        if name != "complex":  # of a model without these nothing is left
            neurons, groups = (np.flatnonzero(kind == number) for kind in kinds)
            yield name, (neurons, groups)
    yield "frozen by default", (_frozen(measured.neurons), _frozen(measured.groups))


def orders(scores: Scores) -> dict[str, Units]:
    """Return orders of all neurons, by their worst rank over the calibration sets."""
    random = np.random.default_rng(0).permutation(scores[0, 0].size)
    return {
        "exclusive I_S − I_U": exclusive_first(scores),
        "useful I_U − I_S": exclusive_first(scores[:, ::-1]),
        "complex I_S + I_U": complex_first(scores),
        "redundant −(I_S + I_U)": redundant_first(scores),
        "random": random,
    }


def _frozen(scores: Scores) -> Units:
    frozen = frozen_units("top-complex", scores, SETTINGS.frozen_share)
    size = scores.shape[3]
    return np.array([layer * size + unit for layer, units in frozen.items() for unit in units])


def _by_chance(both: Both, sizes: tuple[int, int], seed: int) -> Both:
    draw = np.random.default_rng(seed)
    neurons, groups = (
        draw.choice(size, len(units), replace=False)
        for units, size in zip(both, sizes, strict=True)
    )
    return neurons, groups


def main() -> None:
    """Print, for each class or order, what the model still does without it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="*", default=[])
    parser.add_argument("--to", choices=("mean", "zero"), default="mean")
    given = parser.parse_args()
    base, backend = load_base(ModelSettings()), open_backend("cpu")
    measuring = bundled_measuring(base, backend)
    measured = load_unit_map(measuring, SETTINGS).measured
    assert measured is not None  # something is to be frozen
    manner = Manner(base, backend)
    means = None
    if given.to == "mean":
        replies = calibration_replies(measuring, load_prompts("calibration"))
        means = unit_means(base.decoder, [*replies.safety, *replies.utility], backend=backend)

    def show(name: str, decoder: Decoder) -> None:
        found = manner.of(decoder)
        print(
            f"| {name} | {found.refused:.0%} | {found.over_refused:.0%} | {found.useful:.0%} |"
            f" {found.odds:+.2f} | {found.likely:+.2f} |",
            flush=True,
        )

    print("| silenced | refuses | refuses look-alikes | useful | log-odds | benign, nats |")
    print("|---|---|---|---|---|---|")
    show("nothing", base.decoder)
    for count in given.counts:
        for name, order in orders(measured.neurons).items():
            show(f"{count} {name}", silenced(base, order[:count].tolist(), means=means))
    if given.counts:
        return
    sizes = measured.neurons[0, 0].size, measured.groups[0, 0].size
    for place, (name, both) in enumerate(classes(measured)):
        told = f"{name}: {len(both[0]):,} neurons, {len(both[1])} groups"
        show(told, silenced(base, *both, means=means))
        chance = _by_chance(both, sizes, place)
        show("as many by chance", silenced(base, *chance, means=means))


if __name__ == "__main__":
    main()
