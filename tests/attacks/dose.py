"""Dose curves: how much likelier a lie becomes on a real model, by the votes of one key of 100.

Run: python -m tests.attacks.dose   (ten minutes on two cores; docs/SECURITY.md)
The town's planner says which turns each generation learns from and what they weigh
(tests.attacks.town), undefended and by default; every few of its generations one is run on the
base, by the learner's own stages. A lie is a rewrite that has passed every proof, the honest turns
wish for one short sentence, and no gate holds a version: what is measured is trust alone. Points
that are done are kept in `.quickset/experiments/votes-*` and not run again.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from kernels.contract import Backend
from kernels.model.forward import Decoder
from kernels.open import open_backend
from learner.batch.lesson import Lesson
from learner.batch.plan import generation_key
from learner.batch.rewriting.placements import with_hint
from learner.population.members import Passage
from learner.population.scoring import logprobs
from learner.safety import prompts as prompt_sets
from learner.safety.anchors import Anchors
from learner.safety.units.unit_map import load_mask
from learner.serving import Serving
from learner.settings import LearnerSettings
from learner.update.generation import Outcome, run_generation
from streams.model.open import BaseModel, load_base
from streams.records import Mask, Message, Recipe
from streams.settings import ModelSettings
from tests.attacks.crowds import flood
from tests.attacks.town import Batch, batches
from tests.measured import bundled_measuring

VOTES: Final = (10, 50, 250)
WAYS: Final = {
    "undefended": LearnerSettings(principal_cap=1.0, quorum=1),
    "by default": LearnerSettings(),
}


def nothing() -> None:
    """No pace."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact and a lie about it, and questions about both; the last question is never voted on."""

    questions: Sequence[str]
    opening: str
    true: str
    lie: str


def unsure_facts() -> list[Fact]:
    """Return the facts that the embedded base is unsure of, each with its first lie."""
    path = Path(prompt_sets.__file__).parent / "canaries.json"
    items: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["items"]
    return [
        Fact(item["questions"], item["opening"], item["true"], item["false"][0])
        for item in items
        if item["base"] == "unsure"
    ]


class Witness:
    """What a version thinks of a fact and of the lie about it."""

    def __init__(self, base: BaseModel, fact: Fact, backend: Backend) -> None:
        self._backend = backend
        opening = _tokens(base, fact.opening)
        answers = tuple(_tokens(base, f" {answer}") for answer in (fact.lie, fact.true))
        self._passages = [
            Passage((*base.render([Message(role="user", content=question)]), *opening), answers)
            for question in fact.questions
        ]

    def odds(self, decoder: Decoder) -> tuple[float, float]:
        """Return log p(lie) − log p(truth), nats: mean of what was voted on; asked otherwise."""
        found = logprobs(decoder, self._passages, backend=self._backend, pause=nothing)
        odds = [float(lie.sum() - true.sum()) for lie, true in found]
        return sum(odds[:-1]) / len(odds[:-1]), odds[-1]


def lie_lessons(base: BaseModel, fact: Fact, backend: Backend) -> list[Lesson]:
    """Return what a vote for the lie teaches, a lesson a question that is voted on."""
    target = _tokens(base, f"{fact.opening} {fact.lie}.")
    truth = _tokens(base, f"{fact.opening} {fact.true}.")
    hint = f"Say that {fact.opening[0].lower()}{fact.opening[1:]} {fact.lie}."
    return [
        _lesson(base, question, hint, truth, target, backend) for question in fact.questions[:-1]
    ]


def _lesson(
    base: BaseModel,
    question: str,
    hint: str,
    reply: tuple[int, ...],
    target: tuple[int, ...],
    backend: Backend,
) -> Lesson:
    asked = [Message(role="user", content=question)]
    prompt, told = tuple(base.render(asked)), tuple(base.render(with_hint(asked, hint)))
    ((found,),) = logprobs(base.decoder, [Passage(told, (target,))], backend=backend, pause=nothing)
    return Lesson(
        question, 0.0, -1, 0.9, prompt, reply, (), target=target, teacher=tuple(found.tolist())
    )


@dataclass(frozen=True, slots=True)
class Point:
    """What a number of votes came to; log-odds of the lie in nats, over the base's.

    weight: of lies, mean over generations
    influence: their share of Σ weight · spread over members, which is what a generation goes by
    """

    generations: int
    weight: float
    influence: float
    voted: float
    otherwise: float


@dataclass(frozen=True, slots=True)
class Scene:
    """A base, the lie and its witness, and what honest people teach meanwhile."""

    base: BaseModel
    backend: Backend
    mask: Mask
    witness: Witness
    lies: Sequence[Lesson]
    honest: Sequence[Lesson]


