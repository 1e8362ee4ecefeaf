"""Asks the gate of candidates that nobody has to fear; whatever it holds is held falsely.

Run: python -m tests.experiments.harmless --candidates 100
     python -m tests.experiments.harmless --learned
Of itself every candidate is a child of the base with random rank-1 signs in the last block's MLP,
of the size of a generation at full step; `--after 20` goes on behind the first twenty of a seed.
With `--learned` they are generations of the default settings that learn harmless wishes in sequence
(`--wishes`) from the base's own rewrites: each is held against the version before it, and serves
when it passes. Of one that is held the replies are printed, for whoever judges whether the hold is
false, and what the base makes of them, plainly and told the wish. Prints how many are held, by
which probe, and how far each probe's number fell, in parts of its limit.
"""

import argparse
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from statistics import fmean, pstdev
from typing import Final

from kernels.contract import Backend
from kernels.model.forward import Decoder
from kernels.open import open_backend
from kernels.version.master import QUANTUM_LOG2
from learner.batch.placements import with_hint
from learner.batch.plan import generation_key
from learner.safety.anchors import Anchors
from learner.safety.asking import Subject
from learner.safety.gate import Gate, Report
from learner.safety.measuring import Measuring
from learner.safety.prompts import load_prompts
from learner.safety.units.unit_map import load_mask
from learner.serving import Child, Serving
from learner.settings import LearnerSettings
from learner.update.candidate import draft
from learner.update.generation import run_generation
from learner.update.strategies import UNIT, Update, quanta
from streams.model.open import BaseModel, load_base
from streams.records import Mask, Message, Recipe
from streams.settings import ModelSettings
from tests.experiments.manner import nothing
from tests.experiments.screened import BATCH, WISHES
from tests.experiments.sequence import SERVED, courses
from tests.measured import asking_only, bundled_measuring

GENERATIONS: Final = 6  # of each wish


def candidates(
    base: BaseModel, settings: LearnerSettings, backend: Backend, *, seed: int = 0, after: int = 0
) -> Iterator[Child]:
    """Yield children of the base that learned nothing, each of a generation's size.

    after: how many of the seed's candidates to leave out
    """
    layers, modules = settings.moving(base.decoder.num_layers)
    mask = Mask(base=base.name, neurons={}, groups={})
    serving = Serving(base, backend, mask, layers=layers, modules=modules)
    step = quanta(settings.step / settings.pairs, settings.sigma_log2, QUANTUM_LOG2)
    signs = random.Random(seed)
    for number in count(1):
        chosen = tuple(signs.choice((-UNIT, UNIT)) for _ in range(settings.pairs))
        key = f"{(seed << 32) + number:016x}"
        if number > after:
            yield serving.child(
                draft(serving, key, Update(chosen, step), sigma_log2=settings.sigma_log2)
            )


def of_learned(
    gate: Gate,
    measuring: Measuring,
    *,
    seed: int,
    turns: int = BATCH,
    wishes: Sequence[str] = WISHES,
) -> Iterator[Report]:
    """Yield what the gate says of generations that learn harmless wishes, one after another."""
    base, backend = measuring.base, measuring.backend
    layers, modules = SERVED.moving(base.decoder.num_layers)
    mask = load_mask(measuring, SERVED)
    serving = Serving(base, backend, mask, layers=layers, modules=modules)
    anchors = Anchors(base, backend=backend, moving=len(layers))
    draw, chain = random.Random(seed), list[Recipe]()
    places = count()
    for wish, course in zip(wishes, courses(base, backend, wishes), strict=True):
        for place in islice(places, GENERATIONS):
            lessons = [
                replace(lesson, weight=1 / turns)
                for lesson in draw.sample(list(course.training), turns)
            ]
            key = generation_key(seed, "main", place, serving.name)
            child = run_generation(
                key, lessons, serving, SERVED, backend=backend, pause=nothing, anchors=anchors
            ).child
            if child is None:
                continue
            report = gate.examine(
                child.decoder, serving.decoder, serving.name, candidate_name=child.recipe.version
            )
            if report.passed:
                chain.append(child.recipe)
                serving.follow(child.recipe.version, chain)
            else:
                print_replies(gate, base, child.decoder, wish)
            yield report


def print_replies(gate: Gate, base: BaseModel, decoder: Decoder, wish: str) -> None:
    """Print a version's replies to the gate's harmless prompts, and how likely they are."""
    questions, requests = gate.questions(), load_prompts("gate").benign
    subject = Subject(questions, decoder)
    for reply in (*subject.to_benign, *subject.to_plain):
        print(f"    {questions.text(reply)!r}")
    told = [
        base.render(with_hint([Message(role="user", content=request)], wish))
        for request in requests[: len(questions.plain)]
    ]
    plainly, hinted = (
        fmean(questions.mean_logprobs(prompts, subject.to_plain))
        for prompts in (questions.plain, told)
    )
    print(
        f"  to the base, the plain ones: {plainly:+.2f}, told the wish: {hinted:+.2f}", flush=True
    )


def main() -> None:
    """Ask the gate of each candidate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--after", type=int, default=0, help="how many of the seed to leave out")
    parser.add_argument("--learned", action="store_true", help="generations that learned wishes")
    parser.add_argument("--turns", type=int, default=BATCH, help="a generation, with --learned")
    parser.add_argument("--wishes", nargs="+", default=WISHES, help="in this order, with --learned")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--probes", nargs="*", default=[], help="none: those of the settings")
    given = parser.parse_args()
    # random candidates are of the size of a full step of 64 pairs, whatever the default is
    settings = LearnerSettings(cpu_share=1.0, pairs=12 if given.learned else 64)
    settings = asking_only(settings, given.probes)
    base, backend = load_base(ModelSettings(), plain_head=True), open_backend("cpu")
    measuring = bundled_measuring(base, backend, settings)
    gate = Gate(measuring, settings)
    if given.learned:
        reports = of_learned(
            gate, measuring, seed=given.seed, turns=given.turns, wishes=given.wishes
        )
    else:
        children = candidates(base, settings, backend, seed=given.seed, after=given.after)
        reports = (
            gate.examine(child.decoder, base.decoder, base.name)
            for child in islice(children, given.candidates)
        )
    told(reports, first=given.after + 1)


def told(reports: Iterable[Report], *, first: int) -> None:
    """Print each report, and what all of them come to.

    first: the number of the first one
    """
    held, asked, by_probe = 0, 0, Counter[str]()
    falls: dict[str, list[float]] = {}
    for number, report in enumerate(reports, start=first):
        held, asked = held + (not report.passed), asked + 1
        for row in report.findings:
            by_probe[row.probe] += row.outcome == "fail"
            fall = row.serving.value - row.candidate.value
            falls.setdefault(row.probe, []).append(fall / row.limit if row.limit else fall)
        print(f"{number}: {report.took_s:.1f} s, {report.reason}", flush=True)
    print(f"\nheld falsely: {held} of {asked}")
    print("probe       held  mean fall  spread  largest fall, parts of the limit")
    for name, found in falls.items():
        mean, spread = fmean(found), pstdev(found)
        print(f"{name:<10}  {by_probe[name]:4d}  {mean:+9.3f}  {spread:6.3f}  {max(found):+.3f}")


if __name__ == "__main__":
    main()
