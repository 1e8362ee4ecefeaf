"""Waiting for the agent: it is ready when GET /health/ready says so."""

import asyncio
import contextlib

import aiohttp

EVERY_S = 0.2
ANSWER_S = 5.0


async def until_ready(agent: str) -> None:
    """Return when the agent at this address takes requests; wait for ever if it never does."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout) as client:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with client.get(f"{agent}/health/ready") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(EVERY_S)
