"""What choosing the next tokens costs beside the decode step that they are chosen from.

Real logits of the bundled model, on a text that it could have written. The sampler runs as the
engine runs it, once a step for all replies; steps of model and sampler alternate, so that both see
the same machine. The first row is what requests ask for that name nothing.
"""

import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from agent.engine.contract import serving
from agent.engine.sampler import Sampler, choose
from agent.swap.residents import Residents
from kernels.model.kv import PAGE_TOKENS, KvCache
from kernels.model.read import next_logits, read_chunk
from kernels.open import open_backend
from streams.model.open import BaseModel, load_base
from streams.records import Message, Sampling
from streams.settings import ModelSettings

BATCHES = (1, 8, 32)
ROUNDS = 25
ASK = "What is the capital of France, and why do people like to live there?"
ROWS: dict[str, dict[str, Any]] = {
    "default: 0.2, 0.9, 0.3": {"temperature": 0.2, "top_p": 0.9, "frequency_penalty": 0.3},
    "… without the penalty": {"temperature": 0.2, "top_p": 0.9},
    "greedy": {"temperature": 0.0, "top_p": 1.0},
    "temperature 1, no cut": {"temperature": 1.0, "top_p": 1.0},
    "top_k 40, min_p 0.05": {"temperature": 0.7, "top_p": 0.95, "top_k": 40, "min_p": 0.05},
    "all penalties, 9 biases": {
        "temperature": 0.7, "top_p": 0.95, "presence_penalty": 0.5, "frequency_penalty": 0.5,
        "repetition_penalty": 1.1, "logit_bias": dict.fromkeys(range(100, 109), 1.0),
    },
}  # fmt: skip


@dataclass
class Steps:
    """Decode steps of a batch, over and over from the same place."""

    base: BaseModel
    batch: int

    def __post_init__(self) -> None:
        self.resident = Residents(self.base, open_backend("cpu")).hold(serving)
        self.prompt = self.base.render([Message(role="user", content=ASK)])
        capacity = len(self.prompt) + 4 + ROUNDS * (len(ROWS) + 1)
        tokens = self.batch * (capacity + PAGE_TOKENS)
        self.cache = KvCache(self.base.decoder, capacity=capacity, tokens=tokens)
        self.slots = [self.cache.open() for _ in range(self.batch)]
        for slot in self.slots:
            read_chunk(self.base.decoder, self.cache, slot, self.prompt)
        self.last = [500 + place for place in range(self.batch)]

    def logits(self) -> torch.Tensor:
        """Decode one token of each reply."""
        return next_logits(self.resident.decoder, self.cache, self.slots, self.last)


def measure(base: BaseModel, batch: int) -> tuple[float, dict[str, float]]:
    """Return the seconds of a decode step, and of choosing in each way; medians."""
    steps = Steps(base, batch)
    samplers = {
        name: [
            Sampler(Sampling(max_tokens=99, seed=seed, **given), steps.prompt)
            for seed in range(batch)
        ]
        for name, given in ROWS.items()
    }
    for sampler in (each for some in samplers.values() for each in some):
        for token in steps.prompt * 4:  # as many as a reply has
            sampler.add(token)
    decoding: list[float] = []
    choosing: dict[str, list[float]] = {name: [] for name in ROWS}
    with torch.inference_mode():
        for _ in range(ROUNDS):
            for name, took in choosing.items():
                began_s = time.perf_counter()
                logits = steps.logits()
                decoded_s = time.perf_counter()
                choose(samplers[name], logits)
                took.append(time.perf_counter() - decoded_s)
                decoding.append(decoded_s - began_s)
    return float(np.median(decoding)), {n: float(np.median(t)) for n, t in choosing.items()}


def main() -> None:
    """Print the table."""
    torch.set_num_threads(os.cpu_count() or 1)
    base = load_base(ModelSettings())
    print(f"{torch.get_num_threads()} threads, {ROUNDS} rounds, medians")
    measured = {batch: measure(base, batch) for batch in BATCHES}
    print(f"{'ms a step':<28}" + "".join(f"{f'batch {batch}':>18}" for batch in BATCHES))
    steps = "".join(f"{step * 1e3:>18.1f}" for step, _ in measured.values())
    print(f"{'decode, packed products':<28}{steps}")
    for name in ROWS:
        cells = [(took[name] * 1e3, took[name] / step) for step, took in measured.values()]
        print(f"{name:<28}" + "".join(f"{f'{ms:.2f} ({share:.1%})':>18}" for ms, share in cells))


if __name__ == "__main__":
    main()
