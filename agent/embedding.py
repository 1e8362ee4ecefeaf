"""Embeds texts for clients, in a thread of its own, for which nothing else waits.

One text at a time, so that whoever goes away, and a stop, end what is left of a request.

Knows nothing of HTTP.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from agent.errors import BusyError, UnavailableError
from streams.model.embedding.embed import Embedder, Vectors

# Requests that are embedded or wait for it.
MOST_WAITING: Final = 32


class Embedding:
    """Embeds with one embedder."""

    def __init__(self, embedder: Embedder) -> None:
        """Take the embedder; its thread begins with the first text."""
        self.name = embedder.name
        self._embedder = embedder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embed")
        self._waiting = 0
        self._closed = False

    async def vectors(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of some texts, (texts, dimensions).

        raises: BusyError where too many requests wait; UnavailableError once it is closed
        """
        if self._waiting >= MOST_WAITING:
            raise BusyError(f"{MOST_WAITING} requests wait to be embedded: ask again in a while")
        self._waiting += 1
        try:
            return np.concatenate([await self._vector(text) for text in texts])
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Begin no further text."""
        self._closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _vector(self, text: str) -> Vectors:
        if not self._closed:
            embedded = asyncio.get_running_loop().run_in_executor(
                self._thread, self._embedder.embed, [text]
            )
            try:
                await asyncio.wait([embedded])
                if not embedded.cancelled():
                    return embedded.result()
            finally:
                embedded.cancel()
        raise UnavailableError("the server stops: ask again")
