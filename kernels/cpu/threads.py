"""Several threads over one array, or over many.

Turns "run this loop over n items" into calls on contiguous ranges, and "do this to each tensor"
into as many at a time, on as many threads as torch uses here (so a share of the cores that settings
give torch holds for these loops too). The loops release the GIL. numba's own threads are not used:
its portable layer aborts the process when two threads enter it at once, and a serving process does.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import torch

from kernels.contract import Item, Result

MIN_ITEMS = 2**15  # under this a second thread costs more than it saves (~20 µs to wake one)


class Threads:
    """Runs loops over ranges, in parallel; safe to use from several threads at once."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="kernels")
        self._busy = threading.local()  # .each: this thread does one of many works

    def over(
        self, count: int, loop: Callable[[int, int], Result], *, items: int = 1
    ) -> list[Result]:
        """Call loop(start, stop) on ranges that cover 0..count-1, and return the results in order.

        items: elements of work behind one of `count`, to judge whether threads pay
        """
        alone = getattr(self._busy, "each", False)
        most = 1 if alone else min(torch.get_num_threads(), count, count * items // MIN_ITEMS)
        parts = max(1, most)
        edges = [count * part // parts for part in range(parts + 1)]
        waiting = [self._pool.submit(loop, start, stop) for start, stop in pairwise(edges[1:])]
        return [loop(edges[0], edges[1]), *(part.result() for part in waiting)]

    def each(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Call work on every item, several at a time, and return the results in order.

        Many tensors are shared out whole: to split each of them wakes the other threads each time,
        which costs more than the second core gives back.

        raises: what a work raised, the first in order, when all have ended
        """
        waiting = iter(range(len(items)))  # a range's iterator gives each number to one thread
        done: dict[int, Result] = {}
        failed: dict[int, BaseException] = {}

        def help_out() -> None:
            before = getattr(self._busy, "each", False)
            self._busy.each = True
            try:
                for place in waiting:
                    try:
                        done[place] = work(items[place])
                    except BaseException as cause:
                        failed[place] = cause
            finally:
                self._busy.each = before

        others = 0 if getattr(self._busy, "each", False) else torch.get_num_threads() - 1
        helping = [self._pool.submit(help_out) for _ in range(min(others, len(items) - 1))]
        help_out()
        for helper in helping:
            if not helper.cancel():  # one that has not begun has nothing left to do
                helper.result()
        if failed:
            raise failed[min(failed)]
        return [done[place] for place in range(len(items))]
