"""Several threads over one array.

Turns "run this loop over n items" into calls on contiguous ranges, on as many threads as torch
uses here (so a share of the cores that settings give torch holds for these loops too). The
loops release the GIL. numba's own threads are not used: its portable layer aborts the process
when two threads enter it at once, and a serving process does.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import torch

Result = TypeVar("Result")

MIN_ITEMS = 2**15  # under this a second thread costs more than it saves (~20 µs to wake one)


class Threads:
    """Runs loops over ranges, in parallel; safe to use from several threads at once."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="kernels")

    def over(
        self, count: int, loop: Callable[[int, int], Result], *, items: int = 1
    ) -> list[Result]:
        """Call loop(start, stop) on ranges that cover 0..count-1, and give the results in order.

        items: elements of work behind one of `count`, to judge whether threads pay
        """
        parts = max(1, min(torch.get_num_threads(), count, count * items // MIN_ITEMS))
        edges = [count * part // parts for part in range(parts + 1)]
        waiting = [self._pool.submit(loop, start, stop) for start, stop in pairwise(edges[1:])]
        return [loop(edges[0], edges[1]), *(part.result() for part in waiting)]
