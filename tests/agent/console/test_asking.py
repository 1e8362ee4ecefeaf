"""A store or a log that hangs costs a page its wait, and nobody else more."""

import asyncio
import threading

import pytest

from agent.console.asking import AT_ONCE, MOST, Asking, Workers
from agent.console.read.sections import NO_ANSWER, NO_STORE
from agent.errors import NotFoundError
from tests.agent.console.test_live import HangingStore


async def test_what_hangs_is_waited_for_once_and_ends_by_itself() -> None:
    """Whatever is asked meanwhile says so in time; afterwards all is as before."""
    go = threading.Event()
    workers = Workers("test", wait_s=0.01)
    for _ in range(AT_ONCE + MOST):
        assert await workers.ask(lambda: go.wait(30)) is None
    go.set()
    while await workers.ask(lambda: 7) != 7:
        await asyncio.sleep(0)
    workers.close()


async def test_a_hanging_store_is_told() -> None:
    """The page gets a sentence instead of rows; a store that is away, another one."""
    hanging = HangingStore()
    asking = Asking(hanging, wait_s=0.01)  # type: ignore[arg-type]
    assert await asking.ask(lambda _: {}) == ({}, NO_ANSWER)
    hanging.go.set()
    found = NO_ANSWER
    while found == NO_ANSWER:
        _, found = await asking.ask(lambda _: {})
    assert found == "The store cannot be used now: gone"
    asking.close()
    assert (await Asking(None, wait_s=1).ask(lambda _: {}))[1] == NO_STORE


async def test_what_is_not_found_is_no_trouble_of_the_store() -> None:
    """An error that answers the request passes through, from any thread."""

    def missing() -> None:
        raise NotFoundError("no such turn")

    workers = Workers("test", wait_s=30)
    with pytest.raises(NotFoundError):
        await workers.ask(missing)
    workers.close()
