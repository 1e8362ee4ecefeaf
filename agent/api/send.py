"""Sends a response over HTTP: whole, or as server-sent events while it is sampled.

Both wait for the first token before the headers go out, because the headers name the version that
sampled it; a request that fails before that is answered with a status. A reader that takes nothing
for a while is taken for gone; what it does not read waits in memory, and holds nobody else up.
"""

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from contextlib import suppress

from aiohttp import web

from agent.api.chat import ChatRequest
from agent.api.completion import Head, chunk, completion, usage_chunk
from agent.engine.contract import Token
from agent.errors import ApiError, BrokenError
from agent.turn.answer import Answer, Step
from streams.records import Json

STALLED_S = 60.0
VERSION_HEADER = "X-Quickset-Version"

_LOG = logging.getLogger(__name__)


async def send_whole(request: web.Request, answer: Answer, call: ChatRequest) -> web.StreamResponse:
    """Gather the response, and send it as one JSON object."""
    async for _ in answer.steps():
        pass
    prompt_tokens = len(answer.ask.prompt_token_ids)
    body = completion(_head(answer, call), answer.replies, prompt_tokens=prompt_tokens)
    response = web.json_response(body, headers=_version(answer))
    with suppress(ConnectionError):  # the client went: the reply is recorded all the same
        # Sent here and not by the caller, so that recording comes after the last byte.
        await response.prepare(request)
        await response.write_eof()
    return response


async def send_stream(
    request: web.Request, answer: Answer, call: ChatRequest, *, stalled_s: float = STALLED_S
) -> web.StreamResponse:
    """Send the response while it is sampled.

    stalled_s: a reader that takes no byte for this long is gone
    """
    steps = answer.steps()
    first = await anext(steps)
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # nginx would hold tokens back
            **_version(answer),
        }
    )
    writer = _Writer(response, answer, call, stalled_s)
    try:
        await response.prepare(request)
        await writer.write(first)
        async for step in steps:
            await writer.write(step)
        await writer.close()
    except ApiError as error:
        await writer.fail(error)
    except (ConnectionError, TimeoutError):
        pass  # nobody is there to be told; leaving cancels what still runs
    except Exception:
        _LOG.exception("a stream that had begun failed")
        await writer.fail(BrokenError("the server failed; its log has the reason"))
    finally:
        await steps.aclose()
    return response


class _Writer:
    """Writes steps as events of OpenAI's stream."""

    def __init__(
        self, response: web.StreamResponse, answer: Answer, call: ChatRequest, stalled_s: float
    ) -> None:
        self._response, self._answer, self._head = response, answer, _head(answer, call)
        self._stalled_s = stalled_s
        # Tokens whose text is held back: their log-probabilities go with the next chunk.
        self._waiting: list[list[Token]] = [[] for _ in answer.replies]
        self._opened: set[int] = set()
        options = call.stream_options
        self._usage = bool(options and options.include_usage)

    async def write(self, step: Step) -> None:
        if step.choice not in self._opened:
            self._opened.add(step.choice)
            await self._chunk(step.choice, {"role": "assistant", "content": ""})
        waiting = self._waiting[step.choice]
        if step.token is not None:
            waiting.append(step.token)
        for delta in step.deltas:
            await self._chunk(step.choice, delta, tokens=waiting)
            waiting.clear()
        if step.token is None:
            await self._chunk(step.choice, {}, tokens=waiting, finished=True)

    async def close(self) -> None:
        if self._usage:
            prompt_tokens = len(self._answer.ask.prompt_token_ids)
            await self._send(
                usage_chunk(self._head, self._answer.replies, prompt_tokens=prompt_tokens)
            )
        await self._write(b"data: [DONE]\n\n")
        await self._response.write_eof()

    async def fail(self, error: ApiError) -> None:
        """Tell a reader whose stream has begun that it ends too early."""
        try:
            await self._send(error.body())
            await self._response.write_eof()
        except (ConnectionError, TimeoutError):
            return

    async def _chunk(
        self, choice: int, delta: Json, *, tokens: Sequence[Token] = (), finished: bool = False
    ) -> None:
        reply = self._answer.replies[choice]
        body = chunk(self._head, choice, reply, delta, tokens=tokens, finished=finished)
        if self._usage:
            body["usage"] = None
        await self._send(body)

    async def _send(self, body: Json) -> None:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        await self._write(f"data: {text}\n\n".encode())

    async def _write(self, data: bytes) -> None:
        async with asyncio.timeout(self._stalled_s):
            await self._response.write(data)


def _head(answer: Answer, call: ChatRequest) -> Head:
    return Head(
        id=answer.id,
        model=call.model,
        created_s=int(time.time()),
        logprobs=bool(call.logprobs),
    )


def _version(answer: Answer) -> dict[str, str]:
    version = next((reply.version for reply in answer.replies if reply.version), None)
    return {VERSION_HEADER: version} if version else {}
