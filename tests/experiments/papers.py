"""ES and RandOpt as their papers have them, against answers that cost as many forward passes.

Run: python -m tests.experiments.papers --seeds 1 2           (EXPERIMENTS, "Papers' methods")
     python -m tests.experiments.papers --survey              what the base can do of each task

Every parameter moves by normal noise of full rank; replies are greedy; one reward a reply, 1 if
the task's verifier takes it. ES (Qiu et al. 2025, arXiv 2509.24372): θ += α/N · Σ z_n ε_n with
N = 30, σ = 0.001, α = σ/2, z-scored rewards. RandOpt (Gan & Isola 2026, arXiv 2603.12228): members
at σ of 1, 2 and 3 thousandths, the best K on the training questions answer by majority vote.

Whatever was evaluated is kept in --home; --minutes ends a piece, the next one goes on from there.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from agent.engine.sampler import Sampler, choose
from agent.errors import ReplyFailedError
from kernels import normal
from kernels.change import FULL, Address, Span
from kernels.contract import Backend
from kernels.model.decode import greedy
from kernels.model.forward import Decoder, Linear
from kernels.model.kv import PAGE_TOKENS, KvCache
from kernels.model.layers import Layer
from kernels.model.model import Model, with_weights
from kernels.model.read import next_logits, read_chunk
from kernels.open import open_backend
from learner.batch.plan import generation_key
from learner.fitness.fitness import Floats
from streams.model.open import BaseModel, load_base
from streams.records import Sampling
from streams.settings import ModelSettings
from tests.experiments.tasks import KINDS, Questions, answer_in, load_questions, majority

REPLY_TOKENS: Final = 16
POPULATION: Final = 30
SIGMA: Final = 1e-3
SIGMAS: Final = (1e-3, 2e-3, 3e-3)
TRAINING: Final = 32
TEST: Final = 96
SURVEYED: Final = 48
TOP: Final = 5
TEMPERATURE: Final = 0.7
AT_ONCE: Final = 16  # samples of one question
CHUNK: Final = 2**16  # of noise: what fits a core's cache is made three times faster


class OutOfTime(Exception):  # noqa: N818  (nothing failed)
    """This piece is over."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What was answered, question by question, and the token positions that it took."""

    answers: list[str]
    tokens: int


class Journal:
    """Evaluations by name, kept in a file."""

    def __init__(self, file: Path, ends_s: float) -> None:
        """ends_s: time.monotonic() past which nothing new is begun."""
        self._file, self._ends_s = file, ends_s
        self._kept: dict[str, dict[str, Any]] = {}
        if file.exists():
            self._kept = json.loads(file.read_text(encoding="utf-8"))

    def __call__(self, name: str, evaluate: Callable[[], Answers]) -> Answers:
        """Return an evaluation, made now or before.

        raises: OutOfTime
        """
        if name not in self._kept:
            if time.monotonic() > self._ends_s:
                raise OutOfTime
            found = evaluate()
            self._kept[name] = {"answers": found.answers, "tokens": found.tokens}
            part = self._file.with_suffix(".part")
            part.write_text(json.dumps(self._kept), encoding="utf-8")
            part.rename(self._file)
        return Answers(**self._kept[name])


