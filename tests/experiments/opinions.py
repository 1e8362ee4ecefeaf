"""What every pair of a population thinks of every prompt: cheap evidence of what learning carries.

A generation learns from its pairs' differences f(+) − f(−) on a few training prompts. How far
these correlate with the differences on unseen prompts is the share of it that carries over. So
many pairs are scored once on both, and kept; what a fitness is worth is then arithmetic. One
update a batch is also made and measured: the held-out gain of one generation, and its KL.

Knows nothing of tables or of what is compared.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter

from deploy.demo.user import CHAT_TOKENS, WISH, load_prompts
from kernels.contract import Backend
from kernels.open import open_backend
from kernels.version.layout import ATTENTION, MLP
from kernels.version.master import QUANTUM_LOG2
from learner.batch.lesson import Lesson
from learner.fitness import fitness
from learner.fitness.fitness import Floats, Terms
from learner.fitness.reference import Reference, refer
from learner.population.members import final_states, score
from learner.serving import Serving
from learner.settings import MODULES, LearnerSettings
from learner.update import strategies
from streams.model.open import BaseModel, load_base
from streams.records import Mask
from streams.settings import ModelSettings
from tests.experiments.learning import Course, nothing
from tests.experiments.noises import Kind, Noise

PAIRS: Final = 16  # a seed: as many as a generation has
BATCH: Final = 6  # prompts that a generation is scored on
STEP: Final = 3.0
_KEPT: Final = TypeAdapter(list[Lesson])
HINT: Final = Terms(reward=0.0, hint=1.0, kl=0.0, ratio_clip=LearnerSettings().ratio_clip)
HINTED: Final = LearnerSettings(reward_weight=0.0, kl_weight=0.0)  # the same, of a generation
CHOSEN: Final = {"all": MODULES, "attention": ATTENTION, "mlp": MLP}


@dataclass(frozen=True, slots=True)
class Config:
    """How a population is made."""

    kind: Kind = "rank 1, signs"
    sigma_log2: int = -4
    last_layers: int = 8
    modules: Literal["all", "attention", "mlp"] = "all"

    def __str__(self) -> str:
        kind = self.kind.replace(", ", "-").replace(" ", "-")
        return f"{kind}_{self.sigma_log2}_{self.last_layers}_{self.modules}"


@dataclass(frozen=True, slots=True)
class Lessons:
    """Lessons on training prompts, then on unseen ones.

    rewrites: scored on the hinted rewrite; replies: on the reply of the same prompts, judged −1
    """

    rewrites: list[Lesson]
    replies: list[Lesson]
    num_training: int

    @property
    def all(self) -> list[Lesson]:
        """All that is scored."""
        return [*self.rewrites, *self.replies]

    @property
    def batches(self) -> list[range]:
        """Training prompts, in disjoint batches of the size that a generation has."""
        return [range(first, first + BATCH) for first in range(0, self.num_training, BATCH)]

    @property
    def unseen(self) -> slice:
        """The prompts that nothing is learned from."""
        return slice(self.num_training, len(self.rewrites))


@dataclass(frozen=True, slots=True)
class Scores:
    """What one seed of one config came to.

    logprobs: (members, scored); parent: (scored,)
    gains, kl: (batches,) what one update from each batch of training prompts did to unseen ones:
        nats of mean log-probability a target token, nats a token
    news_gains: (batches,) likewise, weighed by news
    seconds: of processor, scoring the members
    """

    logprobs: Floats
    parent: Floats
    gains: Floats
    news_gains: Floats
    kl: Floats
    seconds: float


class Instrument:
    """The base, its replies and rewrites to training and unseen prompts, and what was kept."""

    def __init__(self, home: Path) -> None:
        """home: where scores are kept, so that an interrupted run goes on."""
        self._home = home / "experiments"
        self._home.mkdir(parents=True, exist_ok=True)
        self.base: BaseModel = load_base(ModelSettings())
        self.backend: Backend = open_backend("cpu")
        self.num_training = len(load_prompts().training)
        self._lessons = self._kept_lessons()

    def course(self, *, replies: bool) -> Lessons:
        """Return the lessons.

        replies: all of them; else only rewrites, of half the training prompts: a third of the work
        """
        count = self.num_training
        if replies:
            replied = [replace(each, target=(), teacher=()) for each in self._lessons]
            return Lessons(self._lessons, replied, count)
        return Lessons([*self._lessons[: count // 2], *self._lessons[count:]], [], count // 2)

    def scores(self, config: Config, seed: int, *, replies: bool = False) -> Scores:
        """Score the pairs of a seed, or read what was kept of them."""
        file = self._home / f"{config}_{'replies' if replies else 'rewrites'}_{seed}.npz"
        if not file.exists():
            measured = self._measure(config, seed, self.course(replies=replies))
            with file.with_suffix(".part").open("wb") as part:
                np.savez(part, **asdict(measured))
            file.with_suffix(".part").rename(file)
        with np.load(file) as kept:
            found = {name: kept[name] for name in kept.files}
        return Scores(**found | {"seconds": float(found["seconds"])})

    def _measure(self, config: Config, seed: int, lessons: Lessons) -> Scores:
        noise = self._noise(config, seed)
        reference = self._refer(noise.serving, lessons.all)
        began_s = time.process_time()
        logprobs = score(
            self.base.decoder,
            reference.trunk,
            noise.population(),
            shortlist=reference.shortlist,
            pause=nothing,
        )
        seconds = time.process_time() - began_s
        table = reference.fitness(logprobs)
        rewrites = self.course(replies=False)
        unseen = self._refer(noise.serving, rewrites.rewrites[rewrites.unseen])
        gains = np.array(
            [self._one_generation(noise, table[batch], unseen) for batch in lessons.batches]
        )
        parent = reference.shortlist.parent.double().numpy()
        return Scores(logprobs.numpy(), parent, gains[:, 0], gains[:, 1], gains[:, 2], seconds)

    def _refer(self, serving: Serving, lessons: Sequence[Lesson]) -> Reference:
        return refer(serving, lessons, HINTED, backend=self.backend, pause=nothing)

    @torch.inference_mode()
    def _one_generation(
        self, noise: Noise, table: Floats, unseen: Reference
    ) -> tuple[float, float, float]:
        """Update from the opinions of one batch; give gain, gain by news, and KL on unseen prompts.

        table: (prompts, members)
        """
        # the same distance in weights at every σ
        step = STEP * 2.0 ** (LearnerSettings().sigma_log2 - noise.sigma_log2)
        update = strategies.es(
            table.mean(axis=0), step=step, sigma_log2=noise.sigma_log2, quantum_log2=QUANTUM_LOG2
        )
        after = final_states(noise.child(update), unseen.trunk, pause=nothing)[0]
        scored, shortlist = unseen.trunk.scored, unseen.shortlist
        moved = self.backend.token_logprobs(after, self.base.decoder.head, scored.targets)
        both = torch.stack((shortlist.parent, moved))
        evenly = [replace(each, news=(1.0,) * len(each.target)) for each in unseen.lessons]
        plain, news = (
            float(np.diff(fitness.table(each, scored, both, HINT).mean(axis=0))[0])
            for each in (evenly, unseen.lessons)
        )
        return plain, news, shortlist.divergence(after, moved)

    def _noise(self, config: Config, seed: int) -> Noise:
        layers = range(
            self.base.decoder.num_layers - config.last_layers, self.base.decoder.num_layers
        )
        mask = Mask(base=self.base.name, neurons={}, groups={})
        serving = Serving(
            self.base, self.backend, mask, layers=layers, modules=CHOSEN[config.modules]
        )
        return Noise(config.kind, serving, self.backend, seed, PAIRS, config.sigma_log2)

    def _kept_lessons(self) -> list[Lesson]:
        file = self._home / f"lessons_{self.base.name}_{CHAT_TOKENS}.json"
        if not file.exists():
            course = Course(self.base, self.backend, WISH)
            found = [*course.lessons, *course.lessons_on(load_prompts().test)]
            file.write_bytes(_KEPT.dump_json(found))
        return _KEPT.validate_json(file.read_bytes())


def differences(table: Floats) -> Floats:
    """Return every pair's opinion, f(+) − f(−): (prompts, members) → (prompts, pairs)."""
    return table[:, 0::2] - table[:, 1::2]


