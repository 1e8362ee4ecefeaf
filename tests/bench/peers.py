"""Other engines that run the bundled model: llama.cpp, from the extra `peers`."""

import time
from collections.abc import Sequence
from itertools import islice
from typing import Any

from streams.model.convert import bundled_gguf


def load_llama_cpp(context_tokens: int, threads: int) -> Any | None:
    """Load the bundled 4-bit file into llama.cpp; None where it is not installed."""
    try:
        from llama_cpp import Llama
    except ImportError:
        return None
    return Llama(
        str(bundled_gguf()),
        n_ctx=context_tokens,
        n_threads=threads,
        n_threads_batch=threads,
        verbose=False,
    )


def llama_cpp_rate(model: Any, prompt: Sequence[int], tokens: int) -> float:
    """Return greedy tokens a second after the first one, whatever they are."""
    times = [time.perf_counter() for _ in islice(model.generate(prompt, temp=0.0), tokens + 1)]
    return tokens / (times[-1] - times[0])
