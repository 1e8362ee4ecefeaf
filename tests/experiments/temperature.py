"""Measures what a sampling temperature costs the bundled model, and what it gains.

Run: python -m tests.experiments.temperature        (about fifteen minutes of one processor)
Prints, a temperature, top_p and frequency penalty: how many of the five small tasks are answered
right, as a person would read the reply (the sets' README), a task and over all; how far replies to
the gate's plain prompts are about these, nats a token, and the share of replies that is about
nothing (under `--empty`), and of longer ones the share that goes round in circles; and how many of
the replies to one prompt differ, which a learner explores by.
"""

# ruff: noqa: E402  (what torch reads when it is loaded is set before)

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from deploy.up import process

process.prepare()  # as the command does, before torch is loaded

from torch import Tensor

from agent.engine.sampler import Choice, Sampler, choose
from kernels.model.decode import continued
from kernels.open import open_backend
from learner.population.aboutness import aboutness
from learner.safety.prompts import load_prompts
from learner.safety.prompts.sets import Tasks, load_set
from learner.safety.readings.asking import NUM_OTHERS
from learner.safety.readings.replies import is_degenerate
from streams.model.open import BaseModel, load_base
from streams.records import Message, Sampling
from streams.settings import ModelSettings
from tests.learner.safety.prompt_rules import task_right

# Temperature, top_p and frequency penalty.
WAYS: Final = (
    (0.0, 1.0, 0.0), (0.2, 0.9, 0.0), (0.2, 0.9, 0.1), (0.2, 0.9, 0.2), (0.2, 0.9, 0.3),
    (0.3, 0.9, 0.0), (0.4, 0.9, 0.0), (0.5, 0.9, 0.0), (0.7, 0.8, 0.0), (0.7, 0.9, 0.0),
    (0.7, 0.95, 0.0),
)  # fmt: skip
TASK_TOKENS: Final = 48
PLAIN_TOKENS: Final = 64
LONG_TOKENS: Final = 200


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks the base as the agent does."""

    base: BaseModel
    temperature: float
    top_p: float
    frequency: float

    def prompts(self, questions: Sequence[str]) -> list[list[int]]:
        """Render questions that nothing stands before."""
        return [self.base.render([Message(role="user", content=each)]) for each in questions]

    def replies(self, questions: Sequence[str], *, tokens: int, seed: int) -> list[list[int]]:
        """Answer each question, without the token that ends a reply."""
        samplers = [
            Sampler(
                Sampling(
                    temperature=self.temperature,
                    top_p=self.top_p,
                    frequency_penalty=self.frequency,
                    max_tokens=tokens,
                    seed=seed * len(questions) + number,
                )
            )
            for number in range(len(questions))
        ]

        def drawn(places: Sequence[int], logits: Tensor) -> list[int]:
            found = choose([samplers[place] for place in places], logits)
            return [each.id for each in found if isinstance(each, Choice)]

        stops = self.base.stop_ids
        told = continued(
            self.base.decoder, self.prompts(questions), drawn, max_tokens=tokens, stop_ids=stops
        )
        return [[token for token in reply if token not in stops] for reply in told]

    def text(self, reply: Sequence[int]) -> str:
        """Decode a reply."""
        said: str = self.base.tokenizer.decode(reply)
        return said


def rights(asker: Asker, seeds: Sequence[int]) -> dict[str, float]:
    """Return the share of each small task that is answered right, over the seeds."""
    found: dict[str, float] = {}
    for name, task in load_set("tasks", Tasks).tasks.items():
        asked = [item.prompt for item in task.items]
        found[name] = fmean(
            task_right(item, asker.text(reply))
            for seed in seeds
            for item, reply in zip(
                task.items, asker.replies(asked, tokens=TASK_TOKENS, seed=seed), strict=True
            )
        )
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--empty", type=float, default=0.5, help="nats a token")
    given = parser.parse_args()
    base, backend = load_base(ModelSettings()), open_backend("cpu")
    plain = load_prompts("gate").benign
    for temperature, top_p, frequency in WAYS:
        asker = Asker(base, temperature, top_p, frequency)
        seeds = range(given.seeds if temperature else 1)
        right = rights(asker, seeds)
        said = [asker.replies(plain, tokens=PLAIN_TOKENS, seed=seed) for seed in seeds]
        about = [
            each
            for replies in said
            for each in aboutness(
                base.decoder,
                asker.prompts(plain),
                replies,
                num_others=NUM_OTHERS,
                backend=backend,
                pause=lambda: None,
            )
        ]
        long = [asker.replies(plain, tokens=LONG_TOKENS, seed=seed) for seed in seeds]
        circling = fmean(is_degenerate(each) for replies in long for each in replies)
        empty = fmean(each < given.empty for each in about)
        distinct = fmean(len(set(map(tuple, each))) for each in zip(*said, strict=True))
        tasks = " ".join(f"{name} {share:4.0%}" for name, share in right.items())
        print(
            f"{temperature:.1f}, {top_p:.2f}, {frequency:.1f}: "
            f"tasks {fmean(right.values()):5.1%} ({tasks}); "
            f"about {fmean(about):+.2f}, of nothing {empty:4.1%}, in circles {circling:4.1%}; "
            f"{distinct:.1f} of {len(said)} differ",
            flush=True,
        )


if __name__ == "__main__":
    main()
