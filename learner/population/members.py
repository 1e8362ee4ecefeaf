"""Scores many perturbed members of a model on the same texts, with forward passes only.

- What texts share (system prompt, conversation, prompt) is computed once (packing.py).
- The layers below the first that moves (the trunk) are computed once for all members.
- Members go through these layers in pieces that bound memory, as their noise allows them to share
  products (learner.population.noise).
- Only positions that predict a scored token go through the last layer's queries and MLP, and only
  the likeliest tokens of the vocabulary are computed for each (learner.population.shortlist).

Knows nothing of rewards: token ids in, log-probabilities out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from kernels.model.forward import Decoder, Linear, Rope, Wanted, unchanged
from learner.population.noise import Population
from learner.population.packing import Device, Packed, pack
from learner.population.shortlist import Shortlist

# Member tokens in flight: large enough for full matrix products, small enough that a pause is
# never far and the widest activation (tokens × MLP width × 4 bytes) stays near the cache.
PIECE_TOKENS: Final = 4096
# Members whose states are read together, at least: from so many on the products are at full speed.
GROUP: Final = 64


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


def lay_out(passages: Sequence[Passage], device: Device = "cpu") -> Scored:
    """Pack passages and find what predicts each scored token.

    device: where all of it is to lie: that of the weights which read it
    raises: ValueError for an empty prompt or continuation
    """
    if not all(p.prompt and p.continuations and all(p.continuations) for p in passages):
        raise ValueError("a passage needs a prompt, and tokens in every continuation")
    texts = [(p.prompt, tokens) for p in passages for tokens in p.continuations]
    # the last token of a text predicts nothing that is scored: it is left out
    packed = pack([(*prompt, *tokens[:-1]) for prompt, tokens in texts], device)
    sources: list[int] = []
    targets: list[int] = []
    ranges: list[slice] = []
    for path, (prompt, tokens) in zip(packed.paths, texts, strict=True):
        sources += path[len(prompt) - 1 :]
        targets += tokens
        ranges.append(slice(len(targets) - len(tokens), len(targets)))
    found = iter(ranges)
    places = tuple(tuple(next(found) for _ in p.continuations) for p in passages)
    found_rows = np.unique(sources, return_inverse=True)
    rows, among = (torch.from_numpy(part).to(device) for part in found_rows)
    wanted = torch.tensor(targets, device=device)
    return Scored(packed, packed.wanted(rows), among, wanted, places)


@torch.inference_mode()
def run_trunk(decoder: Decoder, scored: Scored, *, moving: int, pause: Callable[[], None]) -> Trunk:
    """Run the layers under the first that moves, once for everybody.

    moving: number of last layers that move, at least 1; pause: called between pieces of work
    """
    packed = scored.packed
    trunk = trunk_behind(decoder, scored, decoder.embed(packed.ids), moving=moving)
    hidden = trunk.hidden
    for layer in range(trunk.layers.start):
        one = range(layer, layer + 1)
        hidden = decoder.run(hidden, rope=trunk.rope, attend=packed.attend, layers=one)
        pause()
    return replace(trunk, hidden=hidden)


@torch.inference_mode()
def trunk_behind(decoder: Decoder, scored: Scored, hidden: Tensor, *, moving: int) -> Trunk:
    """Return texts whose states behind the layers that do not move are known.

    hidden: (1, tokens, width); moving: number of last layers that move, at least 1
    """
    first = max(0, decoder.num_layers - moving)
    rope = decoder.rope(scored.packed.positions)
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
    members: range | None = None,
) -> Tensor:
    """Return the log-probability of every scored token under some members.

    decoder: the parent version; pause: called between pieces of work
    members: those that are wanted; None: all
    returns: (members, scored) float32, nats
    """
    wanted = members if members is not None else range(population.size)
    return in_groups(decoder, trunk, population, shortlist.logprobs, members=wanted, pause=pause)


@torch.inference_mode()
def in_groups(
    decoder: Decoder,
    trunk: Trunk,
    population: Population,
    read: Callable[[Tensor], Tensor],
    *,
    members: range,
    pause: Callable[[], None],
) -> Tensor:
    """Return what is read of the states of some members.

    A member is always computed beside the same others, whoever is asked for, so that sums round
    alike: a range that begins or ends within a group computes the group and drops the rest.

    read: (members, scored, width) → (members, …)
    """
    at_once = max(1, PIECE_TOKENS // trunk.hidden.shape[1])
    group = -(-GROUP // at_once) * at_once
    found = []
    for first in range(members.start // group * group, members.stop, group):
        last = min(first + group, population.size)
        states = torch.cat(
            [
                final_states(
                    decoder,
                    trunk,
                    population.linear(range(start, min(start + at_once, last))),
                    pause=pause,
                )
                for start in range(first, last, at_once)
            ]
        )
        each = read(states)
        found.append(each[max(members.start, first) - first : members.stop - first])
        pause()
    return torch.cat(found)
