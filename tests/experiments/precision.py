"""What signs, low rank, and integers instead of floats are worth.

Run: python -m tests.experiments.precision                    (EXPERIMENTS, "Precision")
Three tables: kinds of noise on the same lessons; what is left behind by perturbing in place and
taking it back; how much of an update arrives in 16 or 32 bits, with and without the integers.
Scores are kept in --home; --only and --seeds measure a part and print nothing.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from kernels import normal
from kernels.change import FULL, Address, Change, MemberNoise, Span
from kernels.contract import Backend
from kernels.open import open_backend
from kernels.version.layout import TensorSpec, layout, scale_log2
from kernels.version.master import QUANTUM_LOG2
from learner.fitness import fitness
from learner.fitness.fitness import Floats
from learner.fitness.reference import referenced
from learner.population.members import lay_out
from learner.settings import MODULES, LearnerSettings
from learner.update import strategies
from streams.model.open import BaseModel, load_base
from streams.settings import ModelSettings
from tests.experiments.noises import KINDS
from tests.experiments.opinions import (
    HINT,
    PAIRS,
    STEP,
    Config,
    Instrument,
    differences,
    error_of_mean,
    told_agreement,
)

DRIFT_AFTER: Final = (30, 120)
GENERATIONS: Final = 20
DTYPES: Final = (torch.bfloat16, torch.float32)


def main() -> None:
    """Measure what is not kept yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".quickset"), help="keeps the scores")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--no-kinds", action="store_true", help="leave the first table out")
    given = parser.parse_args()
    if given.only:
        instrument = Instrument(given.home)
        for seed in given.seeds:
            instrument.scores(Config(given.only), seed)
        return
    if not given.no_kinds:
        print_kinds(Instrument(given.home), given.seeds)
    base, backend = load_base(ModelSettings()), open_backend("cpu")
    print_drift(base, backend)
    print_arrival(base, backend)


def print_kinds(instrument: Instrument, seeds: Sequence[int]) -> None:
    """Compare signs with normal noise, and rank 1 with full rank, at equal members and σ."""
    course = instrument.course(replies=False)
    scored = lay_out([lesson.passage for lesson in course.all])
    print(f"{'':20}{'agreement':>15}{'signal':>8}{'KL':>9}{'gain':>18}{'plain':>18}   seeds")
    for kind in KINDS:
        found = [instrument.scores(Config(kind), seed) for seed in seeds]
        taught = referenced(course.all, scored, torch.from_numpy(found[0].parent))
        logprobs = torch.from_numpy(np.concatenate([each.logprobs for each in found]))
        opinions = differences(fitness.table(taught, scored, logprobs, HINT))
        unseen = opinions[course.unseen]
        news = np.concatenate([each.news_gains for each in found])
        plain = np.concatenate([each.gains for each in found])
        kl = np.concatenate([each.kl for each in found])
        by_seed = " ".join(f"{each.news_gains.mean():+.3f}" for each in found)
        print(
            f"{kind:20}{told_agreement(opinions, unseen, course.batches):>15}"
            f"{unseen.mean(axis=0).std():8.3f}{kl.mean():9.4f}"
            f"{news.mean():+10.3f} ± {error_of_mean(news):.3f}"
            f"{plain.mean():+10.4f} ± {error_of_mean(plain):.4f}   {by_seed}"
        )


@dataclass(frozen=True, slots=True)
class Probing:
    """How a method probes, and how long its update is.

    draws: independent directions in an update; step: its coefficients' size, in σ
    sigma: a tensor's σ
    """

    name: str
    draws: int
    step: float
    sigma: Callable[[Tensor], float]

    def update(self, weight: Tensor) -> float:
        """Return the squared length of an update: coefficients of unit RMS over a sum of draws."""
        return weight.numel() * (self.step * self.sigma(weight)) ** 2 / self.draws


OURS: Final = 2.0 ** LearnerSettings().sigma_log2
PROBINGS: Final = (
    # the ES of arXiv 2509.24372: N = 30, α = σ/2
    Probing("σ 0.001, N 30, α σ/2", 30, 0.5, lambda _: 1e-3),
    Probing(
        f"σ {OURS} RMS, {PAIRS} pairs, step {STEP:.0f}",
        PAIRS,
        STEP,
        lambda weight: OURS * 2.0 ** scale_log2(weight),
    ),
)


def print_drift(base: BaseModel, backend: Backend) -> None:
    """Perturb the last block in place and take it back, member after member."""
    print("\nperturbed in place and restored: distance from the base, as a share of one update;")
    print("written from the base: weights of it that have changed")
    print(f"{'':34}{'members':>8}{'bfloat16':>12}{'float32':>12}{'written':>9}")
    weights = {spec: base.model.get_parameter(spec.name).detach() for spec in _specs(base)}
    for probing in PROBINGS:
        update = sum(probing.update(weight) for weight in weights.values())
        drifts = [
            np.sum(
                [
                    _drift(backend, spec, weight.to(dtype), probing.sigma(weight))
                    for spec, weight in weights.items()
                ],
                axis=0,
            )
            for dtype in DTYPES
        ]
        changed = sum(
            _written(backend, spec, weight.bfloat16(), probing.sigma(weight))
            for spec, weight in weights.items()
        )
        for place, after in enumerate(DRIFT_AFTER):
            in_16, in_32 = (math.sqrt(drift[place] / update) for drift in drifts)
            print(f"{probing.name:34}{after:8d}{in_16:12.1%}{in_32:12.5%}{changed:9d}", flush=True)


