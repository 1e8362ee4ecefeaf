"""Turns replies into a score for every unit of the model: how much the unit has to do with them.

I(unit) = Σ_j Var(X_j) · ‖W_:,j‖² over the unit's columns j, where X is the input of the projection
that writes the unit's output back (o_proj, down_proj), over the tokens of the replies: what a unit
adds that a constant could not (SSAH, Li & Kim 2024, sec. 4, after FLAP, An et al. 2023, eq. 4-6).

Forward passes only. Knows nothing of what the replies are about.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.contract import Backend
from kernels.model.forward import Decoder
from kernels.model.layers import Layer
from kernels.reference.moments import Moments
from kernels.version.layout import parameter_name
from learner.population.packing import pack

# Sequences in one pass: few enough that the caller can yield the processor about once a second.
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt and the reply that a unit's part in is measured on, as token ids."""

    prompt: Sequence[int]
    reply: Sequence[int]


@dataclass(frozen=True, slots=True)
class UnitScores:
    """One number a unit.

    neurons: (layers, neurons) float64; groups: (layers, KV groups) float64
    """

    neurons: Tensor
    groups: Tensor

    def standardised(self) -> "UnitScores":
        """Return z-scores within each layer and kind; where all units are equal, zeros."""
        return UnitScores(_standardised(self.neurons), _standardised(self.groups))


class _Tap:
    """A `linear` that watches what enters o_proj and down_proj at some positions."""

    def __init__(self, decoder: Decoder, backend: Backend) -> None:
        layers = range(decoder.num_layers)
        self.names = [
            parameter_name(layer, module) for layer in layers for module in ("o_proj", "down_proj")
        ]
        self.moments = {
            name: Moments(decoder.model.layer(name).shape[1], backend=backend)
            for name in self.names
        }
        self.rows: list[int] = []

    def __call__(self, name: str, layer: Layer, x: Tensor) -> Tensor:
        if name in self.moments:
            self.moments[name].add(x[0, self.rows])
        return layer.apply(x)


@torch.inference_mode()
def unit_scores(
    decoder: Decoder,
    samples: Sequence[Sample],
    *,
    backend: Backend,
    pause: Callable[[], None] = lambda: None,
) -> UnitScores:
    """Score every neuron and KV group on the reply tokens of some samples.

    samples: neighbours that begin alike share the work
    pause: called between two passes, where the caller may yield the processor
    raises: ValueError with fewer than two reply tokens in all
    """
    tap = _watched(decoder, samples, backend, pause)
    columns = {
        name: tap.moments[name].variance()
        * decoder.model.get_parameter(name).double().square().sum(dim=0)
        for name in tap.names
    }
    layers = range(decoder.num_layers)
    attention = torch.stack([columns[parameter_name(layer, "o_proj")] for layer in layers])
    return UnitScores(
        neurons=torch.stack([columns[parameter_name(layer, "down_proj")] for layer in layers]),
        groups=attention.view(decoder.num_layers, decoder.kv_heads, -1).sum(dim=2),
    )


@torch.inference_mode()
def unit_means(
    decoder: Decoder, samples: Sequence[Sample], *, backend: Backend
) -> dict[str, Tensor]:
    """Return what enters o_proj and down_proj on average over the reply tokens of some samples.

    returns: parameter name → (in,) float64
    """
    tap = _watched(decoder, samples, backend, lambda: None)
    return {name: moments.mean for name, moments in tap.moments.items()}


def _watched(
    decoder: Decoder, samples: Sequence[Sample], backend: Backend, pause: Callable[[], None]
) -> _Tap:
    tap = _Tap(decoder, backend)
    for some in _chunks(samples):
        pause()
        packed = pack([(*s.prompt, *s.reply) for s in some], decoder.device)
        tap.rows = _reply_rows(packed.paths, some)
        decoder.run(
            decoder.embed(packed.ids),
            rope=decoder.rope(packed.positions),
            attend=packed.attend,
            linear=tap,
        )
    return tap


def _reply_rows(paths: Iterable[Sequence[int]], samples: Sequence[Sample]) -> list[int]:
    """Return the row of every reply token; one that several samples share counts for each."""
    return [row for path, s in zip(paths, samples, strict=True) for row in path[len(s.prompt) :]]


def _chunks(samples: Sequence[Sample]) -> Iterator[Sequence[Sample]]:
    for start in range(0, len(samples), _AT_ONCE):
        yield samples[start : start + _AT_ONCE]


def _standardised(scores: Tensor) -> Tensor:
    centred = scores - scores.mean(dim=1, keepdim=True)
    spread = scores.std(dim=1, correction=0, keepdim=True)
    return torch.where(spread > 0, centred / spread, torch.zeros_like(centred))
