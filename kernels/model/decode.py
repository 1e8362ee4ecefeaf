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
from kernels.model.step import Rows, Step, step_logits

# Prompt tokens that one pass computes: past this the matrix product gains nothing more.
CHUNK_TOKENS = 256


# Takes the places of some prompts and their logits, (rows, vocabulary); gives a token for each.
Choose = Callable[[Sequence[int], Tensor], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Part:
    """Sequences of one version that read one more token.

    last: the newest token of each slot, not read yet
    """

    decoder: Decoder
    slots: Sequence[int]
    last: Sequence[int]


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


def read_chunk(
    decoder: Decoder, cache: KvCache, slot: int, ids: Sequence[int], linear: Linear = unchanged
) -> Tensor:
    """Read the next tokens of one slot, in one pass.

    returns: (tokens, width) hidden states before the final norm
    """
    start = cache.length(slot)
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
    linear: Linear = unchanged,
) -> Tensor:
    """Read one more token in each of these slots, in one pass.

    last: the newest token of each slot, not read yet
    returns: (rows, vocabulary) logits of the token after it
    """
    return next_logits_of(cache, [Part(decoder, slots, last)], linear)


def next_logits_of(cache: KvCache, parts: Sequence[Part], linear: Linear = unchanged) -> Tensor:
    """Read one more token in the slots of each part; what their versions share is read once.

    A row's logits are to the bit those that it has alone with its version. Versions whose decoders
    have no compiled step are walked one after the other.

    parts: at least one, of versions of one base
    returns: (rows, vocabulary) logits of the tokens after them, the rows of each part in order
    """
    slots = [slot for part in parts for slot in part.slots]
    steps = [part.decoder.step for part in parts if part.decoder.step is not None]
    if linear is unchanged and len(steps) == len(parts):
        logits = _walked(cache, parts, steps, slots)
    else:
        logits = torch.cat([_layer_by_layer(cache, part, linear) for part in parts])
    cache.grow(slots)  # last: what has failed on the way can be read again, part by part
    return logits


def _walked(
    cache: KvCache, parts: Sequence[Part], steps: Sequence[Step], slots: Sequence[int]
) -> Tensor:
    positions = torch.tensor([[cache.length(slot)] for slot in slots])
    cosine, sine = parts[0].decoder.rope(positions)
    hidden = torch.cat([part.decoder.embed(torch.tensor(part.last)) for part in parts])
    read = Rows(hidden, (cosine[:, 0], sine[:, 0]), cache.pages.memory, *cache.tables(slots))
    return step_logits(steps, [len(part.slots) for part in parts], read)


def _layer_by_layer(cache: KvCache, part: Part, linear: Linear) -> Tensor:
    decoder, device = part.decoder, part.decoder.device
    positions = torch.tensor([[cache.length(slot)] for slot in part.slots], device=device)
    hidden = decoder.run(
        decoder.embed(torch.tensor(part.last, device=device)[:, None]),
        rope=decoder.rope(positions),
        attend=cache.rows(part.slots),
        linear=linear,
    )
    return decoder.logits(hidden[:, 0], linear)


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
        hidden = read_chunk(decoder, cache, slot, prompt[start : start + CHUNK_TOKENS], linear)
    return decoder.logits(hidden[-1:], linear)


def _likeliest(_: Sequence[int], logits: Tensor) -> list[int]:
    tokens: list[int] = logits.argmax(dim=-1).tolist()
    return tokens
