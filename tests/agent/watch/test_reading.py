"""One reading at a time, and how long what came too late is still an answer."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from agent.watch.reading import Reading


class Slow:
    """A reading that hangs until it is let go."""

    def __init__(self, found: Callable[[], str]) -> None:
        self.let, self.ended = threading.Event(), threading.Event()
        self._found = found

    def __call__(self) -> str:
        self.let.wait()
        try:
            return self._found()
        finally:
            self.ended.set()


def fails() -> str:
    """Find nothing, with a fault."""
    raise OSError("broken")


@pytest.mark.parametrize("later_s", [1.0, 3600.0])
@pytest.mark.parametrize("found", [lambda: "nine o'clock", fails])
async def test_what_came_too_late_is_an_answer_for_a_moment_only(
    later_s: float, found: Callable[[], str]
) -> None:
    """Asked again at once, it is what the first reading found; an hour later it is read anew."""
    now_s, slow = 100.0, Slow(found)
    reading = Reading[str]("a-test", clock=lambda: now_s)
    assert await reading.ask(slow, wait_s=0.001) is None
    slow.let.set()
    await asyncio.to_thread(slow.ended.wait)
    reading._thread.submit(lambda: None).result()  # the reading before has ended wholly
    await asyncio.sleep(0)
    now_s += later_s
    if later_s > 2:
        assert await reading.ask(lambda: "ten o'clock", wait_s=60) == "ten o'clock"
    elif found is fails:
        with pytest.raises(OSError, match="broken"):
            await reading.ask(lambda: "ten o'clock", wait_s=60)
    else:
        assert await reading.ask(lambda: "ten o'clock", wait_s=60) == "nine o'clock"
    reading.close()


async def test_what_hangs_is_not_begun_twice() -> None:
    """However long ago it began."""
    now_s, slow = 100.0, Slow(lambda: "at last")
    reading = Reading[str]("a-test", clock=lambda: now_s)
    assert await reading.ask(slow, wait_s=0.001) is None
    now_s += 3600.0
    assert await reading.ask(lambda: "another", wait_s=60) is None
    slow.let.set()
    reading.close()
