"""What a start has done before a request can come: every loop that one may need is compiled."""

import socket
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from agent.engine.sampler import Sampler, choose
from agent.errors import BindError
from agent.run import run
from agent.settings import AgentSettings
from kernels.model.blank import blank
from kernels.model.forward import Decoder
from kernels.model.kv import KvCache
from kernels.model.read import WALKED_TOKENS, Piece, next_logits_of
from streams.records import Sampling
from streams.settings import DIRECT, ModelSettings, StreamsSettings

SAMPLINGS: tuple[dict[str, Any], ...] = (
    {"temperature": 0},
    {"top_k": 5},
    {"min_p": 0.1},
    {"top_p": 0.5},
    {"presence_penalty": 1, "repetition_penalty": 1.2, "logit_bias": {5: 3.0}},
)


def loops() -> set[str]:
    """Name the loops that this process has as machine code, with their types."""
    kernels = [module for name, module in sys.modules.items() if name.startswith("kernels.")]
    return {
        f"{name}{signature}"
        for module in kernels
        for name, value in vars(module).items()
        for signature in getattr(value, "signatures", ())
    }


def start(folder: Path) -> None:
    """Start an agent up to where it would serve: its port is taken."""
    torch.set_num_threads(2)  # one thread has loops of its own
    with closing(socket.create_server(("127.0.0.1", 0))) as other, suppress(BindError):
        run(
            model=ModelSettings(path=folder / "model", cache=folder / "cache"),
            streams=StreamsSettings(home=folder / "home"),
            settings=AgentSettings(port=other.getsockname()[1]),
            rollout=DIRECT,
        )


def answer(decoder: Decoder) -> None:
    """Read many prompts together and a long one, and sample in every way."""
    cache = KvCache(decoder, capacity=2 * WALKED_TOKENS, tokens=4 * WALKED_TOKENS)
    given = [{"temperature": 1, "top_p": 1} | sampling for sampling in SAMPLINGS]
    samplers = [Sampler(Sampling(max_tokens=1, seed=0, **each), top_logprobs=2) for each in given]
    with torch.inference_mode():
        slots = [cache.open() for _ in given]
        next_logits_of(cache, [Piece(decoder, slot, range(slot + 1)) for slot in slots])
        choose(samplers, next_logits_of(cache, [Piece(decoder, slot, [1]) for slot in slots]))
        next_logits_of(cache, [Piece(decoder, cache.open(), [0] * (WALKED_TOKENS + 1))])


def late(folder: Path) -> set[str]:
    """Name the loops that only requests ask for."""
    start(folder)
    decoder = blank()
    ready = loops()
    answer(decoder)
    return loops() - ready


def write_model(folder: Path) -> None:
    """Write the model that `start` opens, one that is walked."""
    from tests.tiny import tiny_model_dir  # here: a process anew need not load transformers

    sizes = {"intermediate_size": 128, "num_attention_heads": 8, "num_key_value_heads": 4}
    tiny_model_dir(folder / "model", seed=0, family="llama", **sizes)


def anew(look: Callable[[Path], set[str]], folder: Path) -> set[str]:
    """Look in a process of its own, which has no loops yet."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(look, folder).result()


def test_no_request_meets_a_loop_that_is_not_compiled_yet(tmp_path: Path) -> None:
    """An agent's port opens when all loops are there: to compile them takes a minute."""
    write_model(tmp_path)
    assert anew(late, tmp_path) == set()
