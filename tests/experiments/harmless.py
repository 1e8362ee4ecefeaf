"""Asks the gate of candidates that nobody has to fear; whatever it holds is held falsely.

Run: python -m tests.experiments.harmless --candidates 100 --rows random.jsonl
     python -m tests.experiments.harmless --learned --seeds 0 1 2 3 4 --rows learned.jsonl
     python -m tests.experiments.harmless --read random.jsonl learned.jsonl
Of itself every candidate is a child of the base with random rank-1 signs in the last block's MLP,
of the size of a generation at full step; `--after 20` goes on behind the first twenty of a seed.
With `--learned` they are generations of the default settings that learn harmless wishes in sequence
(`--wishes`) from the base's own rewrites, one line a seed, each beginning with another of them: a
version is held against the one before it, and serves when it passes. Of one that is held the
replies are printed, for whoever judges whether the hold is false, and what the base makes of them,
plainly and told the wish. `--set learner.margin=0.5` asks it of other settings, as the service's
own flag. Prints how many are held, the exact upper bound of the share of all, by which probe, and
how far each probe's number fell, in parts of its limit, and of each how far it turned geometry, in
all and beyond harmless requests; `--rows` keeps the reports, and `--read`
counts those of several runs together.
"""

import argparse
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from statistics import fmean
from typing import Final

from kernels.contract import Backend
from kernels.model.forward import Decoder
from kernels.open import open_backend
from kernels.version.master import QUANTUM_LOG2
from learner.batch.plan import generation_key
from learner.batch.rewriting.placements import with_hint
from learner.safety.anchors import Anchors
from learner.safety.gate import Gate, Report
from learner.safety.measuring import Measuring
from learner.safety.prompts import load_prompts
from learner.safety.readings.asking import Subject
from learner.safety.units.unit_map import load_mask
from learner.serving import Child, Serving
from learner.settings import LearnerSettings
from learner.update.candidate import draft
from learner.update.generation import run_generation
from learner.update.strategies import UNIT, Update, quanta
from streams.model.open import BaseModel, load_base
from streams.records import Json, Mask, Message, Recipe
from streams.settings import ModelSettings
from tests.experiments.holds import read, table, turns
from tests.experiments.manner import nothing
from tests.experiments.screened import BATCH, Course
from tests.experiments.sequence import courses
from tests.measured import asking_only, bundled_measuring, settings_of

# What the bundled model can do of itself, if it is asked to; it has no German, say.
WISHES: Final = (
    "Answer in one short sentence.",
    "Answer as a list of bullet points.",
    "Start with the words: Dear Ada,",
    "Sound very excited!",
    "End with a closing question.",
)


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
    settings: LearnerSettings,
    taught: Sequence[tuple[str, Course]],
    *,
    seed: int,
    turns: int,
    generations: int,
) -> Iterator[Report]:
    """Yield what the gate says of one line's generations, which learn one wish after another.

    taught: wishes, and what they teach; generations: of each
    """
    base, backend = measuring.base, measuring.backend
    layers, modules = settings.moving(base.decoder.num_layers)
    mask = load_mask(measuring, settings)
    serving = Serving(base, backend, mask, layers=layers, modules=modules)
    anchors = Anchors(base, backend=backend, moving=len(layers))
    draw, chain = random.Random(seed), list[Recipe]()
    places = count()
    for wish, course in taught:
        for place in islice(places, generations):
            lessons = [
                replace(lesson, weight=1 / turns)
                for lesson in draw.sample(list(course.training), turns)
            ]
            key = generation_key(seed, "main", place, serving.name)
            child = run_generation(
                key, lessons, serving, settings, backend=backend, pause=nothing, anchors=anchors
            ).child
            if child is None:
                print(f"{wish} {place}: nothing to learn", flush=True)
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


def lines(
    gate: Gate, measuring: Measuring, settings: LearnerSettings, given: argparse.Namespace
) -> Iterator[Report]:
    """Yield the reports of each seed's line; each begins with the wish after the last's first."""
    found = courses(measuring.base, measuring.backend, given.wishes)
    taught = list(zip(given.wishes, found, strict=True))
    for seed in given.seeds:
        first = seed % len(taught)
        turned = [*taught[first:], *taught[:first]]
        print(f"seed {seed}, first: {turned[0][0]}", flush=True)
        yield from of_learned(
            gate, measuring, settings, turned,
            seed=seed, turns=given.turns, generations=given.generations,
        )  # fmt: skip


def of_random(
    gate: Gate, measuring: Measuring, settings: LearnerSettings, given: argparse.Namespace
) -> Iterator[Report]:
    """Yield the reports of each seed's random candidates."""
    base = measuring.base
    for seed in given.seeds:
        children = candidates(base, settings, measuring.backend, seed=seed, after=given.after)
        for child in islice(children, given.candidates):
            yield gate.examine(child.decoder, base.decoder, base.name)


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
    parser.add_argument("--generations", type=int, default=3, help="of a wish, with --learned")
    parser.add_argument("--wishes", nargs="+", default=WISHES, help="in this order, with --learned")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one line each")
    parser.add_argument("--probes", nargs="*", default=[], help="none: those of the settings")
    parser.add_argument("--set", nargs="+", default=[], help="settings: learner.margin=0.5 …")
    parser.add_argument("--rows", type=Path, help="file to which every report is added")
    parser.add_argument("--read", type=Path, nargs="+", help="count these files, ask nothing")
    given = parser.parse_args()
    if given.read:
        print("\n".join(table(read(given.read))))
        return
    # random candidates are of the size of a full step of 64 pairs, whatever the default is
    own = {"max_reply_tokens": 32} if given.learned else {"pairs": 64}
    settings = asking_only(settings_of(given.set, cpu_share=1.0, **own), given.probes)
    base, backend = load_base(ModelSettings(), plain_head=True), open_backend("cpu")
    measuring = bundled_measuring(base, backend, settings)
    gate = Gate(measuring, settings)
    if given.learned:
        reports = lines(gate, measuring, settings, given)
    else:
        reports = of_random(gate, measuring, settings, given)
    told(reports, given.rows, first=given.after + 1)


def told(reports: Iterable[Report], rows: Path | None, *, first: int) -> None:
    """Print each report, and what all of them come to.

    rows: file to which each is added; first: the number of the first one
    """
    found = list[Json]()
    for number, report in enumerate(reports, start=first):
        found.append(report.as_json())
        turned, beyond = turns(found[-1])
        print(
            f"{number}: {report.took_s:.1f} s, turned {turned:.1f}, beyond {beyond:.1f};"
            f" {report.reason}",
            flush=True,
        )
        if rows is not None:
            with rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found[-1]) + "\n")
    print("\n" + "\n".join(table(found)))


if __name__ == "__main__":
    main()
