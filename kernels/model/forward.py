"""Turns token ids into hidden states, through the modules of a transformers model.

The walk is spelled out so that two things can be put in from outside: how a linear layer is
applied (members perturb it) and how attention sees the past (a KV cache, or none). With the
plain ones the result equals the model's own forward pass.

Knows nothing of text, sampling, caches or versions.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kernels.errors import UnsupportedModelError

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, q (b, heads, t, d), k (b, kv, t, d), v (b, kv, t, d)), after rope → (b, heads, t, d)."""

Linear = Callable[[str, nn.Linear, Tensor], Tensor]
"""(parameter name, the layer, x (…, in)) → (…, out)."""

Rope = tuple[Tensor, Tensor]
"""Cosine and sine, each (b, t, d) or (1, t, d)."""

FAMILIES: Final = ("llama", "mistral", "qwen2", "qwen3")

# These change their frequencies with the length of the batch, so a cached key would be stale.
_MOVING_ROPES: Final = ("dynamic", "longrope")

_SUPPORTED: Final = (
    "supported are llama, mistral, qwen2 and qwen3 without sliding window, with a rope that does "
    "not depend on the length (default, linear, llama3, yarn)"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The positions whose final states are wanted.

    rows: (n,) int64; attend: as Attend, but q (b, heads, n, d) holds their queries only
    """

    rows: Tensor
    attend: Attend


def plain(_name: str, layer: nn.Linear, x: Tensor) -> Tensor:
    """Apply a linear layer as it is."""
    return F.linear(x, layer.weight, layer.bias)


def causal(_layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend to every earlier position; right padding is never seen by what stands before it."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


class Decoder:
    """A read-only view of a causal language model as embed → run → norm → head.

    num_layers, heads, kv_heads, head_dim, width, vocabulary: the model's sizes
    head: (vocabulary, width), the output embedding
    raises: UnsupportedModelError naming what is supported
    """

    def __init__(self, model: Any) -> None:
        require_supported(model.config)
        config = model.config
        self.model = model
        self.num_layers: int = config.num_hidden_layers
        self.heads: int = config.num_attention_heads
        self.kv_heads: int = config.num_key_value_heads
        self.width: int = config.hidden_size
        self._layers = [_Block(index, layer) for index, layer in enumerate(model.model.layers)]
        self.head_dim: int = self._layers[0].attention.head_dim
        self.head: Tensor = model.lm_head.weight
        self.vocabulary: int = self.head.shape[0]

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return self.head.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.head.device

    def embed(self, ids: Tensor) -> Tensor:
        """Look tokens up: (b, t) int64 → (b, t, width)."""
        hidden: Tensor = self.model.model.embed_tokens(ids)
        return hidden

    def rope(self, positions: Tensor) -> Rope:
        """Give the rotation of each position: (b, t) int64 → cosine and sine, (b, t, head_dim)."""
        cosine, sine = self.model.model.rotary_emb(self.head, position_ids=positions)
        return cosine, sine

    def run(
        self,
        hidden: Tensor,
        *,
        rope: Rope,
        attend: Attend,
        layers: range | None = None,
        linear: Linear = plain,
        wanted: Wanted | None = None,
    ) -> Tensor:
        """Pass hidden states through some of the blocks (default: all).

        hidden: (b, t, width), or b = 1 where `linear` makes many of one input; rope: of the same
            b and t, or b = 1
        wanted: let the last of these blocks compute nothing for other positions but what the
            wanted ones attend to, their keys and values
        returns: (b, t, width), or (b, n, width) of those wanted, before the final norm
        """
        blocks = layers if layers is not None else range(self.num_layers)
        whole = _rotation(rope)
        for index in blocks:
            last = wanted if index == blocks[-1] else None
            hidden = self._layers[index].run(hidden, whole, attend, linear, last)
        return hidden

    def norm(self, hidden: Tensor) -> Tensor:
        """Apply the final norm: (…, width) → (…, width)."""
        normed: Tensor = self.model.model.norm(hidden)
        return normed

    def logits(self, hidden: Tensor, linear: Linear = plain) -> Tensor:
        """Score the vocabulary: (…, width) before the final norm → (…, vocabulary)."""
        return linear("lm_head.weight", self.model.lm_head, self.norm(hidden))


class _Block:
    """One transformer block with the names of its linear layers at hand."""

    def __init__(self, index: int, layer: Any) -> None:
        self.index = index
        self.attention = layer.self_attn
        self.mlp = layer.mlp
        self.norm_in = layer.input_layernorm
        self.norm_mlp = layer.post_attention_layernorm
        # qwen3 norms each head's query and key; the other families have no such module
        self.q_norm = getattr(self.attention, "q_norm", None)
        self.k_norm = getattr(self.attention, "k_norm", None)
        attention, mlp = f"model.layers.{index}.self_attn", f"model.layers.{index}.mlp"
        self.q, self.k, self.v, self.o = (f"{attention}.{x}_proj.weight" for x in "qkvo")
        self.gate, self.up, self.down = (f"{mlp}.{x}_proj.weight" for x in ("gate", "up", "down"))

    def run(
        self, hidden: Tensor, rope: Rope, attend: Attend, linear: Linear, wanted: Wanted | None
    ) -> Tensor:
        attended = self._attend(self.norm_in(hidden), rope, attend, linear, wanted)
        hidden = (hidden if wanted is None else hidden[:, wanted.rows]) + attended
        x = self.norm_mlp(hidden)
        gated = self.mlp.act_fn(linear(self.gate, self.mlp.gate_proj, x))
        gated = gated * linear(self.up, self.mlp.up_proj, x)
        return hidden + linear(self.down, self.mlp.down_proj, gated)

    def _attend(
        self, x: Tensor, rope: Rope, attend: Attend, linear: Linear, wanted: Wanted | None
    ) -> Tensor:
        attention, rope_q = self.attention, rope
        k = self._heads(linear(self.k, attention.k_proj, x))
        v = self._heads(linear(self.v, attention.v_proj, x)).transpose(1, 2)
        if wanted is not None:
            x, attend = x[:, wanted.rows], wanted.attend
            rope_q = rope[0][:, :, wanted.rows], rope[1][:, :, wanted.rows]
        q = self._heads(linear(self.q, attention.q_proj, x))
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = _rotate(q.transpose(1, 2), rope_q), _rotate(k.transpose(1, 2), rope)
        if not len(q) == len(k) == len(v):  # only some of them differ between members
            largest = max(len(q), len(k), len(v))
            q, k, v = (part.expand(largest, -1, -1, -1) for part in (q, k, v))
        seen = attend(self.index, q, k, v).transpose(1, 2).flatten(2)
        return linear(self.o, attention.o_proj, seen)

    def _heads(self, x: Tensor) -> Tensor:
        """(b, t, heads · d) → (b, t, heads, d)."""
        return x.view(*x.shape[:-1], -1, self.attention.head_dim)


def _rotation(rope: Rope) -> Rope:
    """Cosine and sine as (b, 1, t, d), the same for every head."""
    return rope[0].unsqueeze(1), rope[1].unsqueeze(1)


def _rotate(x: Tensor, rope: Rope) -> Tensor:
    # Hugging Face's layout: the two halves of a head are the two coordinates of each plane
    cosine, sine = rope
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-second, first), dim=-1) * sine


def require_supported(config: Any) -> None:
    """Refuse a configuration that the walk would get wrong.

    raises: UnsupportedModelError, with the reason and what is supported
    """
    family = getattr(config, "model_type", None)
    if family not in FAMILIES:
        raise UnsupportedModelError(f"a model of type {family!r}: {_SUPPORTED}")
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"} or (family == "mistral" and config.sliding_window is not None):
        raise UnsupportedModelError(f"a {family} model with sliding window attention: {_SUPPORTED}")
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if rope in _MOVING_ROPES:
        raise UnsupportedModelError(f"a {family} model with {rope} rope: {_SUPPORTED}")


def with_weights(model: Any, weights: Mapping[str, Tensor]) -> Any:
    """Build a twin of a model with some tensors replaced; every other tensor is shared, not copied.

    weights: Hugging Face parameter name → tensor of the same shape; tied parameters are
        replaced together
    raises: ValueError for a name or shape that the model does not have
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    # deepcopy takes a tensor that it finds in its memo for already copied: hence shared
    memo = {id(tensor): tensor for tensor in (*parameters.values(), *model.buffers())}
    for name, weight in weights.items():
        if name not in parameters:
            raise ValueError(f"the model has no parameter {name!r}")
        old = parameters[name]
        if weight.shape != old.shape:
            raise ValueError(f"{name} is {tuple(old.shape)}, not {tuple(weight.shape)}")
        memo[id(old)] = nn.Parameter(weight, requires_grad=False)
    return copy.deepcopy(model, memo)
