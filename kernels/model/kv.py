"""The past of many sequences: keys and values, one slot each, written in place.

- A step reads a slot's own length and nothing else: no padding, no mask over other rows, no copy
  of the past. So a row's result does not depend on what runs beside it.
- Memory is taken from the system when a slot is first used, and then kept.

Knows nothing of tokens, sampling or versions; one thread at a time.
"""

import math
import threading
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.cpu.threads import Threads
from kernels.dtypes import is_for_processor
from kernels.model.forward import Attend, Decoder

Floats = npt.NDArray[np.float32]

_THREADS: Final = Threads()


class KvCache:
    """Keys and values of up to `slots` sequences of up to `capacity` tokens."""

    def __init__(self, decoder: Decoder, *, slots: int, capacity: int) -> None:
        """Reserve address space; a decoder of any version of the same model may use it."""
        shape = (decoder.num_layers, slots, decoder.kv_heads, capacity, decoder.head_dim)
        kind, device = decoder.dtype, decoder.device
        self.capacity = capacity
        self.lengths = [0] * slots
        self._keys = list(torch.empty(shape, dtype=kind, device=device).unbind())
        self._values = list(torch.empty(shape, dtype=kind, device=device).unbind())
        self._compiled = is_for_processor(decoder.head)
        if self._compiled:
            self._rows = _CompiledRows(capacity, decoder.head_dim)

    def reset(self, slot: int, keep: int = 0) -> None:
        """Forget what a slot holds, but for its first `keep` tokens.

        raises: ValueError when it does not hold so many
        """
        if not 0 <= keep <= self.lengths[slot]:
            raise ValueError(f"slot {slot} holds {self.lengths[slot]} tokens, not {keep}")
        self.lengths[slot] = keep

    def copy(self, source: int, slot: int, tokens: int) -> None:
        """Let a slot hold the first tokens of another one, and nothing else.

        raises: ValueError when the other one does not hold so many
        """
        if not 0 <= tokens <= self.lengths[source]:
            raise ValueError(f"slot {source} holds {self.lengths[source]} tokens, not {tokens}")
        for layer in (*self._keys, *self._values):
            layer[slot, :, :tokens] = layer[source, :, :tokens]
        self.lengths[slot] = tokens

    def chunk(self, slot: int, tokens: int) -> Attend:
        """Give the attention of the next `tokens` tokens of one slot: they see its past and theirs.

        To be used for every layer of one pass over (1, tokens); call `grow` after the pass.
        raises: ValueError when the slot has no room for them
        """
        start = self.lengths[slot]
        end = start + tokens
        if end > self.capacity:
            raise ValueError(f"{end} tokens do not fit in a slot of {self.capacity}")
        mask = None
        if start and tokens > 1:
            mask = torch.ones(tokens, end, dtype=torch.bool, device=self._keys[0].device)
            mask = mask.tril(start)

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = self._keys[layer][slot, :, :end], self._values[layer][slot, :, :end]
            keys[:, start:].copy_(k[0])
            values[:, start:].copy_(v[0])
            return F.scaled_dot_product_attention(
                q, keys[None], values[None], attn_mask=mask, is_causal=not start, enable_gqa=True
            )

        return attend

    def rows(self, slots: Sequence[int]) -> Attend:
        """Give the attention of one new token in each of these slots.

        To be used for every layer of one pass over (len(slots), 1); call `grow` after the pass.
        raises: ValueError when a slot has no room
        """
        places = [self.lengths[slot] for slot in slots]
        if max(places) >= self.capacity:
            raise ValueError(f"a slot of {self.capacity} tokens is full")
        slot_index, place_index = torch.tensor(slots), torch.tensor(places)
        slot_numbers, lengths = slot_index.numpy(), place_index.numpy() + 1

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = self._keys[layer], self._values[layer]
            keys[slot_index, :, place_index] = k[:, :, 0]
            values[slot_index, :, place_index] = v[:, :, 0]
            if self._compiled:
                return self._rows.attend(q, keys, values, slot_numbers, lengths)
            return attend_row_by_row(q, keys, values, slots, places)

        return attend

    def grow(self, slots: Sequence[int], tokens: int = 1) -> None:
        """Count the tokens that the last pass wrote as part of these slots' past."""
        for slot in slots:
            self.lengths[slot] += tokens


def attend_row_by_row(
    q: Tensor, keys: Tensor, values: Tensor, slots: Sequence[int], places: Sequence[int]
) -> Tensor:
    """Attend for one new token a row, one row after another: the plain reference.

    q: (rows, heads, 1, d); keys, values: (slots, kv_heads, capacity, d), the new token written
    places: index of each row's newest token
    returns: (rows, heads, 1, d)
    """
    seen = [
        F.scaled_dot_product_attention(
            q[row : row + 1],
            keys[slot : slot + 1, :, : place + 1],
            values[slot : slot + 1, :, : place + 1],
            enable_gqa=True,
        )
        for row, (slot, place) in enumerate(zip(slots, places, strict=True))
    ]
    return torch.cat(seen)


class _CompiledRows:
    """The same in compiled loops, several threads over the rows."""

    def __init__(self, capacity: int, head_dim: int) -> None:
        from kernels.cpu.attention import attend_rows

        self._loop = attend_rows
        self._capacity = capacity
        self._scale = np.float32(1 / math.sqrt(head_dim))
        self._scratch = threading.local()
        # compiles now, or reads the machine code from disk, so that no reply waits for it
        one = torch.zeros(1, 1, 1, head_dim)
        self.attend(one, one, one, np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64))

    def attend(
        self,
        q: Tensor,
        keys: Tensor,
        values: Tensor,
        slots: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
    ) -> Tensor:
        out = torch.empty(q.shape, dtype=q.dtype)
        flat, seen = q[:, :, 0].contiguous().numpy(), out[:, :, 0].numpy()
        past, content = keys.numpy(), values.numpy()
        pairs = q.shape[0] * keys.shape[1]

        def loop(start: int, stop: int) -> None:
            self._loop(
                start, stop, flat, past, content, slots, lengths, self._scale, seen,
                *self._own_scratch(),
            )  # fmt: skip

        # elements of K and V behind one pair
        _THREADS.over(pairs, loop, items=int(lengths.mean()) * 2 * keys.shape[3])
        return out

    def _own_scratch(self) -> tuple[Floats, Floats, npt.NDArray[np.int32]]:
        if not hasattr(self._scratch, "buffers"):
            scores, powers = np.empty((2, self._capacity), dtype=np.float32)
            self._scratch.buffers = scores, powers, powers.view(np.int32)
        buffers: tuple[Floats, Floats, npt.NDArray[np.int32]] = self._scratch.buffers
        return buffers
