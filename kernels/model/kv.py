"""The past of many sequences: keys and values in pages, written in place.

- A step reads a sequence's own length and nothing else: no padding, no mask over other rows, no
  copy of the past. So a row's result does not depend on what runs beside it.
- A sequence takes a page when it grows into it. One that begins like another shares its pages.

Knows nothing of tokens, sampling or versions; one thread at a time.
"""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.cpu.threads import Threads
from kernels.dtypes import is_for_processor
from kernels.loops.heads import HEADS_AT_ONCE
from kernels.loops.vectors import LANES
from kernels.model.forward import Attend, Decoder
from kernels.model.pages import Pages

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int32 | np.int64]

# Half a page is lost to a sequence on average, and a page is looked up once for so many tokens.
PAGE_TOKENS: Final = 32

_THREADS: Final = Threads()


@dataclass(slots=True)
class _Past:
    """One sequence: how long it is, and its pages in order."""

    length: int = 0
    pages: list[int] = field(default_factory=list)


class KvCache:
    """Keys and values of sequences of up to `capacity` tokens, each known by its slot."""

    def __init__(
        self, decoder: Decoder, *, capacity: int, tokens: int, page_tokens: int = PAGE_TOKENS
    ) -> None:
        """Reserve address space; a decoder of any version of the same model may use it.

        tokens: of all sequences together, in whole pages
        """
        self.capacity = capacity
        self.pages = Pages(decoder, count=-(-tokens // page_tokens), tokens=page_tokens)
        self._pasts: dict[int, _Past] = {}
        self._opened = 0
        whole = decoder.head_dim % LANES == 0
        self._compiled = whole and is_for_processor(decoder.device, decoder.dtype)
        if self._compiled:
            self._rows = _CompiledRows(capacity, decoder.head_dim)

    def open(self) -> int:
        """Begin an empty sequence, and return its slot."""
        return self._begin(_Past())

    def fork(self, slot: int, tokens: int) -> int:
        """Begin a sequence with the first tokens of another one, and return its slot.

        Whole pages are shared; of a page that the beginning fills in part a copy is taken.

        raises: ValueError when the other one does not hold so many
        """
        other = self._pasts[slot]
        _require_held(slot, other.length, tokens)
        whole, rest = divmod(tokens, self.pages.tokens)
        pages = other.pages[:whole]
        if rest:
            (own,) = self.pages.take(1)
            memory = self.pages.memory
            memory[own, :, :, :, :rest] = memory[other.pages[whole], :, :, :, :rest]
        self.pages.share(pages)
        return self._begin(_Past(tokens, [*pages, own] if rest else pages))

    def adopt(self, slot: int, other: int, tokens: int) -> None:
        """Let a sequence be the first tokens of another one, in whole pages; it keeps its room.

        raises: ValueError when the other one does not hold so many, or they end within a page
        """
        own, theirs = self._pasts[slot], self._pasts[other]
        _require_held(other, theirs.length, tokens)
        whole, rest = divmod(tokens, self.pages.tokens)
        if rest:
            raise ValueError(f"{tokens} tokens end within a page of {self.pages.tokens}")
        self.pages.share(theirs.pages[:whole])
        gone, own.pages[:whole] = own.pages[:whole], theirs.pages[:whole]
        own.length = tokens
        self.pages.let_go(gone)

    def close(self, slot: int) -> None:
        """Forget a sequence."""
        self.pages.let_go(self._pasts.pop(slot).pages)

    def length(self, slot: int) -> int:
        """Count the tokens of a sequence."""
        return self._pasts[slot].length

    def pages_of(self, slot: int) -> Sequence[int]:
        """Name the pages of a sequence, in order."""
        return self._pasts[slot].pages

    def cut(self, slot: int, keep: int) -> None:
        """Forget what a sequence holds, but for its first `keep` tokens.

        raises: ValueError when it does not hold so many
        """
        past = self._pasts[slot]
        _require_held(slot, past.length, keep)
        needed = self.pages_for(keep)
        past.pages, rest = past.pages[:needed], past.pages[needed:]
        past.length = keep
        self.pages.let_go(rest)

    def pages_for(self, tokens: int) -> int:
        """Count the pages of a sequence of so many tokens."""
        return -(-tokens // self.pages.tokens)

    def reserve(self, slot: int, tokens: int) -> None:
        """Take the pages that a sequence needs to become so long.

        raises: ValueError when there are not so many, or a sequence may not be so long
        """
        if tokens > self.capacity:
            raise ValueError(f"{tokens} tokens do not fit in a slot of {self.capacity}")
        past = self._pasts[slot]
        past.pages += self.pages.take(max(0, self.pages_for(tokens) - len(past.pages)))

    def chunk(self, slot: int, tokens: int) -> Attend:
        """Return the attention of the next tokens of one sequence: they see its past and theirs.

        To be used for every layer of one pass over (1, tokens); call `grow` after the pass.
        raises: ValueError when there is no room for them
        """
        start = self._pasts[slot].length
        end = start + tokens
        self.reserve(slot, end)
        memory, pages = self.pages.memory, self._pasts[slot].pages[: self.pages_for(end)]
        table, pieces = torch.tensor(pages, device=memory.device), self._pieces(pages, start, end)
        mask = None
        if start and tokens > 1:
            mask = torch.ones(tokens, end, dtype=torch.bool, device=memory.device).tril(start)

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            of_layer, new = memory[:, layer], torch.stack((k[0], v[0]))
            for page, inside, own in pieces:
                of_layer[page, :, :, inside] = new[:, :, own]
            past = of_layer.permute(1, 2, 0, 3, 4).index_select(2, table).flatten(2, 3)
            keys, values = past[:, None, :, :end].unbind()
            return F.scaled_dot_product_attention(
                q, keys, values, attn_mask=mask, is_causal=not start, enable_gqa=True
            )

        return attend

    def rows(self, slots: Sequence[int]) -> Attend:
        """Return the attention of one new token in each of these sequences.

        To be used for every layer of one pass over (len(slots), 1); call `grow` after the pass.
        raises: ValueError when one has no room
        """
        for slot in slots:
            self._make_room(slot)
        if self._compiled:
            pasts = [self._pasts[slot] for slot in slots]
            return self._rows.attend(
                self.pages.memory, [past.pages for past in pasts], [past.length for past in pasts]
            )
        alone = [self.chunk(slot, 1) for slot in slots]

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            each = zip(alone, *(torch.split(each, 1) for each in (q, k, v)), strict=True)
            return torch.cat([one(layer, *parts) for one, *parts in each])

        return attend

    def places(self, runs: Sequence[tuple[int, int]]) -> tuple[Places, Places]:
        """Make room for the next tokens of these sequences, a row each, and say where they lie.

        runs: slots, and how many tokens each reads
        returns: (rows, most) int32, the pages of each row in order, and (rows,) int64, how much of
            them it sees, its own token included
        raises: ValueError when one has no room
        """
        for slot, tokens in runs:
            self._make_room(slot, tokens)
        pasts = [(self._pasts[slot], tokens) for slot, tokens in runs]
        pages = [past.pages for past, tokens in pasts for _ in range(tokens)]
        return _tables(pages, [past.length + n for past, tokens in pasts for n in range(tokens)])

    def _make_room(self, slot: int, tokens: int = 1) -> None:
        past = self._pasts[slot]
        if past.length >= self.capacity:
            raise ValueError(f"a slot of {self.capacity} tokens is full")
        self.reserve(slot, past.length + tokens)

    def grow(self, slots: Sequence[int], tokens: int = 1) -> None:
        """Count the tokens that the last pass wrote as part of these sequences."""
        for slot in slots:
            self._pasts[slot].length += tokens

    def _pieces(self, pages: Sequence[int], start: int, end: int) -> list[tuple[int, slice, slice]]:
        """Cut the places start..end-1 at pages: page, place in it, place among these."""
        size, pieces = self.pages.tokens, []
        for number in range(start // size, len(pages)):
            first, last = max(start, number * size), min(end, (number + 1) * size)
            inside = slice(first - number * size, last - number * size)
            pieces.append((pages[number], inside, slice(first - start, last - start)))
        return pieces

    def _begin(self, past: _Past) -> int:
        self._opened += 1
        self._pasts[self._opened] = past
        return self._opened


def _tables(pages: Sequence[Sequence[int]], places: Sequence[int]) -> tuple[Places, Places]:
    """Return the pages of each row, and its length when its new token stands at that place."""
    tables = np.zeros((len(pages), max(map(len, pages))), dtype=np.int32)
    for table, row in zip(tables, pages, strict=True):
        table[: len(row)] = row
    return tables, np.array(places, dtype=np.int64) + 1


def _require_held(slot: int, length: int, tokens: int) -> None:
    if not 0 <= tokens <= length:
        raise ValueError(f"slot {slot} holds {length} tokens, not {tokens}")


class _CompiledRows:
    """One new token a row, in compiled loops, several threads over the rows."""

    def __init__(self, capacity: int, head_dim: int) -> None:
        from kernels.loops.attention import attend_rows, write_row

        self._loop, self._write = attend_rows, write_row
        self._capacity = capacity
        self._scale = np.float32(1 / math.sqrt(head_dim))
        self._scratch = threading.local()
        # compiles now, or reads the machine code from disk, so that no reply waits for it
        one = torch.zeros(1, 1, 1, head_dim)
        self.attend(torch.zeros(1, 1, 2, 1, 1, head_dim), [[0]], [0])(0, one, one, one)

    def attend(
        self, memory: Tensor, pages: Sequence[Sequence[int]], places: Sequence[int]
    ) -> Attend:
        """Return the attention of rows whose new tokens stand at these places of their pages."""
        array: Floats = memory.numpy()
        tables, lengths = _tables(pages, places)
        pairs = len(tables) * memory.shape[3]
        # elements of keys and values behind one pair
        items = int(lengths.mean()) * 2 * memory.shape[5]

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            out = torch.empty(q.shape, dtype=q.dtype)
            flat, seen = q[:, :, 0].contiguous().numpy(), out[:, :, 0].numpy()
            new: Floats = torch.stack((k[:, :, 0], v[:, :, 0])).numpy()

            def loop(start: int, stop: int) -> None:
                for pair in range(start, stop):
                    self._write(*divmod(pair, memory.shape[3]), new, array, layer, tables, lengths)
                self._loop(
                    start, stop, 1, flat, array, layer, tables, lengths, self._scale, seen,
                    self._own_scratch(),
                )  # fmt: skip

            _THREADS.over(pairs, loop, items=items)
            return out

        return attend

    def _own_scratch(self) -> Floats:
        if not hasattr(self._scratch, "scores"):
            self._scratch.scores = np.empty((HEADS_AT_ONCE, self._capacity), dtype=np.float32)
        scores: Floats = self._scratch.scores
        return scores
