"""Turns fixed items into how far a version prefers the right continuation, by forward passes only.

An item is asked in several fixed phrasings; after each stand continuations that are right and such
that are wrong. The *lead* is how much likelier the right ones are than the wrong, in nats: no reply
is decoded, so nothing is cut, and a change shows long before it flips a greedy reply.

The layers that no version moves are run once for a base and kept, as the base's own leads are: a
version that differs in its last block alone is scored by this block and the head. Which layers
these are is seen by their weights, which versions share with the base. The same weights give the
same leads.

Knows nothing of limits or of what an item is about.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from statistics import fmean, pstdev
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor

from kernels.model.forward import Decoder
from kernels.model.model import Model
from learner.population.members import Passage, Scored, Trunk, final_states, lay_out
from learner.safety.measuring import Measuring

TokenIds = tuple[int, ...]

# Passages in one pass: enough that what they share (a policy, tools) is mostly run once, few enough
# that a layer of them is a fraction of a second.
_AT_ONCE: Final = 16
# What is kept of the layers that do not move; sets that need more are run anew where they end.
_KEPT_BYTES: Final = 256 << 20
# One item must not decide a mean: a lead of e⁻¹² is as wrong as can be.
MOST_NATS: Final = 12.0
# Answers are sorted by confidence into as many equal ranges (Guo et al. 2017, eq. 3 with 10).
_BINS: Final = 10

Likelihood = Literal["sum", "mean"]


@dataclass(frozen=True, slots=True)
class Choice:
    """An item as it is asked in one phrasing; without wrong ones, everything else is wrong.

    likelihood: of a continuation, its tokens' sum, or their mean where lengths differ
    """

    item: str
    prompt: TokenIds
    right: tuple[TokenIds, ...]
    wrong: tuple[TokenIds, ...] = ()
    likelihood: Likelihood = "sum"


@dataclass(frozen=True, slots=True)
class Leads:
    """How far a version prefers what is right, item by item and phrasing by phrasing.

    by_item: item → lead in each phrasing, nats, within ±MOST_NATS
    confidence: of each answered choice, the probability of the preferred side, and whether it is
        the right one; of choices between sums only
    """

    by_item: Mapping[str, tuple[float, ...]]
    confidence: tuple[tuple[float, bool], ...] = ()

    @property
    def mean(self) -> float:
        """Mean lead, nats; NaN where one is not finite."""
        return fmean(fmean(leads) for leads in self.by_item.values())

    @property
    def worst(self) -> float:
        """Mean over items of the lead in their worst phrasing, nats."""
        return fmean(min(leads) for leads in self.by_item.values())

    @property
    def best(self) -> float:
        """Mean over items of the lead in their best phrasing, nats."""
        return fmean(max(leads) for leads in self.by_item.values())

    @property
    def spread(self) -> float:
        """Mean over items of the standard deviation among their phrasings, nats."""
        return fmean(pstdev(leads) for leads in self.by_item.values())

    @property
    def right(self) -> float:
        """Share of all askings in which the right side leads, 0..1."""
        return fmean(lead > 0 for leads in self.by_item.values() for lead in leads)

    @property
    def ece(self) -> float | None:
        """Expected calibration error, 0..1 (Guo et al. 2017, eq. 3); None where nothing is."""
        if not self.confidence:
            return None
        bins: dict[int, list[tuple[float, bool]]] = {}
        for sure, right in self.confidence:
            bins.setdefault(min(_BINS - 1, int(sure * _BINS)), []).append((sure, right))
        off = sum(abs(sum(s for s, _ in each) - sum(r for _, r in each)) for each in bins.values())
        return off / len(self.confidence)


class Choices:
    """The choices of one probe and one base, laid out once. Not shared between threads."""

    def __init__(self, measuring: Measuring, choices: Sequence[Choice]) -> None:
        """Compute nothing yet.

        choices: those of an item follow each other; at least one
        """
        self._measuring, self._choices = measuring, tuple(choices)
        self._base, self._pause = measuring.base.decoder, measuring.pause
        self._pieces: list[Scored] | None = None
        self._kept: dict[int, Trunk] = {}
        # the lowest layer that a version so far has moved, or is to move
        self._first = self._base.num_layers - measuring.moving

    def leads(self, decoder: Decoder) -> Leads:
        """Score one version: of the base, or one that grew on it."""
        if decoder is not self._base:
            return self._scored(decoder)
        asked = [(c.item, c.prompt, c.right, c.wrong, c.likelihood) for c in self._choices]
        kept = self._measuring.kept.value("leads", asked, lambda: asdict(self._scored(decoder)))
        return Leads(
            {item: tuple(leads) for item, leads in kept["by_item"].items()},
            tuple((sure, right) for sure, right in kept["confidence"]),
        )

    @torch.inference_mode()
    def _scored(self, decoder: Decoder) -> Leads:
        self._first = min(self._first, first_moved(self._base.model, decoder.model))
        scored: list[list[Tensor]] = []
        for number, piece in enumerate(self._laid_out()):
            states = final_states(decoder, self._trunk(number, piece), pause=self._pause)[0]
            each = self._logprobs(states, decoder.head, piece)
            scored += [[each[place].double() for place in places] for places in piece.places]
            self._pause()
        leads = [_lead(choice, each) for choice, each in zip(self._choices, scored, strict=True)]
        return _summary(self._choices, leads)

    def _logprobs(self, states: Tensor, head: Tensor, piece: Scored) -> Tensor:
        """Return the scored tokens' log-probabilities; the vocabulary is gone through once a row.

        states: (scored, width), normed; of continuations that begin alike, the same ones
        """
        sources = piece.sources.cpu()
        rows, first = np.unique(sources.numpy(), return_index=True)
        one = torch.from_numpy(first)
        scores = (states.float() * head[piece.targets].float()).sum(dim=-1)
        backend = self._measuring.backend
        found = backend.token_logprobs(states[one], head, piece.targets[one])
        normaliser = torch.zeros(int(rows.max()) + 1)
        normaliser[torch.from_numpy(rows)] = scores[one].cpu() - found.cpu()
        return scores.cpu() - normaliser[sources]

    def _laid_out(self) -> list[Scored]:
        if self._pieces is None:
            passages = [Passage(each.prompt, (*each.right, *each.wrong)) for each in self._choices]
            starts = range(0, len(passages), _AT_ONCE)
            device = self._base.device
            self._pieces = [lay_out(passages[first : first + _AT_ONCE], device) for first in starts]
        return self._pieces

    def _trunk(self, number: int, piece: Scored) -> Trunk:
        """Return a piece behind the layers that do not move, computed when it is first wanted."""
        kept = self._kept.get(number)
        if kept is not None and kept.layers.start == self._first:
            return kept
        trunk = self._measuring.trunk(piece, first=self._first)
        self._kept.pop(number, None)
        if sum(each.hidden.nbytes for each in self._kept.values()) < _KEPT_BYTES:
            self._kept[number] = trunk
        return trunk


def first_moved(base: Model, model: Model) -> int:
    """Return the lowest layer in which a version's weights are not the base's own objects.

    The last layer where none is; 0 where what stands around the layers differs.
    """
    last = base.sizes.num_layers - 1
    moved = [name for name, layer in base.layers.items() if model.layers[name] is not layer]
    moved += [name for name, vector in base.vectors.items() if model.vectors[name] is not vector]
    return min((_layer_of(name, last) for name in moved), default=last)


def _layer_of(name: str, last: int) -> int:
    """Return the layer of a parameter; what follows the layers counts for the last one."""
    parts = name.split(".")
    if "layers" in parts:
        return int(parts[parts.index("layers") + 1])
    return 0 if "embed" in name else last


def _lead(choice: Choice, scored: Sequence[Tensor]) -> float:
    """Return log p(right) − log p(wrong) of one choice, nats, within ±MOST_NATS."""
    each = [float(tokens.sum()) / _length(choice, len(tokens)) for tokens in scored]
    right = _logsumexp(each[: len(choice.right)])
    if choice.wrong:
        wrong = _logsumexp(each[len(choice.right) :])
    else:
        # the right ones exclude each other, so their sum is under 1 but for rounding
        wrong = math.log1p(-min(math.exp(right), 1 - 1e-9)) if math.isfinite(right) else right
    lead = right - wrong
    return max(-MOST_NATS, min(MOST_NATS, lead)) if math.isfinite(lead) else math.nan


def _length(choice: Choice, tokens: int) -> int:
    return tokens if choice.likelihood == "mean" else 1


def _logsumexp(values: Sequence[float]) -> float:
    most = max(values)
    if not math.isfinite(most):
        return most
    return most + math.log(sum(math.exp(value - most) for value in values))


def _summary(choices: Sequence[Choice], leads: Sequence[float]) -> Leads:
    by_item = {
        item: tuple(lead for _, lead in group)
        for item, group in groupby(zip(choices, leads, strict=True), key=lambda pair: pair[0].item)
    }
    confidence = tuple(
        (1 / (1 + math.exp(-abs(lead))), lead > 0)
        for choice, lead in zip(choices, leads, strict=True)
        if choice.wrong and choice.likelihood == "sum" and math.isfinite(lead)
    )
    return Leads(by_item, confidence)
