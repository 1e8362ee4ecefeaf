"""Scores many perturbed members of a model on the same texts, with forward passes only.

- What texts share (system prompt, conversation, prompt) is computed once (packing.py).
- The layers below the first that moves (the trunk) are computed once for all members.
- Members share one product by each weight (Backend.member_linear), in pieces that bound memory.
- Only positions that predict a scored token go through the last layer's queries and MLP, and only
  the likeliest tokens of the vocabulary are computed for each (learner.population.shortlist).

Knows nothing of rewards: token ids in, log-probabilities out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from kernels.contract import Backend, Frozen
from kernels.model.forward import Decoder, Linear, Rope, Wanted, unchanged
from kernels.model.layers import Layer
from kernels.version.factors import rank1_factors
from kernels.version.layout import TensorSpec
from learner.population.packing import Packed, pack
from learner.population.shortlist import Shortlist

# Member tokens in flight: large enough for full matrix products, small enough that a pause is
# never far and the widest activation (tokens × MLP width × 4 bytes) stays near the cache.
PIECE_TOKENS: Final = 4096


@dataclass(frozen=True, slots=True)
class Passage:
    """A prompt, and what is scored after it."""

    prompt: tuple[int, ...]  # at least one token
    continuations: tuple[tuple[int, ...], ...]  # each at least one token


@dataclass(frozen=True, slots=True)
class Scored:
    """Packed passages, and which of their tokens are scored."""

    packed: Packed
    wanted: Wanted  # the rows that predict a scored token, each once
    sources: Tensor  # (scored,) int64: which of these predicts each scored token
    targets: Tensor  # (scored,) int64
    places: tuple[tuple[slice, ...], ...]  # passage → continuation → its range of scored tokens


@dataclass(frozen=True, slots=True)
class Trunk:
    """What all members share: the texts behind the layers that do not move."""

    scored: Scored
    hidden: Tensor  # (1, tokens, width)
    rope: Rope
    layers: range  # those that are left to run


class Population:
    """The members of one generation: a version's weights plus ± signs of each pair, masked."""

    def __init__(
        self,
        backend: Backend,
        specs: Sequence[TensorSpec],
        *,
        key: int,
        pairs: int,
        sigmas_log2: Sequence[int],
        frozen: Mapping[str, Frozen],
    ) -> None:
        """Draw every member's signs.

        sigmas_log2: log2 of each tensor's σ, in the order of the specs
        frozen: parameter name → its frozen units; missing: none
        """
        self.size = 2 * pairs
        self._backend = backend
        self._sigmas = {spec.name: sigma for spec, sigma in zip(specs, sigmas_log2, strict=True)}
        members = range(self.size)
        self._factors = {
            spec.name: rank1_factors(
                backend, spec, key=key, members=members, frozen=frozen.get(spec.name)
            )
            for spec in specs
        }

    def linear(self, members: range) -> Linear:
        """Return how the linear layers of these members are applied.

        returns: from (len(members), tokens, in), or (1, tokens, in) while they still share their
            input, to (len(members), tokens, out)
        """
        chosen = slice(members.start, members.stop)

        def apply(name: str, layer: Layer, x: Tensor) -> Tensor:
            if name not in self._factors:
                return layer.apply(x)
            rows, columns = self._factors[name]
            return self._backend.member_linear(
                x, layer, rows[chosen], columns[chosen], sigma_log2=self._sigmas[name]
            )

        return apply


def lay_out(passages: Sequence[Passage]) -> Scored:
    """Pack passages and find what predicts each scored token.

    raises: ValueError for an empty prompt or continuation
    """
    if not all(p.prompt and p.continuations and all(p.continuations) for p in passages):
        raise ValueError("a passage needs a prompt, and tokens in every continuation")
    texts = [(p.prompt, tokens) for p in passages for tokens in p.continuations]
    # the last token of a text predicts nothing that is scored: it is left out
    packed = pack([(*prompt, *tokens[:-1]) for prompt, tokens in texts])
    sources: list[int] = []
    targets: list[int] = []
    ranges: list[slice] = []
    for path, (prompt, tokens) in zip(packed.paths, texts, strict=True):
        sources += path[len(prompt) - 1 :]
        targets += tokens
        ranges.append(slice(len(targets) - len(tokens), len(targets)))
    found = iter(ranges)
    places = tuple(tuple(next(found) for _ in p.continuations) for p in passages)
    rows, among = (torch.from_numpy(part) for part in np.unique(sources, return_inverse=True))
    return Scored(packed, packed.wanted(rows), among, torch.tensor(targets), places)


@torch.inference_mode()
def run_trunk(decoder: Decoder, scored: Scored, *, moving: int, pause: Callable[[], None]) -> Trunk:
    """Run the layers under the first that moves, once for everybody.

    moving: number of last layers that move, at least 1; pause: called between pieces of work
    """
    packed = scored.packed
    rope = decoder.rope(packed.positions)
    hidden = decoder.embed(packed.ids)
    first = max(0, decoder.num_layers - moving)
    for layer in range(first):
        one = range(layer, layer + 1)
        hidden = decoder.run(hidden, rope=rope, attend=packed.attend, layers=one)
        pause()
    return Trunk(scored, hidden, rope, range(first, decoder.num_layers))


@torch.inference_mode()
def final_states(
    decoder: Decoder,
    trunk: Trunk,
    linear: Linear = unchanged,
    *,
    pause: Callable[[], None],
) -> Tensor:
    """Run the layers that move, and give the normed states that predict the scored tokens.

    linear: how members' layers are applied
    returns: (members, scored, width)
    """
    hidden, scored, rope = trunk.hidden, trunk.scored, trunk.rope
    for layer in trunk.layers:
        hidden = decoder.run(
            hidden,
            rope=rope,
            attend=scored.packed.attend,
            layers=range(layer, layer + 1),
            linear=linear,
            wanted=scored.wanted if layer == trunk.layers[-1] else None,
        )
        pause()
    return decoder.norm(hidden)[:, scored.sources]


@torch.inference_mode()
def score(
    decoder: Decoder,
    trunk: Trunk,
    population: Population,
    *,
    shortlist: Shortlist,
    pause: Callable[[], None],
) -> Tensor:
    """Give the log-probability of every scored token under every member.

    decoder: the parent version; pause: called between pieces of work
    returns: (members, scored) float32, nats
    """
    at_once = max(1, PIECE_TOKENS // trunk.hidden.shape[1])
    pieces = []
    for first in range(0, population.size, at_once):
        members = range(first, min(first + at_once, population.size))
        states = final_states(decoder, trunk, population.linear(members), pause=pause)
        pieces.append(shortlist.logprobs(states))
        pause()
    return torch.cat(pieces)
