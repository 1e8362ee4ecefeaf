"""Learns the demo's preference offline, with the learner's own stages, to choose its settings.

Run: python -m tests.experiments.learning --generations 16 --steps 2 3 6 --set decay=0.01
Any learner setting can be given; the seed also chooses the order of the lessons. A line of
generations for each step prints, every few of them, how the hinted targets of unseen prompts gained
in log-probability (sensitive, cheap), by how much the negative log-likelihood of plain text rose
(nats a token), how long greedy replies are, and at the end the change of the five small tasks
(points) and of the log-odds of refusing.
"""

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from deploy.demo.user import CHAT_TOKENS, WISH, Reply, load_prompts
from kernels.contract import Backend
from kernels.model.decode import greedy
from kernels.model.forward import Decoder
from kernels.open import open_backend
from learner.batch.lesson import Lesson
from learner.batch.plan import generation_key
from learner.batch.rewriting.placements import with_hint
from learner.population.members import Passage
from learner.population.scoring import logprobs
from learner.safety.anchors import Anchors
from learner.safety.readings.text import Text
from learner.safety.units.unit_map import load_mask
from learner.safety.watched import REFUSAL, Watch, watch_alone
from learner.serving import Serving
from learner.settings import LearnerSettings
from learner.update.generation import run_generation
from streams.model.open import BaseModel, load_base
from streams.records import Message, Recipe
from streams.settings import ModelSettings
from tests.experiments.rivals.people import PEOPLE
from tests.measured import bundled_measuring

Tokens = tuple[int, ...]


def nothing() -> None:
    """No pace."""


class Course:
    """The base's replies and hinted rewrites, and what is measured on unseen prompts."""

    def __init__(self, base: BaseModel, backend: Backend, wish: str) -> None:
        self._base, self.backend, self._wish = base, backend, wish
        prompts = load_prompts()
        self.lessons = self.lessons_on(prompts.training)
        self._unseen = [self._prompt(prompt) for prompt in prompts.test]
        rewrites = self._greedy(base.decoder, [self._prompt(p, wish) for p in prompts.test])
        pairs = zip(self._unseen, rewrites, strict=True)
        self._targets = [Passage(prompt, (target,)) for prompt, target in pairs]
        self._text_of = Text(bundled_measuring(base, backend))
        self._before = self._logprob(base.decoder, self._targets)
        self._text_before = self._text_of.nats(base.decoder)

    def measure(self, decoder: Decoder, *, decode: bool) -> str:
        """Say how a version does on unseen prompts."""
        text = self._text_of.nats(decoder) - self._text_before
        told = f"targets {self._logprob(decoder, self._targets) - self._before:+.3f}"
        told += f"  text {text:+.3f}"
        if not decode:
            return told
        replies = self._greedy(decoder, self._unseen)
        pleased = sum(map(self._pleases, replies))
        length = sum(map(len, replies)) / len(replies)
        return f"{told}  {length:5.1f} tokens  {pleased}/{len(replies)} please"

    def pleasing(self) -> list[Lesson]:
        """Return the lessons whose rewrite is as wished, as a proof would have them."""
        return [lesson for lesson in self.lessons if self._pleases(lesson.target)]

    def _pleases(self, reply: Tokens) -> bool:
        """Whether a reply is as wished: by the people of rivals, else by the demo's user."""
        text, ended = self._text(reply), reply[-1] in self._base.stop_ids
        known = [person for person in PEOPLE if person.wish == self._wish]
        if known:
            return known[0].pleased(text, ended=ended)
        return Reply(text, ended, version="").pleases

    def lessons_on(self, prompts: Sequence[str]) -> list[Lesson]:
        """Return the base's replies to prompts, and its hinted rewrites of them."""
        asked = [self._prompt(prompt) for prompt in prompts]
        replies = self._greedy(self._base.decoder, asked)
        told = [self._prompt(p, self._wish) for p in prompts]
        rewrites = self._greedy(self._base.decoder, told)
        passages = [Passage(p, (target,)) for p, target in zip(told, rewrites, strict=True)]
        found = logprobs(self._base.decoder, passages, backend=self.backend, pause=nothing)
        teacher = [tuple(each.tolist()) for (each,) in found]
        return [
            Lesson(name, 1.0, -1, 0.8, prompt, reply, (), target=target, teacher=scores)
            for name, prompt, reply, target, scores in zip(
                prompts, asked, replies, rewrites, teacher, strict=True
            )
        ]

    def _prompt(self, text: str, hint: str = "") -> Tokens:
        messages = [Message(role="user", content=text)]
        return tuple(self._base.render(with_hint(messages, hint) if hint else messages))

    def _greedy(self, decoder: Decoder, prompts: Sequence[Tokens]) -> list[Tokens]:
        stop_ids = self._base.stop_ids
        found = greedy(decoder, prompts, max_tokens=CHAT_TOKENS, stop_ids=stop_ids)
        return [tuple(reply) for reply in found]

    def _logprob(self, decoder: Decoder, passages: Sequence[Passage]) -> float:
        found = logprobs(decoder, passages, backend=self.backend, pause=nothing)
        return sum(float(each.mean()) for (each,) in found) / len(found)

    def _text(self, reply: Tokens) -> str:
        text: str = self._base.tokenizer.decode(reply, skip_special_tokens=True)
        return text


