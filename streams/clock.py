"""Clocks for what must not jump: how long something has been kept, and when the log took it."""

import time
from collections.abc import Callable
from typing import Final

# Linux's count that goes on while the machine sleeps; elsewhere a sleep is not counted.
_PASSED: Final = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))

# A clock that shows less than the year 2026, which this program is not older than, was never set:
# a machine without a battery starts in 1970, or when its firmware was made. Unix seconds.
UNSET_BEFORE_S: Final = 1_767_225_600


def passed() -> float:
    """Return seconds since any moment, by a clock that nobody sets and that no sleep stops."""
    return time.monotonic() if _PASSED is None else time.clock_gettime(_PASSED)


def steady(
    wall: Callable[[], float] = time.time, passed: Callable[[], float] = passed
) -> Callable[[], float]:
    """Return a clock in Unix seconds that cannot be set: right when it was made, it goes on alone.

    A wall clock that is set years ahead, even for a moment, would make everything old at once, and
    what is old is pruned. One that is made while the wall clock is wrong stays wrong: what it dates
    is not believed at once (streams.log.file.APPEND, streams.keeping.retention).

    passed: seconds since any moment

    >>> wall, passed = iter([1000.0, 9e9]), iter([5.0, 6.5])
    >>> steady(lambda: next(wall), lambda: next(passed))()
    1001.5
    """
    began = wall() - passed()
    return lambda: began + passed()
