"""Writes continuations of many prompts at once: the most probable ones, or as somebody chooses.

The reply to a prompt does not depend on the prompts beside it, up to the rounding of the linear
layers in use. Knows nothing of text or sampling.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import torch
from torch import Tensor

from kernels.model.forward import Decoder, Linear, plain
from kernels.model.kv import KvCache

# Prompt tokens that one pass computes: past this the matrix product gains nothing more.
CHUNK_TOKENS = 256


# Takes the places of some prompts and their logits, (rows, vocabulary); gives a token for each.
Choose = Callable[[Sequence[int], Tensor], Sequence[int]]


@dataclass(slots=True)
class _Row:
    slot: int
    last: int
    tokens: list[int] = field(default_factory=list)


def greedy(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int,
    stop_ids: Collection[int],
    linear: Linear = plain,
    pause: Callable[[], object] = lambda: None,
) -> list[list[int]]:
    """Continue each prompt with the most probable tokens.

    prompts: token ids; max_tokens: longest continuation
    stop_ids: a continuation ends with the first of these, which is part of it
    pause: called before each pass; may raise to give up, or wait to leave the cores to others
    returns: the continuations, in the order of the prompts
    raises: ValueError for a prompt without tokens
    """
    return continued(
        decoder,
        prompts,
        _likeliest,
        max_tokens=max_tokens,
        stop_ids=stop_ids,
        linear=linear,
        pause=pause,
    )


def continued(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    choose: Choose,
    *,
    max_tokens: int,
    stop_ids: Collection[int],
    linear: Linear = plain,
    pause: Callable[[], object] = lambda: None,
) -> list[list[int]]:
    """Continue each prompt with the tokens that are chosen; else as `greedy`."""
    if not all(prompts):
        raise ValueError("a prompt without tokens has no next token")
    if not prompts or max_tokens < 1:
        return [[] for _ in prompts]
    capacity = max(len(prompt) for prompt in prompts) + max_tokens
    cache = KvCache(decoder, slots=len(prompts), capacity=capacity)
    with torch.inference_mode():
        rows = [
            _Row(slot, choose([slot], logits)[0])
            for slot, logits in enumerate(_read_all(decoder, cache, prompts, linear, pause))
        ]
        running = rows
        while True:
            for row in running:
                row.tokens.append(row.last)
            running = [
                row for row in running if row.last not in stop_ids and len(row.tokens) < max_tokens
            ]
            if not running:
                return [row.tokens for row in rows]
            pause()
            slots = [row.slot for row in running]
            logits = next_logits(decoder, cache, slots, [row.last for row in running], linear)
            for row, token in zip(running, choose(slots, logits), strict=True):
                row.last = token


def read_chunk(
    decoder: Decoder, cache: KvCache, slot: int, ids: Sequence[int], linear: Linear = plain
) -> Tensor:
    """Read the next tokens of one slot, in one pass.

    returns: (tokens, width) hidden states before the final norm
    """
    start = cache.lengths[slot]
    positions = torch.arange(start, start + len(ids), device=decoder.device)[None]
    hidden = decoder.run(
        decoder.embed(torch.tensor([list(ids)], device=decoder.device)),
        rope=decoder.rope(positions),
        attend=cache.chunk(slot, len(ids)),
        linear=linear,
    )
    cache.grow([slot], len(ids))
    return hidden[0]


def next_logits(
    decoder: Decoder,
    cache: KvCache,
    slots: Sequence[int],
    last: Sequence[int],
    linear: Linear = plain,
) -> Tensor:
    """Read one more token in each of these slots, in one pass.

    last: the newest token of each slot, not read yet
    returns: (rows, vocabulary) logits of the token after it
    """
    device = decoder.device
    positions = torch.tensor([[cache.lengths[slot]] for slot in slots], device=device)
    hidden = decoder.run(
        decoder.embed(torch.tensor(last, device=device)[:, None]),
        rope=decoder.rope(positions),
        attend=cache.rows(slots),
        linear=linear,
    )
    cache.grow(slots)
    return decoder.logits(hidden[:, 0], linear)


def _read_all(
    decoder: Decoder,
    cache: KvCache,
    prompts: Sequence[Sequence[int]],
    linear: Linear,
    pause: Callable[[], object],
) -> list[Tensor]:
    """Read prompts into the slots of their places; what neighbours in order share is read once."""
    logits: dict[int, Tensor] = {}
    previous: int | None = None
    for slot in sorted(range(len(prompts)), key=lambda slot: list(prompts[slot])):
        if previous is not None:
            cache.copy(previous, slot, _shared(prompts[previous], prompts[slot]))
        logits[slot] = _read(decoder, cache, slot, prompts[slot], linear, pause)
        previous = slot
    return [logits[slot] for slot in range(len(prompts))]


def _shared(read: Sequence[int], prompt: Sequence[int]) -> int:
    """Count the tokens with which both begin; the prompt's last one is always read anew."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(read, prompt[:-1], strict=False))
    return sum(1 for _ in same)


def _read(
    decoder: Decoder,
    cache: KvCache,
    slot: int,
    prompt: Sequence[int],
    linear: Linear,
    pause: Callable[[], object],
) -> Tensor:
    for start in range(cache.lengths[slot], len(prompt), CHUNK_TOKENS):
        pause()
        hidden = read_chunk(decoder, cache, slot, prompt[start : start + CHUNK_TOKENS], linear)
    return decoder.logits(hidden[-1:], linear)


def _likeliest(_: Sequence[int], logits: Tensor) -> list[int]:
    tokens: list[int] = logits.argmax(dim=-1).tolist()
    return tokens