def agreement(opinions: Floats, criterion: Floats, batches: Sequence[range]) -> float:
    """Correlate what batches of prompts think of pairs with a criterion, and take the mean.

    opinions: (prompts, pairs); criterion: (pairs,)

    >>> agreement(np.array([[1.0, 2.0, 4.0], [3.0, 2.0, 0.0]]), np.arange(3.0), [range(1)]) > 0.9
    True
    """
    found = [np.corrcoef(opinions[batch].mean(axis=0), criterion)[0, 1] for batch in batches]
    return float(np.mean(found))


def resampled_error(statistic: Callable[[NDArray[np.intp]], float], pairs: int) -> float:
    """Return a statistic's standard error, from pairs drawn anew with repetition (bootstrap).

    statistic: from the numbers of the pairs that it is to use
    """
    random = np.random.default_rng(0)
    return float(np.std([statistic(random.integers(0, pairs, pairs)) for _ in range(300)]))


def told_agreement(opinions: Floats, criterion: Floats, batches: Sequence[range]) -> str:
    """Say how far batches agree with the mean of the criterion's prompts: (prompts, pairs) each."""
    wanted = criterion.mean(axis=0)
    found = agreement(opinions, wanted, batches)
    error = resampled_error(
        lambda drawn: agreement(opinions[:, drawn], wanted[drawn], batches), len(wanted)
    )
    return f"{found:.2f} ± {error:.2f}"


def error_of_mean(values: Floats) -> float:
    """Return the standard error of a mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))