class Subject:
    """The base, and how it and its members are asked."""

    def __init__(self, base: BaseModel, backend: Backend) -> None:
        self.base, self._backend = base, backend

    def ask(self, model: Model, questions: Questions) -> Answers:
        """Answer every question greedily."""
        counting = Counting()
        replies = greedy(
            Decoder(model),
            questions.prompts,
            max_tokens=REPLY_TOKENS,
            stop_ids=self.base.stop_ids,
            linear=counting,
        )
        return Answers([self._answer(reply, questions) for reply in replies], counting.tokens)

    @torch.inference_mode()
    def sample(
        self, prompt: Sequence[int], questions: Questions, tokens: int, seed: int
    ) -> Answers:
        """Sample answers of the base to one question until so many positions are computed."""
        decoder, linear = self.base.decoder, Counting()
        capacity = len(prompt) + REPLY_TOKENS
        cache = KvCache(decoder, capacity=capacity, tokens=(AT_ONCE + 1) * (capacity + PAGE_TOKENS))
        asked = cache.open()
        hidden = read_chunk(decoder, cache, asked, prompt, linear)
        first = decoder.logits(hidden[-1:], linear).expand(AT_ONCE, -1)
        answers: list[str] = []
        while linear.tokens < tokens:
            slots = [cache.fork(asked, len(prompt)) for _ in range(AT_ONCE)]
            sampling = Sampling(
                temperature=TEMPERATURE, top_p=1.0, max_tokens=REPLY_TOKENS, seed=seed
            )
            samplers = [
                Sampler(sampling.model_copy(update={"seed": seed * 2**16 + len(answers) + place}))
                for place in range(AT_ONCE)
            ]
            replies = self._continued(cache, slots, samplers, first, linear)
            for slot in slots:
                cache.close(slot)
            answers += [self._answer(reply, questions) for reply in replies]
        return Answers(answers, linear.tokens)

    def member(self, model: Model, key: int, sigma: float) -> Model:
        """Return a member: every parameter plus σ times its noise."""
        return self._moved(model, [(key, sigma)])

    def child(self, model: Model, keys: Sequence[int], rewards: Floats) -> Model:
        """Return what an update of ES leads to."""
        z = (rewards - rewards.mean()) / rewards.std() if rewards.std() else 0 * rewards
        scaled = (SIGMA / 2 / len(keys) * z).tolist()
        return self._moved(model, list(zip(keys, scaled, strict=True)))

    def _moved(self, model: Model, noises: Sequence[tuple[int, float]]) -> Model:
        weights = {name: model.get_parameter(name).clone() for name in model.names}
        for key, factor in noises:
            for name, weight in weights.items():
                self._add_noise(name, weight.view(-1), key, factor)
        return with_weights(model, weights)

    def _add_noise(self, name: str, weight: Tensor, key: int, factor: float) -> None:
        for first in range(0, weight.numel(), CHUNK):
            piece = weight[first : first + CHUNK]
            span = Span(FULL, piece.numel(), first)
            drawn = self._backend.normals(Address.of(key, name), span, pairs=1)
            piece.add_(drawn[0], alpha=factor * 2.0**-normal.FRACTION_LOG2)

    def _continued(
        self,
        cache: KvCache,
        slots: Sequence[int],
        samplers: Sequence[Sampler],
        logits: Tensor,
        linear: Linear,
    ) -> list[list[int]]:
        """Sample a reply in each of these slots.

        logits: (slots, vocabulary) of their first tokens
        """
        replies: list[list[int]] = [[] for _ in samplers]
        running = list(range(len(slots)))
        while True:
            choices = choose([samplers[place] for place in running], logits)
            for place, choice in zip(running, choices, strict=True):
                if isinstance(choice, ReplyFailedError):
                    raise choice
                replies[place].append(choice.id)
            running = [
                place
                for place in running
                if replies[place][-1] not in self.base.stop_ids
                and len(replies[place]) < REPLY_TOKENS
            ]
            if not running:
                return replies
            last = [replies[place][-1] for place in running]
            at = [slots[place] for place in running]
            logits = next_logits(self.base.decoder, cache, at, last, linear)

    def _answer(self, reply: Sequence[int], questions: Questions) -> str:
        text = self.base.tokenizer.decode(reply, skip_special_tokens=True)
        return answer_in(text, questions.kind.answer)


class Counting:
    """Linear layers that count the token positions that pass the first of them."""

    def __init__(self) -> None:
        self.tokens = 0

    def __call__(self, name: str, layer: Layer, x: Tensor) -> Tensor:
        """Apply the layer."""
        if name == "model.layers.0.self_attn.q_proj.weight":
            self.tokens += x.numel() // x.shape[-1]
        return layer.apply(x)


@dataclass(frozen=True, slots=True)
class Result:
    """How a method did on unseen questions, and what it cost."""

    right: list[bool]
    training_tokens: int
    answering_tokens: int


