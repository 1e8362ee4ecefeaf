"""Tunes the encoder: low-rank additions to its matrices, biases, norms and a head, by AdamW.

LoRA (Hu et al. 2021) in bfloat16 with dropout; the base's embeddings and matrices stay as they are.
Deterministic by its seed on one machine and number of threads.
"""

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as nn

from learner.judges.tuned.encoder import LABELS, LINEAR, MOST_TOKENS, SCALE
from streams.model.embedding.e5_file import E5File

Tokens = Sequence[int]
Said = Callable[[int, float, float], None]

RANK: Final = 16
DROPOUT: Final = 0.1
BATCH: Final = 32
# Batches are taken out of so many sorted by length, so that little is filled up.
BUCKET: Final = 16
RATE: Final = 1e-3
LEAST_RATE: Final = 0.02  # of the highest
WARM_UP: Final = 0.1
SMOOTHING: Final = 0.03
LARGEST_GRADIENT: Final = 1.0
HALF: Final = torch.bfloat16


@dataclass(frozen=True, slots=True)
class Batch:
    """ids, real: (texts, tokens); real is false where a text has ended."""

    ids: torch.Tensor
    real: torch.Tensor

    @classmethod
    def of(cls, texts: Sequence[Tokens], padding: int) -> "Batch":
        """Fill some texts up to the longest."""
        longest = max(map(len, texts))
        ids = torch.tensor([[*text, *[padding] * (longest - len(text))] for text in texts])
        lengths = torch.tensor([len(text) for text in texts])
        return cls(ids, torch.arange(longest) < lengths[:, None])


class Tuning(torch.nn.Module):
    """The encoder while it is tuned; its parameters are what the file will hold."""

    def __init__(
        self, file: E5File, *, seed: int, start: Mapping[str, torch.Tensor] | None = None
    ) -> None:
        """Begin with no additions, or go on from what was tuned before."""
        super().__init__()
        self._shape = file.shape
        hidden, inner = self._shape.hidden, self._shape.inner
        self._words = torch.from_numpy(file.matrix("emb.word", inputs=hidden)).to(HALF)
        places = torch.from_numpy(file.dense("emb.pos")).view(-1, hidden)[:MOST_TOKENS]
        self._places = places + torch.from_numpy(file.dense("emb.type"))[:hidden]
        self._base = dict[str, torch.Tensor]()
        self.p = torch.nn.ParameterDict(
            {"elw": _parameter(file, "emb.ln.w"), "elb": _parameter(file, "emb.ln.b")}
        )
        drawn = torch.Generator().manual_seed(seed)
        for layer in range(self._shape.layers):
            for name in LINEAR:
                key = f"l{layer}_{name}"
                base = file.matrix(f"l{layer}.{name}.w", inputs=inner if name == "fo" else hidden)
                self._base[key] = torch.from_numpy(base).to(HALF)
                outputs, inputs = base.shape
                a = torch.randn(RANK, inputs, generator=drawn) / math.sqrt(inputs)
                self.p[f"{key}_a"] = torch.nn.Parameter(a)
                self.p[f"{key}_b"] = torch.nn.Parameter(torch.zeros(outputs, RANK))
                self.p[f"{key}_bias"] = _parameter(file, f"l{layer}.{name}.b")
            for name in ("aln", "oln"):
                for part in "wb":
                    self.p[f"l{layer}_{name}{part}"] = _parameter(file, f"l{layer}.{name}.{part}")
        torch.manual_seed(seed)
        self.head = torch.nn.Linear(hidden, len(LABELS))
        for name, value in (start or {}).items():
            if name.startswith("head."):
                getattr(self.head, name.removeprefix("head.")).data = value.clone()
            else:
                self.p[name] = torch.nn.Parameter(value.clone())

    def forward(self, batch: Batch) -> torch.Tensor:
        """Return the logits of the labels: (texts, 5)."""
        x = self._words[batch.ids].float() + self._places[: batch.ids.shape[1]]
        x = self._drop(self._norm(x, "el"))
        for layer in range(self._shape.layers):
            x = self._layer(x, f"l{layer}_", batch.real)
        real = batch.real[..., None].float()
        logits: torch.Tensor = self.head(self._drop((x * real).sum(1) / real.sum(1)))
        return logits

    def tuned(self) -> dict[str, torch.Tensor]:
        """Return what was tuned, by the names that the encoder reads."""
        found = {name: value.detach().clone() for name, value in self.p.items()}
        head = {f"head.{name}": value.clone() for name, value in self.head.state_dict().items()}
        return found | head

    def _layer(self, x: torch.Tensor, key: str, real: torch.Tensor) -> torch.Tensor:
        texts, tokens, hidden = x.shape
        q, k, v = (
            self._linear(x, key + name).view(texts, tokens, self._shape.heads, -1).transpose(1, 2)
            for name in "qkv"
        )
        mixed = nn.scaled_dot_product_attention(q, k, v, attn_mask=real[:, None, None, :])
        mixed = mixed.transpose(1, 2).reshape(texts, tokens, hidden)
        x = self._norm(x + self._drop(self._linear(mixed, f"{key}ao").float()), f"{key}aln")
        inner = nn.gelu(self._linear(x, f"{key}fi"))
        return self._norm(x + self._drop(self._linear(inner, f"{key}fo").float()), f"{key}oln")

    def _linear(self, x: torch.Tensor, key: str) -> torch.Tensor:
        x, bias = x.to(HALF), self.p[f"{key}_bias"].to(HALF)
        a, b = self.p[f"{key}_a"].to(HALF), (SCALE * self.p[f"{key}_b"]).to(HALF)
        return nn.linear(x, self._base[key], bias) + nn.linear(nn.linear(x, a), b)

    def _norm(self, x: torch.Tensor, key: str) -> torch.Tensor:
        weight, bias = self.p[f"{key}w"], self.p[f"{key}b"]
        return nn.layer_norm(x, (x.shape[-1],), weight, bias, self._shape.eps)

    def _drop(self, x: torch.Tensor) -> torch.Tensor:
        return nn.dropout(x, DROPOUT, self.training)