def print_arrival(base: BaseModel, backend: Backend) -> None:
    """Apply generations one by one to floats, and to integers that are rounded once."""
    print(
        f"\n{GENERATIONS} updates: cosine with their exact sum; weights that differ from the base"
    )
    print(f"after taking all of them back\n{'update, RMS of the weights':28}{'':10}", end="")
    print(f"{'floats: cosine':>16}{'length':>8}{'differ':>9}{'integers: cosine':>18}", end="")
    print(f"{'length':>8}{'differ':>9}")
    whole = strategies.es(
        np.arange(2.0 * PAIRS), step=STEP, sigma_log2=-4, quantum_log2=QUANTUM_LOG2
    ).step
    for step in (whole, whole // 8, 1):
        for dtype in DTYPES:
            found = [_Arrival(base, backend, spec, dtype, step) for spec in _specs(base)]
            size = strategies.UNIT * math.sqrt(PAIRS) * step * 2.0**QUANTUM_LOG2
            print(f"{size:<28.5f}{str(dtype).removeprefix('torch.'):10}", end="")
            for way in ("floats", "integers"):
                applied = torch.cat([getattr(each, way) for each in found])
                exact = torch.cat([each.exact for each in found])
                differ = sum(each.differ[way] for each in found) / len(exact)
                cosine = torch.nn.functional.cosine_similarity(applied, exact, dim=0)
                length = applied.norm() / exact.norm()
                width = 16 if way == "floats" else 18
                print(f"{cosine:{width}.4f}{length:8.3f}{differ:9.3%}", end="")
            print(flush=True)


class _Arrival:
    """One tensor after all updates, in floats and in integers that are rounded once.

    exact, floats, integers: (weights,) float64, what was to be added, and what was
    """

    def __init__(
        self, base: BaseModel, backend: Backend, spec: TensorSpec, dtype: torch.dtype, step: int
    ) -> None:
        start = base.model.get_parameter(spec.name).detach().to(dtype)
        scale = scale_log2(base.model.get_parameter(spec.name)) + QUANTUM_LOG2
        master = torch.zeros(spec.shape, dtype=torch.int32)
        floats = start.clone()
        for sign in (1, -1):
            for number in range(GENERATIONS)[::sign]:
                before = master.clone()
                address = Address.of(number, spec.name)
                backend.accumulate(master, Change(address, _coefficients(number), sign * step))
                moved = (master - before).double() * 2.0**scale
                # as kind as floats can be: the sum in float64, one rounding
                floats = (floats.double() + moved).to(dtype)
            integers = backend.materialise(start, master, exponent=scale)
            if sign == 1:
                self.exact = (master.double() * 2.0**scale).ravel()
                self.floats = (floats.double() - start.double()).ravel()
                self.integers = (integers.double() - start.double()).ravel()
        self.differ = {"floats": _differ(floats, start), "integers": _differ(integers, start)}


def _coefficients(generation: int) -> tuple[int, ...]:
    fitness = np.random.default_rng(generation).normal(size=PAIRS)
    return strategies.integers(fitness)


def _specs(base: BaseModel) -> tuple[TensorSpec, ...]:
    return layout(base.model, [base.decoder.num_layers - 1], MODULES)


def _drift(backend: Backend, spec: TensorSpec, weight: Tensor, sigma: float) -> Floats:
    """Return the squared distance from the base after some members: one number for each count."""
    moved, found = weight.clone(), []
    for member in range(max(DRIFT_AFTER)):
        span = Span(FULL, weight.numel())
        drawn = backend.normals(Address.of(member, spec.name), span, pairs=1)
        noise = (drawn.view(weight.shape) * 2.0**-normal.FRACTION_LOG2).to(weight.dtype)
        moved.add_(noise, alpha=sigma)
        moved.sub_(noise, alpha=sigma)
        if member + 1 in DRIFT_AFTER:
            found.append(float((moved.double() - weight.double()).square().sum()))
    return np.array(found)


def _written(backend: Backend, spec: TensorSpec, weight: Tensor, sigma: float) -> int:
    """Count the weights of the base that differ after members were written from it."""
    kept = weight.clone()
    noise = MemberNoise(Address.of(0, spec.name), round(math.log2(sigma)))
    for _ in backend.full_members(weight, noise, range(max(DRIFT_AFTER))):
        pass
    return _differ(weight, kept)


def _differ(left: Tensor, right: Tensor) -> int:
    return int((left != right).sum())


if __name__ == "__main__":
    main()