class Trial:
    """All methods on one seed's questions."""

    def __init__(self, model: Subject, journal: Journal, task: str, seed: int, budget: int) -> None:
        """budget: members that ES and RandOpt may evaluate each, a multiple of POPULATION."""
        self._model, self._journal, self._seed, self._budget = model, journal, seed, budget
        kind = KINDS[task]
        self._training, self._test = load_questions(
            model.base, kind, seed=seed, sizes=(TRAINING, TEST)
        )
        self._parent = cache(self._parent_of)

    def results(self) -> dict[str, Result]:
        """Evaluate every method.

        raises: OutOfTime
        """
        base = self._journal("base", lambda: self._model.ask(self._model.base.model, self._test))
        learned = self._es() | self._randopt()
        most = max(each.training_tokens + each.answering_tokens for each in learned.values())
        plain = {"base, greedy": Result(self._test.right(base.answers), 0, base.tokens)}
        return plain | learned | self._samples(most // TEST)

    def _samples(self, tokens: int) -> dict[str, Result]:
        """Sample the base until every question has cost as much as the dearest of the others.

        tokens: positions a question
        """
        drawn = [self._sampled(number, tokens) for number in range(TEST)]
        cost = sum(each.tokens for each in drawn)
        voted = [majority(each.answers) for each in drawn]
        single = [self._test.one_right(n, each.answers) for n, each in enumerate(drawn)]
        return {
            "base, vote of samples": Result(self._test.right(voted), 0, cost),
            "base, any of them (upper bound)": Result([any(each) for each in single], 0, cost),
        }

    def _sampled(self, number: int, tokens: int) -> Answers:
        """Sample replies of the base to one question."""
        seed, prompt = self._seed * TEST + number, self._test.prompts[number]
        return self._journal(
            f"samples of question {number} for {tokens} positions",
            lambda: self._model.sample(prompt, self._test, tokens, seed),
        )

    def _es(self) -> dict[str, Result]:
        generations = self._budget // POPULATION
        tokens = sum(
            self._member(generation, number, SIGMA).tokens
            for generation in range(generations)
            for number in range(POPULATION)
        )
        final = self._journal(
            f"ES after {generations}",
            lambda: self._model.ask(self._parent(generations), self._test),
        )
        right = self._test.right(final.answers)
        name = f"ES, {generations} generations of {POPULATION}"
        return {name: Result(right, tokens, final.tokens)}

    def _randopt(self) -> dict[str, Result]:
        members = [(number, SIGMAS[number % len(SIGMAS)]) for number in range(self._budget)]
        found = [self._member(0, number, sigma) for number, sigma in members]
        rewards = np.array([self._reward(each) for each in found])
        best = [members[place] for place in np.argsort(-rewards, kind="stable")[:TOP]]
        votes = [self._examined(number, sigma) for number, sigma in best]
        voted = [majority(answers) for answers in zip(*(v.answers for v in votes), strict=True)]
        tokens = sum(each.tokens for each in found)
        first = self._test.right(votes[0].answers)
        return {
            f"RandOpt, best of {self._budget}": Result(first, tokens, votes[0].tokens),
            f"RandOpt, best {TOP} of {self._budget}, vote": Result(
                self._test.right(voted), tokens, sum(each.tokens for each in votes)
            ),
        }

    def _examined(self, number: int, sigma: float) -> Answers:
        """Ask a member of the base the test questions."""
        base, key = self._model.base.model, self._key(0, number)
        return self._journal(
            f"test of member {number} at {sigma}",
            lambda: self._model.ask(self._model.member(base, key, sigma), self._test),
        )

    def _member(self, generation: int, number: int, sigma: float) -> Answers:
        """Ask a member the training questions."""
        return self._journal(
            f"generation {generation}, member {number} at {sigma}",
            lambda: self._model.ask(
                self._model.member(self._parent(generation), self._key(generation, number), sigma),
                self._training,
            ),
        )

    def _parent_of(self, generation: int) -> Any:
        """Return the model that a generation of ES perturbs."""
        if generation == 0:
            return self._model.base.model
        before = generation - 1
        found = [self._member(before, number, SIGMA) for number in range(POPULATION)]
        return self._model.child(
            self._parent(before),
            [self._key(before, number) for number in range(POPULATION)],
            np.array([self._reward(each) for each in found]),
        )

    def _reward(self, found: Answers) -> float:
        return float(np.mean(self._training.right(found.answers)))

    def _key(self, generation: int, number: int) -> int:
        return int(generation_key(self._seed, "papers", generation, str(number)), 16)


def interval(right: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927).

    >>> [round(bound, 2) for bound in interval(30, 100)]
    [0.22, 0.4]
    """
    z, share = 1.96, right / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return middle - half, middle + half


def survey(model: Subject, tasks: Sequence[str]) -> None:
    """Print what the base can do of each task."""
    for task in tasks:
        (questions,) = load_questions(model.base, KINDS[task], seed=0, sizes=(SURVEYED,))
        found = model.ask(model.base.model, questions)
        right = sum(questions.right(found.answers))
        print(
            f"{task:15} {right:2d} of {SURVEYED}  {found.tokens / SURVEYED:5.1f} positions each  "
            f"{questions.entries[0]['question']!r}: {found.answers[0]!r}",
            flush=True,
        )


def report(results: Sequence[dict[str, Result]]) -> None:
    """Print the methods, all seeds' questions taken together."""
    base = np.concatenate([each["base, greedy"].right for each in results]).astype(float)
    print(f"{'':38}{'training':>12}{'answering':>12}{'right':>8}{'95 %':>12}{'over base':>17}")
    for name in results[0]:
        found = [each[name] for each in results]
        right = np.concatenate([each.right for each in found]).astype(float)
        low, high = interval(int(right.sum()), len(right))
        over = right - base
        error = over.std() / math.sqrt(len(over))
        print(
            f"{name:38}{sum(each.training_tokens for each in found) / 1000:11.0f}k"
            f"{sum(each.answering_tokens for each in found) / 1000:11.0f}k{right.mean():8.1%}"
            f"{low:7.0%}–{high:.0%}{over.mean():+10.1%} ± {error:.1%}"
        )


def main() -> None:
    """Evaluate what is not kept yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".quickset"), help="keeps evaluations")
    parser.add_argument("--survey", choices=KINDS, nargs="*", help="try the base on tasks")
    parser.add_argument("--task", choices=KINDS, default="sums-1")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--members", type=int, default=2 * POPULATION, help="for each method")
    parser.add_argument("--minutes", type=float, default=math.inf)
    given = parser.parse_args()
    ends_s = time.monotonic() + 60 * given.minutes
    model = Subject(load_base(ModelSettings()), open_backend("cpu"))
    if given.survey is not None:
        survey(model, given.survey or list(KINDS))
        return
    folder = given.home / "experiments"
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    for seed in given.seeds:
        journal = Journal(folder / f"papers_{given.task}_{seed}.json", ends_s)
        try:
            results.append(Trial(model, journal, given.task, seed, given.members).results())
        except OutOfTime:
            print("the time is over: run again to go on")
            return
    report(results)


if __name__ == "__main__":
    main()
