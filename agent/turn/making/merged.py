"""Puts the steps of several choices of a response in one order: that in which they come."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from agent.turn.reply import ReplyEvent


@dataclass(frozen=True, slots=True)
class Step:
    """What became certain of one choice."""

    choice: int
    events: list[ReplyEvent]


async def merged(makers: Sequence[AsyncGenerator[Step]]) -> AsyncIterator[Step]:
    """Yield the steps of several choices as they come."""
    if len(makers) == 1:
        async with aclosing(makers[0]) as steps:
            async for step in steps:
                yield step
        return
    ready: asyncio.Queue[tuple[int, Step | None]] = asyncio.Queue()

    async def pump(choice: int, steps: AsyncGenerator[Step]) -> None:
        try:
            async with aclosing(steps):
                async for step in steps:
                    ready.put_nowait((choice, step))
        finally:
            ready.put_nowait((choice, None))

    pumps = [asyncio.create_task(pump(*each)) for each in enumerate(makers)]
    try:
        running = len(pumps)
        while running:
            choice, got = await ready.get()
            if got is not None:
                yield got
                continue
            running -= 1
            await pumps[choice]
    finally:
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
