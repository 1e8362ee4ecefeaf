"""Reads for pages, off the event loop; what hangs costs a page a second, and no more.

Knows nothing of what is read.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from agent.console.read.sections import BROKEN_ROW, NO_ANSWER, NO_STORE, trouble_of
from agent.errors import ApiError
from streams.errors import StreamsError
from streams.records import Json
from streams.store.store import Store

_LOG = logging.getLogger(__name__)

AT_ONCE: Final = 2  # readings; more operators wait a few milliseconds
MOST: Final = 8  # that run or wait: what hangs must not gather more

Found = TypeVar("Found")


class Workers:
    """A few threads, whose work is waited for as long as a page may wait."""

    def __init__(self, name: str, *, wait_s: float) -> None:
        """Begin nothing yet. wait_s: how long a page waits, in seconds."""
        self._wait_s = wait_s
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix=name)
        self._begun = 0

    async def ask(self, work: Callable[[], Found]) -> Found | None:
        """Return what some work found; None: not in time. Raises: what it raises."""
        if self._begun >= MOST:
            return None
        self._begun += 1
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        running.add_done_callback(self._end)
        done, _ = await asyncio.wait([running], timeout=self._wait_s)
        if not done:
            running.cancel()  # what has not begun is not wanted any more
            return None
        return running.result()

    def close(self) -> None:
        """Begin nothing further."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _end(self, running: "asyncio.Future[Any]") -> None:
        self._begun -= 1
        if not running.cancelled():
            running.exception()  # whoever asked may be gone; then nobody else looks at it


class Asking:
    """The readings of the store for one console's pages."""

    def __init__(self, store: Store | None, *, wait_s: float) -> None:
        """Read nothing yet. wait_s: how long a page waits for the store, in seconds."""
        self._store, self._workers = store, Workers("console-page", wait_s=wait_s)

    async def ask(self, read: Callable[[Session], Json]) -> tuple[Json, str]:
        """Return what was read, and what is wrong with the store; empty: nothing.

        raises: what `read` raises of ApiError
        """
        store = self._store
        if store is None:
            return {}, NO_STORE
        found = await self._workers.ask(lambda: _read(store, read))
        return ({}, NO_ANSWER) if found is None else found

    def close(self) -> None:
        """Begin no further reading."""
        self._workers.close()


def _read(store: Store, read: Callable[[Session], Json]) -> tuple[Json, str]:
    try:
        with store.reading() as session:
            return read(session), ""
    except ApiError:
        raise
    except (StreamsError, SQLAlchemyError) as cause:
        return {}, trouble_of(cause)
    except Exception:
        # A row that another build wrote must not take the serving version from the page.
        _LOG.exception("the store's rows cannot be shown")
        return {}, BROKEN_ROW