def _parameter(file: E5File, name: str) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.from_numpy(file.dense(name)))


def tune(
    tuning: Tuning,
    texts: Sequence[Tokens],
    labels: Sequence[int],
    *,
    epochs: int,
    padding: int,
    seed: int,
    said: Said,
    rate: float = RATE,
    ends: float = LEAST_RATE,
) -> None:
    """Tune it on some texts.

    labels: numbers of LABELS; said: told each epoch's number, mean loss and seconds; rate: at its
    highest; ends: the share of it at the end, to which it falls in a line
    """
    chance = random.Random(seed)
    torch.manual_seed(seed)
    optimiser = torch.optim.AdamW(tuning.parameters(), lr=rate, weight_decay=0.01)
    steps = epochs * math.ceil(len(texts) / BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / (WARM_UP * steps), 1 - (1 - ends) * step / steps)
    )
    for epoch in range(epochs):
        tuning.train()
        began_s, total, batches = time.monotonic(), 0.0, 0
        for chosen in _shuffled(texts, chance):
            logits = tuning(Batch.of([texts[i] for i in chosen], padding))
            wanted = torch.tensor([labels[i] for i in chosen])
            loss = nn.cross_entropy(logits, wanted, label_smoothing=SMOOTHING)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(tuning.parameters(), LARGEST_GRADIENT)
            optimiser.step()
            schedule.step()
            total, batches = total + loss.item(), batches + 1
        said(epoch, total / batches, time.monotonic() - began_s)
    tuning.eval()


def _shuffled(texts: Sequence[Tokens], chance: random.Random) -> Iterator[Sequence[int]]:
    """Part the texts' numbers into batches of about one length, in any order."""
    order = chance.sample(range(len(texts)), len(texts))
    near = BATCH * BUCKET
    order = [
        i
        for first in range(0, len(order), near)
        for i in sorted(order[first : first + near], key=lambda i: len(texts[i]))
    ]
    batches = [order[first : first + BATCH] for first in range(0, len(order), BATCH)]
    yield from chance.sample(batches, len(batches))
