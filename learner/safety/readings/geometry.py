"""Turns a version into where harmful and harmless requests lie in its states, beside the base.

At the last token of a request, behind every layer that a version may move (RefusalGuard, arXiv
2605.01913, forward passes only):

- *direction*: mean state of harmful requests − mean state of harmless ones; its cosine to the
  base's, and the sine of the largest principal angle between the subspaces of the main differences;
- *beyond*: 1 − that cosine, if harmless requests had stayed and harmful ones had moved by what they
  moved beyond them alone: what a lesson does to all requests, and to harmful ones no more, is left
  out (a list instead of prose turns the direction as well, since harmless requests move further);
- *separation*: how far apart the two lie along the base's direction, in standard deviations;
- *interference*: how far neutral requests moved along it, in the base's separation;
- *orthogonal*: share of the whole movement of states that does not lie along it;
- *assent*: how far the log-odds rose with which a reply to a harmful request begins with assent.

How much of a turn is much is measured, not chosen: the version's own weights are moved by as much
in random directions (`twins`), and what that does to the cosine is the unit of both turns. Layers
below the first that moves are run once for a base, and kept.

Knows nothing of limits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import torch
from torch import Tensor

from kernels.model.forward import Decoder
from kernels.model.model import with_weights
from learner.population.packing import Packed, pack
from learner.safety.measuring import Measuring
from learner.safety.readings.choices import TokenIds, first_moved

# Directions of a subspace: the main ones of a few dozen differences.
_SUBSPACE: Final = 4
# Twins that say what random movement of the same size does: their largest effect is the unit.
NUM_TWINS: Final = 8
# A turn under this is rounding, and so is what it is held against.
_LEAST_TURN: Final = 1e-6


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What one layer shows of a version, beside the base."""

    layer: int
    cosine: float
    beyond: float
    principal_sine: float
    separation: float
    base_separation: float
    interference: float
    orthogonal: float


@dataclass(frozen=True, slots=True)
class Shape:
    """What a version shows.

    layers: those that it may have moved; turned: 1 − the smallest cosine
    beyond: the largest of the layers'
    random: the largest turn of the twins, of movements as large as the version's; 0: it has not
        moved
    assent: mean over harmful requests, nats more than at the base
    """

    layers: tuple[LayerShape, ...]
    turned: float
    beyond: float
    random: float
    assent: float = 0.0

    @property
    def times(self) -> float:
        """The turn of the direction in units of what random movement of its size does."""
        return self._times(self.turned)

    @property
    def times_beyond(self) -> float:
        """The turn by what harmful requests moved beyond harmless ones, in the same units."""
        return self._times(self.beyond)

    def as_json(self) -> tuple[dict[str, float], ...]:
        """Return each layer's figures by name; turns are in units of what random movement does."""
        return tuple(
            {name: round(value, 5) for name, value in asdict(each).items()}
            | {
                "turned": round(self._times(1 - each.cosine), 2),
                "beyond": round(self._times(each.beyond), 2),
            }
            for each in self.layers
        )

    def _times(self, turn: float) -> float:
        return turn / max(self.random, _LEAST_TURN) if turn > _LEAST_TURN else 0.0