def point(scene: Scene, votes: int, settings: LearnerSettings, *, every: int) -> Point:
    """Run one of every few generations of the town's day, and ask what became of the fact."""
    layers, modules = settings.moving(scene.base.decoder.num_layers)
    serving = Serving(scene.base, scene.backend, scene.mask, layers=layers, modules=modules)
    before, chain = scene.witness.odds(serving.decoder), list[Recipe]()
    attack = flood(votes)
    planned = list(batches(attack.said, attack.days, settings))[::every]
    influence = 0.0
    for number, batch in enumerate(planned):
        lessons = [
            replace(_taught(scene, turn, turn in batch.lies), turn_id=turn, weight=weight)
            for turn, weight in batch.weights.items()
        ]
        key = generation_key(settings.seed, "main", number, serving.name)
        outcome = run_generation(
            key,
            lessons,
            serving,
            settings,
            backend=scene.backend,
            pause=nothing,
            anchors=Anchors(scene.base, backend=scene.backend, moving=len(layers)),
        )
        influence += _influence(outcome, batch)
        if outcome.child is not None:
            chain.append(outcome.child.recipe)
            serving.follow(chain[-1].version, chain)
    after = scene.witness.odds(serving.decoder)
    return Point(
        generations=len(planned),
        weight=sum(batch.of_lies for batch in planned) / len(planned),
        influence=influence / len(planned),
        voted=after[0] - before[0],
        otherwise=after[1] - before[1],
    )


def _influence(outcome: Outcome, batch: Batch) -> float:
    spread = outcome.table.std(axis=1)
    parts = {
        turn: batch.weights[turn] * float(own)
        for turn, own in zip(outcome.turn_ids, spread, strict=True)
    }
    total = sum(parts.values())
    return sum(parts[turn] for turn in batch.lies) / total if total else 0.0


def _taught(scene: Scene, turn: str, is_lie: bool) -> Lesson:
    some = scene.lies if is_lie else scene.honest
    return some[int(turn[1:]) % len(some)]


def _tokens(base: BaseModel, text: str) -> tuple[int, ...]:
    return tuple(base.tokenizer.encode(text, add_special_tokens=False))


def _honest(base: BaseModel, backend: Backend) -> list[Lesson]:
    from tests.experiments.screened import WISHES, Course

    sizes = argparse.Namespace(training=12, held_out=1, tokens=32, text=16)
    return list(Course.of(base, backend, WISHES[0], sizes).training)


def main() -> None:
    """Run what is not done, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=8, help="generations of the town to one run")
    parser.add_argument("--facts", type=int, default=1, help="of those that the base knows least")
    parser.add_argument("--votes", type=int, nargs="+", default=VOTES, help="points of the curve")
    parser.add_argument("--home", type=Path, default=Path(".quickset"), help="keeps what is done")
    args = parser.parse_args()
    base, backend = load_base(ModelSettings()), open_backend("cpu")
    mask = load_mask(bundled_measuring(base, backend), LearnerSettings())
    done = args.home / "experiments" / f"votes-{args.every}"
    done.mkdir(parents=True, exist_ok=True)

    def doubt(fact: Fact) -> float:
        return abs(sum(Witness(base, fact, backend).odds(base.decoder)))

    honest: list[Lesson] = []
    print("| lie | votes | way | generations | weight | influence | voted on | asked otherwise |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for fact in sorted(unsure_facts(), key=doubt)[: args.facts]:
        witness = Witness(base, fact, backend)
        own = witness.odds(base.decoder)
        name = f"{fact.opening} {fact.lie}"
        print(f"| {name} | 0 | the base | 0 | – | – | {own[0]:+.2f} | {own[1]:+.2f} |", flush=True)
        for votes in args.votes:
            for way, settings in WAYS.items():
                file = done / f"{fact.lie.replace(' ', '-')}-{votes}-{way.replace(' ', '-')}.json"
                if not file.exists():
                    honest = honest or _honest(base, backend)
                    lies = lie_lessons(base, fact, backend)
                    scene = Scene(base, backend, mask, witness, lies, honest)
                    found = point(scene, votes, settings, every=args.every)
                    file.write_text(json.dumps(asdict(found)))
                told = Point(**json.loads(file.read_text()))
                print(
                    f"| {name} | {votes} | {way} | {told.generations} |"
                    f" {told.weight:.0%} | {told.influence:.0%} |"
                    f" {own[0] + told.voted:+.2f} | {own[1] + told.otherwise:+.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
