"""How long a coding agent's request takes: 7,700 tokens of instructions and tools, then its loop.

On the bundled model, as it is served: the first request reads the whole prompt, each further one of
its loop finds what the last one read and adds a step to it. The baseline is the same second request
by another principal, who finds nothing.
"""

import asyncio
import os
import time
from dataclasses import replace

import torch

from agent.engine.contract import Engine, Finish, Request
from agent.engine.engine import BatchingEngine
from agent.settings import AgentSettings
from agent.swap.residents import Residents
from kernels.open import open_backend
from streams.model.open import BaseModel, load_base
from streams.records import Sampling
from streams.settings import ModelSettings
from tests.bench.bench_decode import prompts

PROMPT_TOKENS, STEP_TOKENS, REPLY_TOKENS = 7_700, 200, 32


async def ask(engine: Engine, ids: list[int], owner: str) -> tuple[float, float, int, list[int]]:
    """Seconds to the first token and to the last; tokens that were found; and the reply."""
    sampling = Sampling(temperature=0.7, top_p=0.95, max_tokens=REPLY_TOKENS, seed=1)
    began_s, times, reply = time.perf_counter(), list[float](), list[int]()
    stream = engine.submit(Request(ids, sampling, owner=owner))
    async for event in stream:
        if not isinstance(event, Finish):
            times.append(time.perf_counter() - began_s)
            reply.append(event.id)
    return times[0], times[-1], stream.reused_tokens, reply


async def measure(base: BaseModel) -> None:
    """Print the table."""
    settings = AgentSettings()
    engine = BatchingEngine(Residents(base, open_backend("cpu")), settings=settings, base=base)
    engine.start()
    filler = [token for each in prompts(1 + 2 * PROMPT_TOKENS // 96) for token in each]
    await ask(engine, filler[-96:], "warm")  # whatever is made at its first use
    first, step = filler[:PROMPT_TOKENS], filler[PROMPT_TOKENS : PROMPT_TOKENS + STEP_TOKENS]
    print(f"{'request':<34}{'tokens':>8}{'found':>8}{'first token':>14}{'tokens/s':>10}")

    async def row(name: str, ids: list[int], owner: str) -> list[int]:
        first_s, last_s, found, reply = await ask(engine, ids, owner)
        speed = (len(reply) - 1) / (last_s - first_s)
        print(f"{name:<34}{len(ids):>8}{found:>8}{first_s:>12.2f} s{speed:>10.1f}", flush=True)
        return reply

    reply = await row("first", first, "agent")
    await row("next, a step later", [*first, *reply, *step], "agent")
    await row("the same by somebody else", [*first, *reply, *step], "another")
    await asyncio.to_thread(engine.drain, 0)


def main() -> None:
    """Load the bundled model and measure."""
    torch.set_num_threads(os.cpu_count() or 1)
    base = load_base(ModelSettings())
    print(f"{REPLY_TOKENS} tokens each, {torch.get_num_threads()} threads")
    asyncio.run(measure(replace(base, stop_ids=frozenset())))


if __name__ == "__main__":
    main()
