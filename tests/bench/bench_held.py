"""What it costs a reply to be held to a schema: tokens a second of the engine, held and free.

Same weights, prompts and settings, in turns, so that both see the same machine; a schema of
objects with free texts and numbers, so long that no reply ends. Computing masks and applying them
is in it; compiling a schema is timed apart.
"""

import asyncio
import os
import sys
import time
from dataclasses import replace

import numpy as np
import torch

from agent.constrain.contract import Grammar
from agent.constrain.open import open_compiler
from agent.constrain.source import json_of, rules
from agent.engine.engine import BatchingEngine
from agent.run import SWITCH_S
from agent.settings import AgentSettings
from agent.swap.residents import Residents
from kernels.model.kv import PAGE_TOKENS
from kernels.open import open_backend
from streams.model.open import BaseModel, load_base
from streams.settings import ModelSettings
from tests.bench.bench_decode import PROMPT_TOKENS, TOKENS, engine_rate, prompts

BATCHES = (1, 8)
ROUNDS = 15
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
ENDLESS = {"type": "array", "items": CITY, "minItems": 1000}


async def measure(base: BaseModel, grammar: Grammar) -> None:
    """Print the table."""
    tokens = max(BATCHES) * (PROMPT_TOKENS + TOKENS + 2 * max(BATCHES) + PAGE_TOKENS)
    # room for all replies at once: one that waited would not be measured beside the others
    settings = AgentSettings(max_batch=max(BATCHES), context_tokens=512, kv_tokens=tokens)
    engine = BatchingEngine(Residents(base, open_backend("cpu")), settings=settings, base=base)
    engine.start()
    print(f"{'tokens/s':<10}{'free':>8}{'held':>8}{'cost':>8}   (of medians)")
    for batch in BATCHES:
        ids = prompts(batch)
        await engine_rate(engine, ids, grammar)  # whatever is made at its first use
        rates = [
            [(await engine_rate(engine, ids, each))[0] for each in (None, grammar)]
            for _ in range(ROUNDS)
        ]
        free, held = np.median(rates, axis=0)
        print(f"{f'batch {batch}':<10}{free:>8.1f}{held:>8.1f}{1 - held / free:>8.1%}", flush=True)
    await asyncio.to_thread(engine.drain, 0)


def main() -> None:
    """Load the bundled model and measure."""
    torch.set_num_threads(os.cpu_count() or 1)
    sys.setswitchinterval(SWITCH_S)  # as the agent has it
    base = load_base(ModelSettings())
    compiler = open_compiler(base)
    if compiler is None:
        raise SystemExit("this benchmark needs the package llguidance")
    source = rules(start=json_of(ENDLESS))
    compiler.compile(source)  # waits for the vocabulary, which is read once
    began_s = time.perf_counter()
    grammar = compiler.compile(source)
    compiled_ms = (time.perf_counter() - began_s) * 1e3
    print(f"{TOKENS} tokens each, {torch.get_num_threads()} threads, {ROUNDS} rounds, ", end="")
    print(f"schema compiled in {compiled_ms:.1f} ms")
    # a free reply that stopped by itself would leave its batch smaller
    asyncio.run(measure(replace(base, stop_ids=frozenset()), grammar))


if __name__ == "__main__":
    main()
