"""An agent that says what a test tells it to, under the real chat page."""

import asyncio
import json
from dataclasses import dataclass, field

from aiohttp import web

from agent import chat
from streams.records import Json

VERSION_HEADER = "X-Quickset-Version"


@dataclass
class Script:
    """One reply: its pieces, and how it ends."""

    pieces: list[str] = field(default_factory=list)
    version: str = "a" * 16
    finish: str = "stop"
    status: int = 200
    error: Json | None = None  # instead of the reply, or after its pieces when status is 200
    pause: asyncio.Event | None = None  # waited for before the last piece
    cut: bool = False  # break the connection after the pieces


class FakeAgent:
    """Serves the page and plays scripts in turn; keeps what it was asked."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.requests: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self.feedback: list[tuple[str, Json]] = []
        self.feedback_status = 200
        self.serving: str | None = None  # none: the server does not say
        self.gone = asyncio.Event()  # set when a reader left in mid-stream

    def app(self) -> web.Application:
        """The application."""
        app = web.Application()
        app.add_routes(chat.routes())
        app.add_routes(
            [
                web.get("/v1/models", self._models),
                web.post("/v1/chat/completions", self._complete),
                web.put("/v1/feedback/{id}", self._feedback),
            ]
        )
        return app

    async def _models(self, _: web.Request) -> web.Response:
        model = {"id": "quickset", "version": self.serving}
        return web.json_response({"object": "list", "data": [model]})

    async def _feedback(self, request: web.Request) -> web.Response:
        self.feedback.append((request.match_info["id"], await request.json()))
        if self.feedback_status != 200:
            return web.json_response({"error": {"message": "gone"}}, status=self.feedback_status)
        return web.json_response({})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await request.json())
        self.headers.append(dict(request.headers))
        script = self.scripts.pop(0)
        if script.status != 200:
            return web.json_response({"error": script.error}, status=script.status)
        number = len(self.requests)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", VERSION_HEADER: script.version}
        )
        await response.prepare(request)
        try:
            await self._play(response, script, f"chatcmpl-{number}")
        except (ConnectionError, asyncio.CancelledError):
            self.gone.set()
            raise
        return response

    async def _play(self, response: web.StreamResponse, script: Script, id: str) -> None:
        def chunk(delta: Json, finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            body = {"id": id, "system_fingerprint": script.version, "choices": [choice]}
            return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()

        await response.write(chunk({"role": "assistant", "content": ""}))
        for number, piece in enumerate(script.pieces):
            if script.pause is not None and number == len(script.pieces) - 1:
                await self._wait(response, script.pause)
            data = chunk({"content": piece})
            await response.write(data[:9])  # cut anywhere: the page must not care
            await response.write(data[9:])
        if script.cut:
            assert response._req is not None
            assert response._req.transport is not None
            response._req.transport.close()
            return
        if script.error is not None:
            await response.write(f"data: {json.dumps({'error': script.error})}\n\n".encode())
        else:
            await response.write(chunk({}, script.finish))
            await response.write(b"data: [DONE]\n\n")

    async def _wait(self, response: web.StreamResponse, pause: asyncio.Event) -> None:
        """Wait for the test, and notice a reader who leaves meanwhile."""
        while not pause.is_set():
            await response.write(b": waiting\n\n")
            try:
                await asyncio.wait_for(pause.wait(), 0.02)
            except TimeoutError:
                continue
