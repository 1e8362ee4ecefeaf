"""What learning costs those who chat: tokens a second of the engine while a learner computes.

A second process scores generations without end, as the learner does: in pieces, at the lowest
priority, on its share of the cores. It is stopped and let go on in turns, so that both figures come
from the same engine, streams and minute. What is promised is that replies keep at least 1 − share
of their speed.

Run with --learn SHARE it is that second process.
"""

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import torch

from agent.engine.contract import Engine, Finish, Request
from agent.engine.engine import BatchingEngine
from agent.settings import AgentSettings
from agent.swap.residents import Residents
from kernels.open import open_backend
from learner.batch.lesson import Lesson
from learner.batch.plan import generation_key
from learner.run import NICE, yield_to_others
from learner.safety.anchors import Anchors
from learner.serving import Serving
from learner.settings import LearnerSettings
from learner.update.generation import run_generation
from streams.model.open import load_base
from streams.records import Mask, Sampling
from streams.settings import ModelSettings

SHARES = (0.25, 0.5, 0.9)
STREAMS = 4
ROUNDS = 4
ROUND_S = 6.0
# After a switch: caches are warm again, and a slept-off debt of CPU time is paid.
SETTLE_S = 1.5


def learn(share: float) -> None:
    """Score generations until the process is ended; says when it begins."""
    settings = LearnerSettings(cpu_share=share)
    pause = yield_to_others(settings, threading.Event(), NICE)
    base, backend = load_base(ModelSettings(), plain_head=True), open_backend("cpu")
    mask = Mask(base=base.name, neurons={}, groups={})
    layers, modules = settings.moving(base.decoder.num_layers)
    serving = Serving(base, backend, mask, layers=layers, modules=modules)
    anchors = Anchors(base, backend=backend, moving=len(layers))
    words = torch.randint(500, 20000, (6, 80), generator=torch.Generator().manual_seed(0)).tolist()
    lessons = [
        Lesson(
            str(number), 1 / 6, -1, 0.8, tuple(text[:40]), tuple(text[40:]), (),
            target=tuple(text[40:64]), teacher=(-1.0,) * 24,
        )
        for number, text in enumerate(words)
    ]  # fmt: skip
    print("learning", flush=True)
    for number in count(1):
        key = generation_key(0, "main", number, base.name)
        run_generation(
            key, lessons, serving, settings, backend=backend, pause=pause, anchors=anchors
        )


@contextmanager
def learner(share: float) -> Iterator[int]:
    """Have a learner beside; gives its process id."""
    command = [sys.executable, "-m", "tests.bench.bench_share", "--learn", str(share)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            if child.stdout.readline().strip() != "learning":
                raise SystemExit("the learner beside did not start")
            yield child.pid
        finally:
            child.kill()


async def measure(engine: Engine) -> None:
    """Print the table."""
    print(f"{'cpu_share':<10}{'alone':>8}{'beside':>8}   {'kept':>6}{'promised':>10}")
    made = [0]
    streams = [asyncio.create_task(stream(engine, number, made)) for number in range(STREAMS)]
    for share in SHARES:
        with learner(share) as beside:
            alone, shared = [], []
            for _ in range(ROUNDS):
                os.kill(beside, signal.SIGSTOP)
                alone.append(await rate(made))
                os.kill(beside, signal.SIGCONT)
                shared.append(await rate(made))
        before, after = statistics.median(alone), statistics.median(shared)
        kept = f"{after / before:>6.0%}{1 - share:>10.0%}"
        print(f"{share:<10}{before:>8.1f}{after:>8.1f}   {kept}", flush=True)
    for each in streams:
        each.cancel()
    await asyncio.gather(*streams, return_exceptions=True)


async def stream(engine: Engine, number: int, made: list[int]) -> None:
    """Ask again and again, counting tokens."""
    prompt = torch.randint(500, 20000, (48,), generator=torch.Generator().manual_seed(number))
    for seed in count(number):
        sampling = Sampling(temperature=0.7, top_p=0.95, max_tokens=256, seed=seed)
        async for event in engine.submit(Request(prompt.tolist(), sampling)):
            made[0] += not isinstance(event, Finish)


async def rate(made: list[int]) -> float:
    """Return tokens a second over a round."""
    await asyncio.sleep(SETTLE_S)
    began_s, before = time.perf_counter(), made[0]
    await asyncio.sleep(ROUND_S)
    return (made[0] - before) / (time.perf_counter() - began_s)


def main() -> None:
    """Load the bundled model and measure."""
    if sys.argv[1:2] == ["--learn"]:
        learn(float(sys.argv[2]))
        return
    torch.set_num_threads(os.cpu_count() or 1)
    base = replace(load_base(ModelSettings()), stop_ids=frozenset())
    # all streams have their place at once: by default the memory is that of one whole context
    settings = AgentSettings(context_tokens=512, kv_tokens=512 * STREAMS)
    engine = BatchingEngine(Residents(base, open_backend("cpu")), settings=settings, base=base)
    engine.start()
    print(f"tokens a second of {STREAMS} streams, medians of {ROUNDS} rounds of {ROUND_S:.0f} s")
    asyncio.run(measure(engine))
    engine.drain(0)


if __name__ == "__main__":
    main()
