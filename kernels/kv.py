"""Keeps keys and values of several sequences, a slot each: a step computes only new tokens.

Invariants: a slot's memory is written in place and never moves while its sequence lives; what one
sequence reads depends on no other slot's content. Memory is taken from the system as it is touched.

Knows nothing of tokens, versions or sampling; who uses a slot must not mix versions in it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.forward import Attend, Decoder


class KVCache:
    """Keys and values by layer: (slots, kv_heads, capacity, head_dim) each.

    slots: sequences at a time; capacity: tokens of one sequence, prompt and reply together
    """

    def __init__(self, decoder: Decoder, *, slots: int, capacity: int) -> None:
        shape = (slots, decoder.kv_heads, capacity, decoder.head_dim)
        # zeros, not empty: a masked place is multiplied by 0, and 0 × NaN would be NaN
        self._keys = [decoder.head.new_zeros(shape) for _ in range(decoder.num_layers)]
        self._values = [decoder.head.new_zeros(shape) for _ in range(decoder.num_layers)]
        self._free = list(reversed(range(slots)))
        self.capacity = capacity

    @property
    def free(self) -> int:
        """Slots that no sequence holds."""
        return len(self._free)

    def take(self) -> int:
        """Hold a slot; the lowest free one, so that the held ones lie together.

        raises: IndexError when none is free
        """
        return self._free.pop()

    def give(self, slot: int) -> None:
        """Let a slot go."""
        self._free.append(slot)
        self._free.sort(reverse=True)

    def attend(self, slots: Sequence[int], starts: Sequence[int], counts: Sequence[int]) -> Attend:
        """Give the attention of one step: row r adds counts[r] tokens to slots[r] after starts[r].

        The rows may be padded on the right to a common length; padding is neither stored nor seen.
        """
        ends = [start + count for start, count in zip(starts, counts, strict=True)]
        reach, longest = max(ends), max(counts)
        rows = _rows(slots)
        mask = _mask(starts, longest, reach, like=self._keys[0])
        places = torch.tensor(list(starts), dtype=torch.int64)
        index = torch.tensor(list(slots), dtype=torch.int64)

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = self._keys[layer], self._values[layer]
            if longest == 1:
                keys[index, :, places] = k[:, :, 0]
                values[index, :, places] = v[:, :, 0]
            else:
                for row, (slot, start, count) in enumerate(zip(slots, starts, counts, strict=True)):
                    keys[slot, :, start : start + count] = k[row, :, :count]
                    values[slot, :, start : start + count] = v[row, :, :count]
            return F.scaled_dot_product_attention(
                q, keys[rows, :, :reach], values[rows, :, :reach], attn_mask=mask, enable_gqa=True
            )

        return attend


def _rows(slots: Sequence[int]) -> slice | list[int]:
    """Neighbouring slots are read where they lie; others are gathered, which copies them."""
    first = slots[0]
    if list(slots) == list(range(first, first + len(slots))):
        return slice(first, first + len(slots))
    return list(slots)


def _mask(starts: Sequence[int], longest: int, reach: int, *, like: Tensor) -> Tensor | None:
    """Say what each new token sees: everything up to itself in its own sequence.

    returns: (rows, 1, longest, reach) in like's dtype, 0 where seen and −∞ elsewhere; None when
        every row is one token that sees all
    """
    if longest == 1 and all(start + 1 == reach for start in starts):
        return None
    places = torch.tensor(starts)[:, None] + torch.arange(longest)
    seen = torch.arange(reach) <= places[:, :, None]
    mask = like.new_zeros(seen.shape)
    return mask.masked_fill_(~seen, float("-inf"))[:, None]