def main() -> None:
    """Run some generations and print how unseen prompts fare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=20)
    parser.add_argument("--decode-every", type=int, default=10)
    parser.add_argument("--wish", default=WISH)
    parser.add_argument("--proved", action="store_true", help="only rewrites as they are wished")
    parser.add_argument("--steps", nargs="*", type=float, default=[])
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=JSON")
    given = parser.parse_args()
    values: dict[str, Any] = {
        name: json.loads(value) for name, _, value in (text.partition("=") for text in given.set)
    }
    settings = LearnerSettings(**({"max_reply_tokens": CHAT_TOKENS} | values))
    base, backend = load_base(ModelSettings(), plain_head=True), open_backend("cpu")
    course = Course(base, backend, given.wish)
    watch = watch_alone(bundled_measuring(base, backend))
    for step in given.steps or [settings.step]:
        told = settings.model_copy(update={"step": step})
        serving = _serving(base, backend, told)
        print(f"{given.wish} {values} step {step}", flush=True)
        print(f"   0 {course.measure(serving.decoder, decode=True)}", flush=True)
        _line(course, serving, told, given)
        print(f"     {_watched(watch, serving.decoder)}", flush=True)


def _line(
    course: Course, serving: Serving, settings: LearnerSettings, given: argparse.Namespace
) -> None:
    """Run a line of generations, and tell of each."""
    backend, chain = course.backend, list[Recipe]()
    anchors = Anchors(serving.base, backend=backend, moving=len(serving.layers))
    lessons = course.pleasing() if given.proved else list(course.lessons)
    random.Random(settings.seed).shuffle(lessons)
    for number in range(1, given.generations + 1):
        began_s = time.process_time()
        size = settings.turns_per_generation
        turns = [lessons[(number * size + i) % len(lessons)] for i in range(size)]
        outcome = run_generation(
            generation_key(settings.seed, "main", number, serving.name),
            [replace(turn, weight=1 / size) for turn in turns],
            serving,
            settings,
            backend=backend,
            pause=nothing,
            anchors=anchors,
        )
        if outcome.child is None:
            print(f"{number:4d} void: {outcome.reason}", flush=True)
            continue
        chain.append(outcome.child.recipe)
        serving.follow(chain[-1].version, chain)
        spent_s = time.process_time() - began_s
        told = course.measure(serving.decoder, decode=number % given.decode_every == 0)
        print(
            f"{number:4d} {told}  kl {outcome.kl:.4f}  from base {outcome.apart or 0.0:.4f}  "
            f"gain {outcome.gain:+.3f}  step {chain[-1].step}  {spent_s:.1f} s of processor",
            flush=True,
        )


def _watched(watch: Watch, decoder: Decoder) -> str:
    """Say how small tasks and refusals stand beside the base."""
    now, base = watch.measure(decoder), watch.of_base
    points = [f"{n[6:]} {100 * (now[n] - base[n]):+.1f}" for n in now if n.startswith("tasks.")]
    return f"{', '.join(points)} points; refusals {now[REFUSAL] - base[REFUSAL]:+.2f} nats"


def _serving(base: BaseModel, backend: Backend, settings: LearnerSettings) -> Serving:
    mask = load_mask(bundled_measuring(base, backend, settings), settings)
    layers, modules = settings.moving(base.decoder.num_layers)
    return Serving(base, backend, mask, layers=layers, modules=modules)


if __name__ == "__main__":
    main()
