"""The next token of many sequences, in one compiled walk through a model.

Turns a decoder into a plan: where each weight lies, and as what. A decoder that the walk is not
written for (other devices, biases, norms of heads, sizes that fill no strip) has none, and takes a
step layer by layer (kernels.model.decode).
"""

import math
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kernels.cpu.lanes import GROUP, STRIP
from kernels.cpu.step import LAYERS, walk
from kernels.cpu.strips import Strips
from kernels.dtypes import is_for_processor
from kernels.model.blocks import BlocksLayer
from kernels.model.layers import Layer
from kernels.model.model import HEAD, NORM, Model
from kernels.model.packed import PackedLayer

Array = npt.NDArray[Any]

_MODULES: Final = (
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
)  # fmt: skip
_NORMS: Final = ("input_layernorm", "post_attention_layernorm")

# The threads of a step wait for each other, so two steps must not share out the same threads.
_ONE_AT_A_TIME: Final = threading.Lock()
_OTHERS: Final = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="step")


class Step:
    """One version's plan of a step. Any thread may use it."""

    def __init__(self, model: Model, layers: Sequence[Strips]) -> None:
        sizes = model.sizes
        self._model, self._sizes = model, sizes  # the model holds the memory of the weights
        lines = [[each.number, each.address, *each.shape, each.block] for each in layers]
        self._plan = np.array(lines, dtype=np.int64)
        self._vocabulary, self._inner = layers[-1].shape[0], layers[LAYERS - 1].shape[1]
        names = [
            f"model.layers.{block}.{norm}.weight"
            for block in range(sizes.num_layers)
            for norm in _NORMS
        ]
        self._norms = np.stack([model.vectors[name].numpy() for name in (*names, NORM)])
        self._scale = np.float32(1 / math.sqrt(sizes.head_dim))

    def logits(
        self,
        hidden: Tensor,
        rope: tuple[Tensor, Tensor],
        memory: Tensor,
        tables: Array,
        lengths: Array,
    ) -> Tensor:
        """Read one more token a row.

        hidden: (rows, width) embeddings; rope: cosine and sine, (rows, head_dim) each
        memory: of the cache's pages; tables, lengths: as KvCache.tables
        returns: (rows, vocabulary) logits of the token after it
        """
        rows, width = hidden.shape
        sizes, threads = self._sizes, min(torch.get_num_threads(), os.cpu_count() or 1)
        out = torch.empty(rows, self._vocabulary)
        cosine, sine = (np.ascontiguousarray(each.numpy()) for each in rope)
        floats = np.float32
        scores = np.empty((2, threads, max(int(lengths.max()), self._inner)), floats)
        heads = np.empty((2, rows, sizes.heads, sizes.head_dim), floats)
        inner = np.empty((2, rows, self._inner), floats)
        common = (
            self._plan, self._norms, floats(sizes.norm_epsilon), hidden.clone().numpy(), cosine,
            sine, memory.numpy(), tables, lengths, self._scale,
        )  # fmt: skip
        shared = (
            heads[0], np.empty((2, rows, sizes.kv_heads, sizes.head_dim), floats), heads[1],
            np.empty((rows, width), floats), inner[0], inner[1],
        )  # fmt: skip
        counter = np.zeros(1, np.int64)

        def part(thread: int) -> None:
            normed, powers = np.empty((rows, width), floats), scores[1, thread]
            walk(
                thread, threads, counter, *common, normed, *shared, scores[0, thread], powers,
                powers.view(np.int32), out.numpy(),
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
    names = [f"model.layers.{block}.{module}.weight" for block in blocks for module in _MODULES]
    layers = [_strips(model.layer(name)) for name in (*names, HEAD)]
    vectors = 2 * len(blocks) + 1  # a model with biases or norms of heads has more
    if not is_for_processor(model.device, model.dtype) or len(model.vectors) != vectors:
        return None
    found = [each for each in layers if each is not None]
    return Step(model, found) if len(found) == len(layers) else None


def _strips(layer: Layer) -> Strips | None:
    if not isinstance(layer, BlocksLayer | PackedLayer) or layer.strips is None:
        return None
    whole = layer.shape[0] % STRIP == 0 and layer.shape[1] % GROUP == 0
    return layer.strips if whole and layer.bias is None else None
