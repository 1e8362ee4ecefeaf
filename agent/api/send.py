"""Sends an answer over HTTP in the shape of an API: whole, or as events while it is sampled.

Both wait for the first token before the headers go out, because the headers name the version that
sampled it; a request that fails before that is answered with a status. A stream waits so for the
seconds of a keep-alive at most: then its headers go without the version, and comments say that it
still waits. A reader that takes nothing for a while is taken for gone; what it does not read waits
in memory, and holds nobody else up.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import suppress

from aiohttp import web

from agent.api.models.models import fingerprint
from agent.api.surface import Shape
from agent.errors import ApiError, BrokenError
from agent.http import edge, sse
from agent.turn.making.merged import Step
from agent.turn.own.told import Told

STALLED_S = 60.0
# Tokens that are read at once where all are sent as one: a handler that wakes for each costs more.
TOGETHER = 64
VERSION_HEADER = "X-Quickset-Version"
CUT_HEADER = "X-Quickset-Truncated"

_LOG = logging.getLogger(__name__)


async def send_whole(
    request: web.Request, answer: Told, shape: Shape, *, stalled_s: float = STALLED_S
) -> web.StreamResponse:
    """Gather the answer, and send it as one JSON object.

    stalled_s: a reader that takes no byte for this long is gone
    """
    async for _ in answer.steps(together=TOGETHER):
        pass
    response = web.json_response(shape.whole(), headers=_version(answer) | _cut(answer))
    answer.delivered = False
    with suppress(ConnectionError, TimeoutError):  # the client went: it is recorded all the same
        # Sent here and not by the caller, so that recording comes after the last byte.
        await response.prepare(request)
        await edge.until_taken(request, response.write_eof(), stalled_s=stalled_s)
        answer.delivered = _is_there(request)
    return response


async def send_stream(
    request: web.Request,
    answer: Told,
    shape: Shape,
    *,
    keep_alive_s: float,
    stalled_s: float = STALLED_S,
) -> web.StreamResponse:
    """Send the answer while it is sampled.

    keep_alive_s: a stream that has said nothing for this long says so in a comment
    stalled_s: a reader that takes no byte for this long is gone
    """
    events = sse.Writer(request, keep_alive_s=keep_alive_s, stalled_s=stalled_s)
    events.response.headers.update(_cut(answer))
    steps = answer.steps()
    answer.delivered = False
    try:
        first = await _first(steps, events)
        await events.begin(_version(answer))
        await events.write(shape.step(first))
        async for step in steps:
            await events.write(shape.step(step))
        await events.write(shape.end())
        await events.end()
        answer.delivered = _is_there(request)
    except ApiError as error:
        await _fail(events, shape, error)
    except (ConnectionError, TimeoutError):
        pass  # nobody is there to be told; leaving cancels what still runs
    except Exception:
        if not events.begun:
            raise
        _LOG.exception("a stream that had begun failed")
        await _fail(events, shape, BrokenError("the server failed; its log has the reason"))
    finally:
        await events.close()
        await steps.aclose()
    return events.response


async def _first(steps: AsyncGenerator[Step], events: sse.Writer) -> Step:
    """The first step; as long as it does not come, the reader is told that it will."""
    coming = asyncio.ensure_future(anext(steps))
    try:
        return await events.wait(coming)
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.wait([coming])


async def _fail(events: sse.Writer, shape: Shape, error: ApiError) -> None:
    """Tell a reader whose stream has begun why it ends too early."""
    if not events.begun:
        raise error
    with suppress(ConnectionError, TimeoutError):
        await events.write(shape.failure(error))
        await events.end()


def _is_there(request: web.Request) -> bool:
    """Whether the connection is open on our side: nobody has been seen to close it."""
    return request.transport is not None and not request.transport.is_closing()


def _cut(answer: Told) -> dict[str, str]:
    """How many of the oldest messages were left out of the prompt, if any were."""
    messages = sum(ask.cut.messages for ask in answer.asks)
    return {CUT_HEADER: str(messages)} if messages else {}


def _version(answer: Told) -> dict[str, str]:
    version = next(filter(None, (fingerprint(reply.variant) for reply in answer.replies)), None)
    return {VERSION_HEADER: version} if version else {}
