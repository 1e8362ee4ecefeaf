"""Tokens a second of the engine against `transformers.generate` and llama.cpp, on the same prompts.

Four ways, in turns, so that all see the same machine: `generate` in float32; the bare loop that
anybody would write next (KV cache in place, torch's products, no `generate` around it); llama.cpp
on the 4-bit file, one stream, greedy (extra `peers`; left out by name where it is not installed);
and the engine as a request sees it: sampling at temperature 0.7 within a nucleus of 0.95,
log-probabilities, text, streams. Prompts are read before the clock starts. The engine is timed
while all of a batch run, when the first have replied for a while: the others' prompts are as much
longer as it has tokens in sight then. Then how long a reply's first token takes when all of a batch
ask at once.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from agent.constrain.contract import Grammar
from agent.engine.contract import Engine, Finish, Request
from agent.engine.engine import BatchingEngine
from agent.run import SWITCH_S
from agent.settings import AgentSettings
from agent.swap.residents import Residents
from kernels.model.forward import Decoder
from kernels.model.kv import PAGE_TOKENS, KvCache
from kernels.model.read import next_logits, read_chunk
from kernels.open import open_backend
from streams.model.open import BaseModel, load_base
from streams.records import Sampling
from streams.settings import ModelSettings
from tests.bench.peers import llama_cpp_rate, load_llama_cpp
from tests.bench.published import load_published
from tests.tiny import as_plain

BATCHES = (1, 8, 32)
PROMPT_TOKENS = 96
TOKENS = 32
ROUNDS = 5


def prompts(batch: int) -> list[list[int]]:
    """Return prompts of common words; what they say does not matter for speed."""
    generator = torch.Generator().manual_seed(batch)
    shape = (batch, PROMPT_TOKENS)
    return torch.randint(500, 20000, shape, generator=generator).tolist()


def lengthened(ids: list[list[int]], more: int) -> list[list[int]]:
    """Repeat the beginning of each prompt behind it, so that whoever reads it sees as much."""
    return [[*prompt, *(prompt * (1 + more // len(prompt)))[:more]] for prompt in ids]


def time_generate(model: Any, ids: list[list[int]]) -> float:
    """Return seconds for TOKENS more tokens of each prompt, past the first one."""

    def timed(tokens: int) -> float:
        began_s = time.perf_counter()
        model.generate(
            torch.tensor(ids),
            attention_mask=torch.ones(len(ids), len(ids[0]), dtype=torch.int64),
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            do_sample=False,
        )
        return time.perf_counter() - began_s

    return timed(TOKENS + 1) - timed(1)


def time_loop(decoder: Decoder, ids: list[list[int]]) -> float:
    """Return seconds for the same with our walk but torch's own products."""
    capacity = -(-(len(ids[0]) + TOKENS) // PAGE_TOKENS) * PAGE_TOKENS
    cache = KvCache(decoder, capacity=capacity, tokens=len(ids) * capacity)
    slots = [cache.open() for _ in ids]
    with torch.inference_mode():
        for slot, prompt in zip(slots, ids, strict=True):
            read_chunk(decoder, cache, slot, prompt)
        last = [5] * len(ids)
        began_s = time.perf_counter()
        for _ in range(TOKENS):
            last = next_logits(decoder, cache, slots, last).argmax(dim=-1).tolist()
    return time.perf_counter() - began_s


async def engine_rate(
    engine: Engine, ids: list[list[int]], grammar: Grammar | None = None
) -> tuple[float, float]:
    """Return the tokens a second while all replies run, and how many of its own each saw.

    They all run after the last one's first token, when the first have some already.
    """

    async def read(number: int, prompt: list[int]) -> list[float]:
        tokens = TOKENS + 2 * len(ids)  # the first replies run while the last prompts are read
        sampling = Sampling(temperature=0.7, top_p=0.95, max_tokens=tokens, seed=number)
        stream = engine.submit(Request(prompt, sampling, grammar=grammar))
        return [time.perf_counter() async for event in stream if not isinstance(event, Finish)]

    times = await asyncio.gather(*(read(*each) for each in enumerate(ids)))
    began_s, ended_s = max(each[0] for each in times), min(each[-1] for each in times)
    seen = [n for each in times for n, at in enumerate(each) if began_s < at <= ended_s]
    return len(seen) / (ended_s - began_s), float(np.mean(seen))


async def first_tokens(engine: Engine, ids: list[list[int]]) -> list[float]:
    """Return the seconds until each reply's first token, where all are asked for at once."""

    async def read(prompt: list[int]) -> float:
        began_s = time.perf_counter()
        sampling = Sampling(temperature=0, top_p=1, max_tokens=1, seed=0)
        stream = engine.submit(Request(prompt, sampling))
        times = [time.perf_counter() async for event in stream if not isinstance(event, Finish)]
        return times[0] - began_s

    return sorted(await asyncio.gather(*(read(prompt) for prompt in ids)))


async def measure(base: BaseModel, batches: Sequence[int], rounds: int) -> None:
    """Print the table."""
    tokens = max(batches) * (PROMPT_TOKENS + TOKENS + 2 * max(batches))
    settings = AgentSettings(
        max_batch=max(batches),
        context_tokens=512,
        kv_tokens=tokens,
        threads=torch.get_num_threads(),
    )
    published, plain = load_published(), Decoder(as_plain(base.model))
    published.generation_config.eos_token_id = None
    llama = load_llama_cpp(PROMPT_TOKENS + TOKENS + 1, torch.get_num_threads())
    if llama is None:
        print("llama.cpp is not installed (pip install 'quickset[peers]'): left out")
    engine = BatchingEngine(Residents(base, open_backend("cpu")), settings=settings, base=base)
    engine.start()
    print(
        f"{'tokens/s':<10}{'generate':>10}{'bare loop':>11}{'llama.cpp':>11}{'engine':>9}"
        f"{'/generate':>11}{'/llama.cpp':>12}   (of medians)"
    )
    for batch in batches:
        ids, found = prompts(batch), []
        for _ in range(rounds):
            made = batch * TOKENS
            ours, own = await engine_rate(engine, ids)
            alike = lengthened(ids, max(0, round(own) - TOKENS // 2))
            slow, loop = time_generate(published, alike), time_loop(plain, alike)
            peer = np.nan
            if batch == 1 and llama is not None:
                peer = llama_cpp_rate(llama, ids[0], TOKENS)
            found.append((made / slow, made / loop, peer, ours))
        theirs, bare, peer, ours = np.median(found, axis=0)
        print(
            f"{f'batch {batch}':<10}{theirs:>10.1f}{bare:>11.1f}{peer:>11.1f}{ours:>9.1f}"
            f"{ours / theirs:>11.2f}{ours / peer:>12.2f}",
            flush=True,
        )
    waits = await first_tokens(engine, prompts(max(batches)))
    print(
        f"{max(batches)} prompts of {PROMPT_TOKENS} tokens at once: the first token after "
        f"{waits[0]:.2f} s, half of them after {np.median(waits):.2f} s, all after "
        f"{waits[-1]:.2f} s"
    )
    await asyncio.to_thread(engine.drain, 0)


def main() -> None:
    """Load the bundled model and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("batches", nargs="*", type=int, default=BATCHES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    sys.setswitchinterval(SWITCH_S)  # as the agent has it
    base = load_base(ModelSettings())
    # a reply that stopped by itself would leave its batch smaller
    base = replace(base, stop_ids=frozenset())
    plain = sum(base.model.get_parameter(name).nbytes for name in base.model.names) / 1e6
    print(f"{plain:.0f} MB of float32 weights, held in {base.model.nbytes / 1e6:.0f} MB; ", end="")
    print(f"prompts of {PROMPT_TOKENS} tokens, {TOKENS} tokens each, ", end="")
    print(f"{torch.get_num_threads()} threads, {chosen.rounds} rounds in turns")
    asyncio.run(measure(base, chosen.batches, chosen.rounds))


if __name__ == "__main__":
    main()
