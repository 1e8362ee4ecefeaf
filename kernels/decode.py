"""Greedy replies to a batch of prompts, for those who read whole replies: teachers and gates.

Serving has an engine of its own (streams, sampling, versions); both stand on the same forward
pass and cache. Knows nothing of text.
"""

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor

from kernels.forward import Decoder, Linear, plain
from kernels.kv import KVCache


@torch.inference_mode()
def greedy(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int,
    stop_ids: Collection[int],
    linear: Linear = plain,
    between: Callable[[], None] = lambda: None,
) -> list[list[int]]:
    """Continue every prompt by its likeliest token until a stop token or max_tokens.

    prompts: token ids, each at least one token
    between: called after every step, so that a caller can hold its pace
    returns: the replies' token ids in the prompts' order, the stop token included where sampled
    raises: ValueError for an empty prompt
    """
    if any(not prompt for prompt in prompts):
        raise ValueError("a prompt without tokens cannot be continued")
    replies: list[list[int]] = [[] for _ in prompts]
    if not prompts or max_tokens < 1:
        return replies
    capacity = max(len(prompt) for prompt in prompts) + max_tokens
    cache = KVCache(decoder, slots=len(prompts), capacity=capacity)
    last = _prefill(decoder, cache, prompts, linear)
    running = list(range(len(prompts)))
    while running:
        tokens = decoder.logits(last)[:, 0].argmax(dim=-1).tolist()
        for row, token in zip(running, tokens, strict=True):
            replies[row].append(token)
        alive = [
            (row, token)
            for row, token in zip(running, tokens, strict=True)
            if token not in stop_ids and len(replies[row]) < max_tokens
        ]
        running = [row for row, _ in alive]
        between()
        if running:
            starts = [len(prompts[row]) + len(replies[row]) - 1 for row in running]
            ids = torch.tensor([[token] for _, token in alive], device=decoder.device)
            last = _step(decoder, cache, running, starts, ids, [1] * len(running), linear)
    return replies


def _prefill(
    decoder: Decoder, cache: KVCache, prompts: Sequence[Sequence[int]], linear: Linear
) -> Tensor:
    """Put every prompt into its slot: slot r holds prompt r.

    returns: (prompts, 1, width), the hidden state of each prompt's last token
    """
    counts = [len(prompt) for prompt in prompts]
    ids = torch.zeros(len(prompts), max(counts), dtype=torch.int64, device=decoder.device)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = torch.tensor(list(prompt))
    rows = list(range(len(prompts)))
    hidden = _step(decoder, cache, rows, [0] * len(rows), ids, counts, linear)
    ends = torch.tensor(counts, device=decoder.device) - 1
    return hidden[torch.arange(len(prompts)), ends].unsqueeze(1)


def _step(
    decoder: Decoder,
    cache: KVCache,
    slots: Sequence[int],
    starts: Sequence[int],
    ids: Tensor,
    counts: Sequence[int],
    linear: Linear,
) -> Tensor:
    positions = torch.tensor(starts)[:, None] + torch.arange(ids.shape[1])
    return decoder.run(
        decoder.embed(ids),
        rope=decoder.rope(positions.to(decoder.device)),
        attend=cache.attend(slots, starts, counts),
        linear=linear,
    )