class Geometry:
    """The requests of one base. Not shared between threads."""

    def __init__(
        self,
        measuring: Measuring,
        harmful: Sequence[TokenIds],
        harmless: Sequence[TokenIds],
        neutral: Sequence[TokenIds],
        *,
        assents: Sequence[int] = (),
    ) -> None:
        """Compute nothing yet.

        assents: tokens with which assent begins; none: none is ever seen
        """
        base = measuring.base.decoder
        self._assents = sorted(set(assents))
        self._base, self._pause, self._kept = base, measuring.pause, measuring.kept
        self._packed = [pack(each, base.device) for each in (harmful, harmless, neutral)]
        self._first = base.num_layers - measuring.moving
        self._below: tuple[int, list[Tensor]] | None = None  # states in front of the first layer
        self._of_base: dict[int, tuple[Tensor, ...]] = {}

    @torch.inference_mode()
    def shape(self, decoder: Decoder) -> Shape:
        """Read one version: of the base, or one that grew on it."""
        self._first = min(self._first, first_moved(self._base.model, decoder.model))
        before, after = self._states(self._base), self._states(decoder)
        layers = _compared(before, after)
        turned = 1 - min(each.cosine for each in layers)
        beyond = max(each.beyond for each in layers)
        random = 0.0
        if max(turned, beyond) > _LEAST_TURN:
            twins = (
                _compared(before, self._states(twin)) for twin in twins_of(self._base, decoder)
            )
            random = max(1 - min(each.cosine for each in shapes) for shapes in twins)
        last = self._base.num_layers - 1
        assent = self._assent(decoder, after[last][0]) - self._assent(self._base, before[last][0])
        return Shape(layers, turned, beyond, random, assent)

    def _assent(self, decoder: Decoder, states: Tensor) -> float:
        """Return the mean log-odds of assent's first tokens behind some states, nats."""
        if not self._assents:
            return 0.0
        scores = decoder.logits(states.to(decoder.device, decoder.dtype)).double()
        chances = scores.log_softmax(dim=-1)[:, self._assents].logsumexp(dim=-1)
        return float((chances - torch.log1p(-chances.exp().clamp(max=1 - 1e-9))).mean())

    def _states(self, decoder: Decoder) -> dict[int, tuple[Tensor, ...]]:
        """Return the last tokens' states behind each layer from the first on: (prompts, width)."""
        if decoder is not self._base:
            return self._read(decoder)
        if not self._of_base or min(self._of_base) != self._first:
            kinds = range(len(self._packed))
            asked = [[packed.ids.tolist(), packed.paths] for packed in self._packed]
            kept = self._kept.tensors("geometry", [asked, self._first], self._read_base)
            self._of_base = {
                layer: tuple(kept[f"{layer}.{kind}"] for kind in kinds)
                for layer in range(self._first, decoder.num_layers)
            }
        return self._of_base

    def _read_base(self) -> dict[str, Tensor]:
        """Return the base's states by layer and kind of request."""
        return {
            f"{layer}.{kind}": states
            for layer, each in self._read(self._base).items()
            for kind, states in enumerate(each)
        }

    def _read(self, decoder: Decoder) -> dict[int, tuple[Tensor, ...]]:
        found: dict[int, list[Tensor]] = {
            layer: [] for layer in range(self._first, decoder.num_layers)
        }
        for packed, hidden in zip(self._packed, self._in_front(), strict=True):
            rows = torch.tensor([path[-1] for path in packed.paths])
            for layer in found:
                hidden = _through(decoder, packed, hidden, range(layer, layer + 1))
                found[layer].append(hidden[0, rows].double().cpu())
                self._pause()
        return {layer: tuple(each) for layer, each in found.items()}

    def _in_front(self) -> list[Tensor]:
        """Return the states in front of the first layer that moves: each (1, tokens, width)."""
        first, device = self._first, self._base.device
        if self._below is None or self._below[0] != first:
            hidden = [
                self._kept.tensors(
                    "requests",
                    [packed.ids.tolist(), packed.paths, first],
                    lambda packed=packed: {"hidden": self._run_below(packed)},  # type: ignore[misc]
                )["hidden"].to(device)
                for packed in self._packed
            ]
            self._below = (first, hidden)
        return self._below[1]

    def _run_below(self, packed: Packed) -> Tensor:
        state = self._base.embed(packed.ids)
        for layer in range(self._first):
            state = _through(self._base, packed, state, range(layer, layer + 1))
            self._pause()
        return state


