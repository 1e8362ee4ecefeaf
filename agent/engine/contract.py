"""What passes between the engine's thread and the event loop: requests in, tokens out.

The engine never waits for a reader: what is not read yet waits in memory, at most one event a token
of the reply's own limit.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal

from streams.records import Sampling


@dataclass(frozen=True, slots=True)
class Request:
    """What the engine is asked for: one reply."""

    prompt_token_ids: list[int]
    sampling: Sampling
    owner: str = ""  # whose it is: what others asked is not found again in the cache


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
    stopped_by: str | None = None  # the stop string, when it was one


Event = Token | Finish | Exception


class Stream:
    """One reply on its way; read it in the event loop that asked for it, once."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Nobody waits for this reply any more."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask the engine to end this reply; it does so before its next step."""
        self._cancelled.set()

    async def __aiter__(self) -> AsyncIterator[Token | Finish]:
        """Yield the tokens, then the Finish.

        raises: ReplyFailedError, EngineStoppedError, when no more tokens will come
        """
        while True:
            event = await self.events.get()
            if isinstance(event, Exception):
                raise event
            yield event
            if isinstance(event, Finish):
                return


def deliver(events: Sequence[tuple[Stream, Event]]) -> None:
    """Hand events over to their readers; called by the engine's thread, never waits.

    One call a loop: waking a loop costs a system call, and a step has an event for each reply.
    """
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Stream, Event]]] = {}
    for stream, event in events:
        by_loop.setdefault(stream.loop, []).append((stream, event))
    for loop, due in by_loop.items():
        try:
            loop.call_soon_threadsafe(_put, due)
        except RuntimeError:  # the loop has closed: nobody is left to read
            for stream, _ in due:
                stream.cancel()


def _put(events: Sequence[tuple[Stream, Event]]) -> None:
    for stream, event in events:
        stream.events.put_nowait(event)
