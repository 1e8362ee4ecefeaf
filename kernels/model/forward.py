"""Turns token ids into hidden states, through the layers of a model.

The walk is spelled out so that two things can be put in from outside: how a linear layer is
applied (members perturb it) and how attention sees the past (a KV cache, or none). Where neither is
changed, the result equals the forward pass of transformers.

Knows nothing of text, sampling, caches or versions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.errors import UnsupportedModelError
from kernels.model.layers import Layer
from kernels.model.model import EMBEDDING, HEAD, NORM, Model
from kernels.model.step import step_of

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, q (b, heads, t, d), k (b, kv, t, d), v (b, kv, t, d)), after rope → (b, heads, t, d)."""

Linear = Callable[[str, Layer, Tensor], Tensor]
"""(name of the weight, the layer, x (…, in)) → (…, out)."""

Rope = tuple[Tensor, Tensor]
"""Cosine and sine, each (b, t, d) or (1, t, d)."""

FAMILIES: Final = ("llama", "mistral", "qwen2", "qwen3")

# These change their frequencies with the length of the batch, so a cached key would be stale.
_MOVING_ROPES: Final = ("dynamic", "longrope")

_SUPPORTED: Final = (
    "supported are llama, mistral, qwen2 and qwen3 with silu, without sliding window, with a rope "
    "that does not depend on the length (default, linear, llama3, yarn)"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The positions whose final states are wanted.

    rows: (n,) int64; attend: as Attend, but q (b, heads, n, d) holds their queries only
    """

    rows: Tensor
    attend: Attend


def unchanged(_name: str, layer: Layer, x: Tensor) -> Tensor:
    """Apply a linear layer as it is."""
    return layer.apply(x)


def causal(_layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend to every earlier position; right padding is never seen by what stands before it."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


class Decoder:
    """A model walked as embed → run → norm → logits.

    num_layers, heads, kv_heads, head_dim, width, vocabulary: the model's sizes
    step: the same walk for one new token a row, compiled; None where there is none
    """

    def __init__(self, model: Model) -> None:
        sizes = model.sizes
        self.model = model
        self.num_layers = sizes.num_layers
        self.heads, self.kv_heads, self.head_dim = sizes.heads, sizes.kv_heads, sizes.head_dim
        self.width = sizes.width
        self.vocabulary = model.layer(HEAD).shape[0]
        self.dtype, self.device = model.dtype, model.device
        self._frequencies = sizes.frequencies.to(self.device)
        self._embedding, self._head = model.layer(EMBEDDING), model.layer(HEAD)
        self._norm = _Norm(model, NORM)
        self.step = step_of(model)
        self._blocks = [_Block(model, index) for index in range(sizes.num_layers)]

    @property
    def head(self) -> Tensor:
        """The output embedding, (vocabulary, width); unpacked anew where it is stored otherwise."""
        return self._head.plain()

    def embed(self, ids: Tensor) -> Tensor:
        """Look tokens up: (b, t) int64 → (b, t, width)."""
        return self._embedding.rows(ids)

    def rope(self, positions: Tensor) -> Rope:
        """Return the rotation of each position: (b, t) int64 → cosine and sine, (b, t, head_dim).

        (Su et al. 2021, eq. 15.)
        """
        angles = positions[..., None].float() * self._frequencies
        angles = torch.cat((angles, angles), dim=-1)
        scale = self.model.sizes.rope_scale
        return (angles.cos() * scale).to(self.dtype), (angles.sin() * scale).to(self.dtype)

    def run(
        self,
        hidden: Tensor,
        *,
        rope: Rope,
        attend: Attend,
        layers: range | None = None,
        linear: Linear = unchanged,
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
            hidden = self._blocks[index].run(hidden, whole, attend, linear, last)
        return hidden

    def norm(self, hidden: Tensor) -> Tensor:
        """Apply the final norm: (…, width) → (…, width)."""
        return self._norm.apply(hidden)

    def logits(self, hidden: Tensor, linear: Linear = unchanged) -> Tensor:
        """Score the vocabulary: (…, width) before the final norm → (…, vocabulary)."""
        return linear(HEAD, self._head, self.norm(hidden))


class _Norm:
    """Root mean square normalisation (Zhang & Sennrich 2019, eq. 4), rounded as in transformers."""

    def __init__(self, model: Model, name: str) -> None:
        self._weight, self._epsilon = model.vectors[name], model.sizes.norm_epsilon

    def apply(self, x: Tensor) -> Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self._epsilon)
        return self._weight * wide.to(x.dtype)


class _Block:
    """One transformer block: its layers, each with the name of its weight."""

    def __init__(self, model: Model, index: int) -> None:
        self.index, self.head_dim = index, model.sizes.head_dim
        block = f"model.layers.{index}"
        attention, mlp = f"{block}.self_attn", f"{block}.mlp"

        def layer(name: str) -> tuple[str, Layer]:
            return name, model.layer(name)

        self.q, self.k, self.v, self.o = (layer(f"{attention}.{x}_proj.weight") for x in "qkvo")
        self.gate, self.up, self.down = (
            layer(f"{mlp}.{x}_proj.weight") for x in ("gate", "up", "down")
        )
        self.norm_in = _Norm(model, f"{block}.input_layernorm.weight")
        self.norm_mlp = _Norm(model, f"{block}.post_attention_layernorm.weight")
        # qwen3 norms each head's query and key; the other families have no such vectors
        self.q_norm, self.k_norm = (
            _Norm(model, name) if name in model.vectors else None
            for name in (f"{attention}.q_norm.weight", f"{attention}.k_norm.weight")
        )

    def run(
        self, hidden: Tensor, rope: Rope, attend: Attend, linear: Linear, wanted: Wanted | None
    ) -> Tensor:
        attended = self._attend(self.norm_in.apply(hidden), rope, attend, linear, wanted)
        hidden = (hidden if wanted is None else hidden[:, wanted.rows]) + attended
        x = self.norm_mlp.apply(hidden)
        gated = F.silu(linear(*self.gate, x), inplace=True)
        return hidden + linear(*self.down, _times(gated, linear(*self.up, x)))

    def _attend(
        self, x: Tensor, rope: Rope, attend: Attend, linear: Linear, wanted: Wanted | None
    ) -> Tensor:
        rope_q = rope
        k = self._heads(linear(*self.k, x))
        v = self._heads(linear(*self.v, x)).transpose(1, 2)
        if wanted is not None:
            x, attend = x[:, wanted.rows], wanted.attend
            rope_q = rope[0][:, :, wanted.rows], rope[1][:, :, wanted.rows]
        q = self._heads(linear(*self.q, x))
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm.apply(q), self.k_norm.apply(k)
        q, k = _rotate(q.transpose(1, 2), rope_q), _rotate(k.transpose(1, 2), rope)
        if not len(q) == len(k) == len(v):  # only some of them differ between members
            largest = max(len(q), len(k), len(v))
            q, k, v = (part.expand(largest, -1, -1, -1) for part in (q, k, v))
        seen = attend(self.index, q, k, v).transpose(1, 2).flatten(2)
        return linear(*self.o, seen)

    def _heads(self, x: Tensor) -> Tensor:
        """(b, t, heads · d) → (b, t, heads, d)."""
        return x.view(*x.shape[:-1], -1, self.head_dim)


def _times(a: Tensor, b: Tensor) -> Tensor:
    """Multiply in the memory of the larger one: both are the widest that a pass holds."""
    return a.mul_(b) if len(a) >= len(b) else b.mul_(a)


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
    if getattr(config, "hidden_act", "silu") != "silu":
        raise UnsupportedModelError(f"a {family} model with {config.hidden_act}: {_SUPPORTED}")
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if rope in _MOVING_ROPES:
        raise UnsupportedModelError(f"a {family} model with {rope} rope: {_SUPPORTED}")
