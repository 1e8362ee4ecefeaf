"""The next token of many sequences, of one version or several, in one compiled walk.

Turns a decoder into a plan: where each weight lies, and as what. Versions of one model share what
no recipe moves as the same objects (kernels.model.model.with_weights), so a plan's addresses say
what they have in common. A decoder that the walk is not written for (other devices, biases, norms
of heads, sizes that fill no strip) has no plan, and takes a step layer by layer
(kernels.model.read).
"""

import math
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kernels.dtypes import is_for_processor
from kernels.loops.heads import HEADS_AT_ONCE
from kernels.loops.lanes import GROUP, STRIP
from kernels.loops.step import IN, LAYERS, walk
from kernels.loops.strips import Strips, scratch
from kernels.loops.vectors import LANES
from kernels.model.blocks import BlocksLayer
from kernels.model.layers import Layer
from kernels.model.model import HEAD, NORM, Model
from kernels.model.packed import PackedLayer

Array = npt.NDArray[Any]

MODULES: Final = (
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
)  # fmt: skip
NORMS: Final = ("input_layernorm", "post_attention_layernorm")

# The threads of a step wait for each other, so two steps must not share out the same threads.
_ONE_AT_A_TIME: Final = threading.Lock()
_OTHERS: Final = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="step")


class Step:
    """One version's plan of a step.

    plan: (7 · blocks + 1, 5) int64; norms: (2 · blocks + 1, width) float32
    """

    def __init__(self, model: Model, layers: Sequence[Strips]) -> None:
        sizes = model.sizes
        self._model, self.sizes = model, sizes  # the model holds the memory of the weights
        lines = [[each.number, each.address, *each.shape, each.block] for each in layers]
        self.plan = np.array(lines, dtype=np.int64)
        self.vocabulary, self.inner = layers[-1].shape[0], layers[LAYERS - 1].shape[1]
        names = [
            f"model.layers.{block}.{norm}.weight"
            for block in range(sizes.num_layers)
            for norm in NORMS
        ]
        self.norms = np.stack([model.vectors[name].numpy() for name in (*names, NORM)])


@dataclass(frozen=True, slots=True)
class Rows:
    """What a step reads: a new token a row.

    hidden: (rows, width) embeddings; rope: cosine and sine, (rows, head_dim) each
    memory: of the cache's pages; tables, lengths: as KvCache.places
    wanted: (n,) int64, the rows whose logits are wanted, in order
    """

    hidden: Tensor
    rope: tuple[Tensor, Tensor]
    memory: Tensor
    tables: Array
    lengths: Array
    wanted: Array


def step_logits(steps: Sequence[Step], counts: Sequence[int], read: Rows) -> Tensor:
    """Read one more token a row.

    steps: of versions of one model; counts: of the rows of each, which follow each other
    returns: (n, vocabulary) logits of the token after each wanted row
    """
    (rows, width), first = read.hidden.shape, steps[0]
    sizes, threads = first.sizes, min(torch.get_num_threads(), os.cpu_count() or 1)
    floats = np.float32
    edges = np.cumsum([0, *counts])
    out = torch.empty(len(read.wanted), first.vocabulary)
    cosine, sine = (np.ascontiguousarray(each.numpy()) for each in read.rope)
    scores = np.empty((threads, HEADS_AT_ONCE, int(read.lengths.max())), floats)
    heads = np.empty((2, rows, sizes.heads, sizes.head_dim), floats)
    inner = np.empty((2, rows, first.inner), floats)
    common = (
        np.stack([step.plan for step in steps], 1), edges, read.wanted,
        np.searchsorted(read.wanted, edges), np.stack([step.norms for step in steps], 1),
        floats(sizes.norm_epsilon), read.hidden.clone().numpy(), cosine, sine, read.memory.numpy(),
        read.tables, read.lengths, floats(1 / math.sqrt(sizes.head_dim)),
    )  # fmt: skip
    shared = (
        heads[0], np.empty((2, rows, sizes.kv_heads, sizes.head_dim), floats), heads[1],
        np.empty((rows, width), floats), inner[0], inner[1],
    )  # fmt: skip
    counter, unpacked = np.zeros(1, np.int64), scratch(threads, first.plan[:, IN].max())

    # made before the threads begin, as these wait for each other
    normed = np.empty((threads, rows, width), floats)

    def part(thread: int) -> None:
        walk(
            thread, threads, counter, *common, normed[thread], unpacked[thread], *shared,
            scores[thread], out.numpy(),
        )  # fmt: skip

    with _ONE_AT_A_TIME:
        others = [_OTHERS.submit(part, thread) for thread in range(1, threads)]
        part(0)
        for other in others:
            other.result()
    return out


def step_of(model: Model) -> Step | None:
    """Return the plan of a model; None where the walk is not written for it."""
    blocks = range(model.sizes.num_layers)
    names = [f"model.layers.{block}.{module}.weight" for block in blocks for module in MODULES]
    layers = [_strips(model.layer(name)) for name in (*names, HEAD)]
    vectors = 2 * len(blocks) + 1  # a model with biases or norms of heads has more
    if not is_for_processor(model.device, model.dtype) or len(model.vectors) != vectors:
        return None
    if model.sizes.head_dim % LANES:
        return None
    found = [each for each in layers if each is not None]
    return Step(model, found) if len(found) == len(layers) else None


def _strips(layer: Layer) -> Strips | None:
    if not isinstance(layer, BlocksLayer | PackedLayer) or layer.strips is None:
        return None
    whole = layer.shape[0] % STRIP == 0 and layer.shape[1] % GROUP == 0
    return layer.strips if whole and layer.bias is None else None
