"""Pages of memory for keys and values, each used by one sequence or shared by several.

A page has room for the keys and values of some tokens, in every layer. It takes memory from the
system when it is first written to, and gives it back when its last user lets go of it: what a cache
costs is what stands in it, whatever it may grow to.

Knows nothing of sequences or attention; one thread at a time.
"""

import mmap
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kernels.model.forward import Decoder


class Pages:
    """A fixed number of pages, of which some are free."""

    def __init__(self, decoder: Decoder, *, count: int, tokens: int) -> None:
        """Reserve address space.

        count: pages; tokens: of one page
        """
        self.count, self.tokens = count, tokens
        shape = (count, decoder.num_layers, 2, decoder.kv_heads, tokens, decoder.head_dim)
        # memory: (pages, layers, keys and values, kv_heads, tokens, head_dim)
        self.memory, self._mapped = _reserve(shape, decoder.dtype, decoder.device)
        self._page_bytes = self.memory[0].nbytes
        self._users = [0] * count
        self._free = list(reversed(range(count)))  # the last one is taken first: the lowest

    @property
    def free(self) -> int:
        """How many pages nobody uses."""
        return len(self._free)

    def take(self, count: int) -> list[int]:
        """Take free pages.

        raises: ValueError when there are not so many
        """
        if count > len(self._free):
            raise ValueError(f"{count} pages are asked for, {len(self._free)} of {self.count} left")
        taken = [self._free.pop() for _ in range(count)]
        for page in taken:
            self._users[page] = 1
        return taken

    def share(self, pages: Sequence[int]) -> None:
        """Count one more user of each of these pages, which then must not be written to."""
        for page in pages:
            self._users[page] += 1

    def let_go(self, pages: Sequence[int]) -> None:
        """Count one user of each of these pages less; what nobody uses is free, and forgotten."""
        for page in pages:
            self._users[page] -= 1
            if not self._users[page]:
                self._free.append(page)
                self._give_back(page)

    def _give_back(self, page: int) -> None:
        if self._mapped is None:
            self.memory[page].zero_()
            return
        begin, end = page * self._page_bytes, (page + 1) * self._page_bytes
        first = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE
        last = end // mmap.PAGESIZE * mmap.PAGESIZE
        if first < last:
            self._mapped.madvise(mmap.MADV_DONTNEED, first, last - first)


def _reserve(
    shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, mmap.mmap | None]:
    """Return zeros that cost nothing before they are written to, where the system can do that."""
    if device.type != "cpu" or not hasattr(mmap, "MADV_DONTNEED"):
        return torch.zeros(shape, dtype=dtype, device=device), None
    num_bytes = int(np.prod(shape)) * dtype.itemsize
    # never more of it is used than a setting allows, whatever the system thinks of promises
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    mapped = mmap.mmap(-1, max(num_bytes, 1), flags=flags)
    return torch.frombuffer(mapped, dtype=dtype).view(shape), mapped
