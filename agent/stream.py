"""What passes between the engine's thread and the event loop: requests in, tokens out.

The engine never waits for a reader: what is not read yet waits in memory, at most one event a token
of the reply's own limit.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from streams.records import Sampling


@dataclass(frozen=True, slots=True)
class Request:
    """What the engine is asked for: one reply."""

    prompt_token_ids: list[int]
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Token:
    """One sampled token, and the text that became certain by it (empty: none yet)."""

    id: int
    text: str
    logprob: float
    sampling_logprob: float
    version: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a reply, and why."""

    reason: Literal["stop", "length", "cancelled"]


Event = Token | Finish | Exception


class Stream:
    """One reply on its way; read it in the event loop that asked for it, once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Nobody waits for this reply any more."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask the engine to end this reply; it does so before its next step."""
        self._cancelled.set()

    def deliver(self, event: Event) -> None:
        """Hand an event over to the reader; called by the engine's thread, never waits."""
        # A loop that has closed has no reader left.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def __aiter__(self) -> AsyncIterator[Token | Finish]:
        """Give the tokens, then the Finish.

        raises: BrokenLogitsError, EngineStoppedError, when no more tokens will come
        """
        while True:
            event = await self._events.get()
            if isinstance(event, Exception):
                raise event
            yield event
            if isinstance(event, Finish):
                return
