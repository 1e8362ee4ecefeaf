"""Writes continuations of many prompts at once: the most probable ones, or as somebody chooses.

The reply to a prompt does not depend on the prompts beside it, up to the rounding of the linear
layers in use. Knows nothing of text or sampling.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor

from kernels.model.forward import Decoder, Linear, unchanged
from kernels.model.kv import PAGE_TOKENS, KvCache
from kernels.model.read import Piece, next_logits, next_logits_of

# Prompt tokens that one pass computes: past this the matrix product gains nothing more.
CHUNK_TOKENS = 256


# Takes the places of some prompts and their logits, (rows, vocabulary); gives a token for each.
Choose = Callable[[Sequence[int], Tensor], Sequence[int]]


@dataclass(frozen=True, slots=True)
class _Row:
    place: int  # of its prompt
    slot: int
    tokens: list[int]


def greedy(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int,
    stop_ids: Collection[int],
    linear: Linear = unchanged,
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
    linear: Linear = unchanged,
    pause: Callable[[], object] = lambda: None,
) -> list[list[int]]:
    """Continue each prompt with the tokens that are chosen; else as `greedy`."""
    if not all(prompts):
        raise ValueError("a prompt without tokens has no next token")
    if not prompts or max_tokens < 1:
        return [[] for _ in prompts]
    capacity = max(len(prompt) for prompt in prompts) + max_tokens
    # more than all can fill, with the pages that they begin; what is not filled costs nothing
    cache = KvCache(decoder, capacity=capacity, tokens=len(prompts) * (capacity + PAGE_TOKENS))
    with torch.inference_mode():
        rows = _read_all(decoder, cache, prompts, choose, linear, pause)
        running = _going_on(cache, rows, max_tokens, stop_ids)
        while running:
            pause()
            slots, last = [row.slot for row in running], [row.tokens[-1] for row in running]
            logits = next_logits(decoder, cache, slots, last, linear)
            chosen = choose([row.place for row in running], logits)
            for row, token in zip(running, chosen, strict=True):
                row.tokens.append(token)
            running = _going_on(cache, running, max_tokens, stop_ids)
    return [row.tokens for row in rows]


def _going_on(
    cache: KvCache, rows: Sequence[_Row], max_tokens: int, stop_ids: Collection[int]
) -> list[_Row]:
    """Let go of the continuations that have ended, and return the others."""
    ended = [row for row in rows if row.tokens[-1] in stop_ids or len(row.tokens) == max_tokens]
    for row in ended:
        cache.close(row.slot)
    return [row for row in rows if row not in ended]


def _read_all(
    decoder: Decoder,
    cache: KvCache,
    prompts: Sequence[Sequence[int]],
    choose: Choose,
    linear: Linear,
    pause: Callable[[], object],
) -> list[_Row]:
    """Read prompts; what neighbours in order share is read once. Return a row a prompt."""
    rows: dict[int, _Row] = {}
    previous: tuple[int, Sequence[int]] | None = None
    for place in sorted(range(len(prompts)), key=lambda place: list(prompts[place])):
        prompt = prompts[place]
        if previous is None:
            slot = cache.open()
        else:
            slot = cache.fork(previous[0], _shared(previous[1], prompt))
        logits = _read(decoder, cache, slot, prompt, linear, pause)
        rows[place] = _Row(place, slot, list(choose([place], logits)))
        previous = slot, prompt
    return [rows[place] for place in range(len(prompts))]


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
    for start in range(cache.length(slot), len(prompt), CHUNK_TOKENS):
        pause()
        piece = Piece(decoder, slot, prompt[start : start + CHUNK_TOKENS])
        logits = next_logits_of(cache, [piece], linear)
    return logits


def _likeliest(_: Sequence[int], logits: Tensor) -> list[int]:
    tokens: list[int] = logits.argmax(dim=-1).tolist()
    return tokens
