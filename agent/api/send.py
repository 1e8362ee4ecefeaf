"""Sends an answer over HTTP in the shape of an API: whole, or as events while it is sampled.

Both wait for the first token before the headers go out, because the headers name the version that
sampled it; a request that fails before that is answered with a status. A reader that takes nothing
for a while is taken for gone; what it does not read waits in memory, and holds nobody else up.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from aiohttp import web

from agent.api.models import fingerprint
from agent.errors import ApiError, BrokenError
from agent.http import sse
from agent.turn.answer import Answer, Step
from streams.records import Json

STALLED_S = 60.0
VERSION_HEADER = "X-Quickset-Version"

_LOG = logging.getLogger(__name__)


class Shape(Protocol):
    """How one API writes one answer: JSON for the whole, frames of server-sent events else."""

    def whole(self) -> Json: ...

    def step(self, step: Step) -> Iterable[bytes]: ...

    def end(self) -> Iterable[bytes]: ...

    def failure(self, error: ApiError) -> bytes: ...


async def send_whole(request: web.Request, answer: Answer, shape: Shape) -> web.StreamResponse:
    """Gather the answer, and send it as one JSON object."""
    async for _ in answer.steps():
        pass
    response = web.json_response(shape.whole(), headers=_version(answer))
    answer.delivered = False
    with suppress(ConnectionError):  # the client went: the reply is recorded all the same
        # Sent here and not by the caller, so that recording comes after the last byte.
        await response.prepare(request)
        await response.write_eof()
        answer.delivered = _is_there(request)
    return response


async def send_stream(
    request: web.Request, answer: Answer, shape: Shape, *, stalled_s: float = STALLED_S
) -> web.StreamResponse:
    """Send the answer while it is sampled.

    stalled_s: a reader that takes no byte for this long is gone
    """
    steps = answer.steps()
    first = await anext(steps)
    response = web.StreamResponse(headers={**sse.HEADERS, **_version(answer)})

    async def write(frames: Iterable[bytes]) -> None:
        if data := b"".join(frames):
            async with asyncio.timeout(stalled_s):
                await response.write(data)

    async def fail(error: ApiError) -> None:
        with suppress(ConnectionError, TimeoutError):
            await write([shape.failure(error)])
            await response.write_eof()

    answer.delivered = False
    try:
        await response.prepare(request)
        await write(shape.step(first))
        async for step in steps:
            await write(shape.step(step))
        await write(shape.end())
        await response.write_eof()
        answer.delivered = _is_there(request)
    except ApiError as error:
        await fail(error)
    except (ConnectionError, TimeoutError):
        pass  # nobody is there to be told; leaving cancels what still runs
    except Exception:
        _LOG.exception("a stream that had begun failed")
        await fail(BrokenError("the server failed; its log has the reason"))
    finally:
        await steps.aclose()
    return response


def _is_there(request: web.Request) -> bool:
    """Whether the connection is open on our side: nobody has been seen to close it."""
    return request.transport is not None and not request.transport.is_closing()


def _version(answer: Answer) -> dict[str, str]:
    version = next(filter(None, (fingerprint(reply.variant) for reply in answer.replies)), None)
    return {VERSION_HEADER: version} if version else {}