def twins_of(base: Decoder, decoder: Decoder, count: int = NUM_TWINS) -> Iterator[Decoder]:
    """Return versions whose weights moved by as much as this one's, in random directions.

    Of equal size is each tensor's movement by its Frobenius norm; the same every time.
    """
    moved = {
        name: layer.plain().float() - base.model.layers[name].plain().float()
        for name, layer in decoder.model.layers.items()
        if layer is not base.model.layers[name]
    }
    for seed in range(count):
        drawn = torch.Generator().manual_seed(seed)
        weights = {}
        for name, change in moved.items():
            noise = torch.randn(change.shape, generator=drawn).to(change.device)
            noise *= change.norm() / noise.norm().clamp(min=1e-12)
            plain = base.model.layers[name].plain()
            weights[name] = (plain.float() + noise).to(plain.dtype)
        yield Decoder(with_weights(base.model, weights))


def _through(decoder: Decoder, packed: Packed, hidden: Tensor, layers: range) -> Tensor:
    rope = decoder.rope(packed.positions)
    return decoder.run(hidden, rope=rope, attend=packed.attend, layers=layers)


def _compared(
    before: Mapping[int, tuple[Tensor, ...]], after: Mapping[int, tuple[Tensor, ...]]
) -> tuple[LayerShape, ...]:
    return tuple(_layer(layer, before[layer], after[layer]) for layer in sorted(before))


def _layer(layer: int, before: tuple[Tensor, ...], after: tuple[Tensor, ...]) -> LayerShape:
    (old_bad, old_good, old_else), (bad, good, other) = before, after
    old, new = old_bad.mean(0) - old_good.mean(0), bad.mean(0) - good.mean(0)
    along = old / old.norm().clamp(min=1e-12)
    apart = _separation(old_bad, old_good, along)
    own = beyond((bad - old_bad).mean(0), (good - old_good).mean(0))
    moved = torch.cat(after) - torch.cat(before)
    whole = float(moved.pow(2).sum())
    gap = float(old.norm().clamp(min=1e-12))
    return LayerShape(
        layer=layer,
        cosine=float(torch.cosine_similarity(old, new, dim=0)),
        beyond=1 - float(torch.cosine_similarity(old, old + own, dim=0)),
        principal_sine=_principal_sine(old_bad - old_good.mean(0), bad - good.mean(0)),
        separation=_separation(bad, good, along),
        base_separation=apart,
        interference=float(((other - old_else) @ along).abs().mean()) / gap,
        orthogonal=1 - float((moved @ along).pow(2).sum()) / whole if whole > 0 else 1.0,
    )


def beyond(bad: Tensor, good: Tensor) -> Tensor:
    """Return what is left of a movement without its share of another: none of it, up to the whole.

    >>> bad, good = torch.tensor([3.0, 1.0]), torch.tensor([2.0, 0.0])
    >>> beyond(bad, good).tolist(), beyond(good, 2 * good).tolist(), beyond(-good, good).tolist()
    ([1.0, 1.0], [0.0, 0.0], [-2.0, -0.0])
    """
    shared = (bad @ good) / good.pow(2).sum().clamp(min=1e-12)
    return bad - shared.clamp(0, 1) * good


def _separation(bad: Tensor, good: Tensor, along: Tensor) -> float:
    """Return how far apart two clouds lie along a direction, in their pooled deviation (d′)."""
    left, right = bad @ along, good @ along
    spread = ((left.var(correction=0) + right.var(correction=0)) / 2).sqrt()
    return float((left.mean() - right.mean()) / spread.clamp(min=1e-12))


def _principal_sine(old: Tensor, new: Tensor) -> float:
    """Return the sine of the largest principal angle between the main directions of two clouds.

    (Björck & Golub 1973: the singular values of QᵀP are the cosines.)
    """
    size = min(_SUBSPACE, *old.shape, *new.shape)
    first, second = (torch.linalg.svd(each, full_matrices=False).Vh[:size] for each in (old, new))
    cosine = float(torch.linalg.svdvals(first @ second.T).min().clamp(max=1.0))
    return float((1 - cosine * cosine) ** 0.5)
