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
    silent: bool = False  # send nothing while it pauses
    cut: bool = False  # break the connection after the pieces
    calls: list[Json] = field(default_factory=list)  # tool calls: id, name, arguments (a text)
    served: list[Json] = field(default_factory=list)  # calls that the agent answered itself
    dropped: int = 0  # messages that truncation left out
    usage: Json | None = None
    model: str | None = None  # which model says so; none: whichever is asked


class FakeAgent:
    """Serves the page and plays scripts in turn; keeps what it was asked."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.requests: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self.feedback: list[tuple[str, Json]] = []
        self.feedback_status = 200
        self.unknown: set[str] = set()  # replies that cannot be rated
        self.feedback_pause: asyncio.Event | None = None  # waited for before a verdict is answered
        self.serving: str | None = None  # none: the server does not say
        self.others: list[str] = []  # further models that may be asked for
        self.about: dict[str, Json] = {}  # what is told of a version
        self.context_tokens = 1000
        self.notes: list[Json] | None = None  # none: this server keeps none
        self.notes_status = 200
        self.key: str | None = None  # none: no key is asked for
        self.reasons: list[str] = []  # why no requests are taken
        self.hang: asyncio.Event | None = None  # waited for before it says how it is
        self.num_looks = 0  # how often it was asked how it is
        self.asked_for_models = 0
        self.gone = asyncio.Event()  # set when a reader left in mid-stream

    def app(self) -> web.Application:
        """The application."""
        app = web.Application()
        app.add_routes(chat.routes())
        app.add_routes(
            [
                web.get("/health/ready", self._ready),
                web.get("/v1/models", self._models),
                web.get("/v1/models/{id}", self._model),
                web.get("/v1/notes", self._notes),
                web.delete("/v1/notes/{id}", self._forget),
                web.post("/v1/chat/completions", self._complete),
                web.put("/v1/feedback/{id}", self._feedback),
            ]
        )
        return app

    async def _ready(self, _: web.Request) -> web.Response:
        self.num_looks += 1
        if self.hang is not None:
            await self.hang.wait()
        status = 503 if self.reasons else 200
        body = {"reasons": self.reasons, "version": self.serving}
        return web.json_response(body, status=status)

    def _refused(self, request: web.Request) -> web.Response | None:
        if self.key is None or request.headers.get("Authorization") == f"Bearer {self.key}":
            return None
        error = {"message": "an API key is needed", "code": "invalid_api_key"}
        return web.json_response({"error": error}, status=401)

    async def _models(self, request: web.Request) -> web.Response:
        self.asked_for_models += 1
        if refused := self._refused(request):
            return refused
        models = [
            {"id": name, "version": self.serving, "context_length": self.context_tokens}
            for name in ("quickset", *self.others)
        ]
        return web.json_response({"object": "list", "data": models})

    async def _model(self, request: web.Request) -> web.Response:
        version = request.match_info["id"].removeprefix("quickset@")
        if version not in self.about:
            return web.json_response({"error": {"message": "there is none"}}, status=404)
        return web.json_response({"version": version} | self.about[version])

    async def _notes(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        if self.notes_status != 200:
            return web.json_response({"error": {"message": "not now"}}, status=self.notes_status)
        if self.notes is None:
            return web.json_response({"error": {"message": "no such path"}}, status=404)
        return web.json_response({"object": "list", "data": self.notes})

    async def _forget(self, request: web.Request) -> web.Response:
        assert self.notes is not None
        self.notes = [note for note in self.notes if note["id"] != request.match_info["id"]]
        return web.json_response({"id": request.match_info["id"], "deleted": True})

    async def _feedback(self, request: web.Request) -> web.Response:
        if request.match_info["id"] in self.unknown:
            return web.json_response({"error": {"message": "none of yours"}}, status=404)
        self.feedback.append((request.match_info["id"], await request.json()))
        if self.feedback_pause is not None:
            await self.feedback_pause.wait()
        if self.feedback_status != 200:
            return web.json_response({"error": {"message": "gone"}}, status=self.feedback_status)
        return web.json_response({})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refused(request):
            return refused
        self.requests.append(await request.json())
        self.headers.append(dict(request.headers))
        script = self._script(self.requests[-1]["model"])
        if script.status != 200:
            return web.json_response({"error": script.error}, status=script.status)
        number = len(self.requests)
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                VERSION_HEADER: script.version,
                "X-Quickset-Truncated": str(script.dropped),
            }
        )
        await response.prepare(request)
        try:
            await self._play(response, script, f"chatcmpl-{number}")
        except (ConnectionError, asyncio.CancelledError):
            self.gone.set()
            raise
        return response

    def _script(self, model: str) -> Script:
        """The next script; of those that name a model, the first of this one."""
        at = next((i for i, each in enumerate(self.scripts) if each.model in (None, model)), 0)
        return self.scripts.pop(at)

    async def _play(self, response: web.StreamResponse, script: Script, id: str) -> None:
        def chunk(delta: Json, finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            body = {"id": id, "system_fingerprint": script.version, "choices": [choice]}
            return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()

        await response.write(chunk({"role": "assistant", "content": ""}))
        if script.served:
            await response.write(chunk({"server_tool_calls": script.served}))
        for number, piece in enumerate(script.pieces):
            if script.pause is not None and number == len(script.pieces) - 1:
                await (script.pause.wait() if script.silent else self._wait(response, script.pause))
            data = chunk({"content": piece})
            await response.write(data[:9])  # cut anywhere: the page must not care
            await response.write(data[9:])
        for number, call in enumerate(script.calls):
            named = {"name": call["name"], "arguments": ""}
            await response.write(
                chunk(
                    {
                        "tool_calls": [
                            {
                                "index": number,
                                "id": call["id"],
                                "type": "function",
                                "function": named,
                            }
                        ]
                    }
                )
            )
            for piece in (call["arguments"][:5], call["arguments"][5:]):
                await response.write(
                    chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
                )
        if script.cut:
            assert response._req is not None
            assert response._req.transport is not None
            response._req.transport.close()
            return
        if script.error is not None:
            await response.write(f"data: {json.dumps({'error': script.error})}\n\n".encode())
        else:
            await response.write(chunk({}, "tool_calls" if script.calls else script.finish))
            if script.usage:
                told = {"choices": [], "usage": script.usage}
                await response.write(f"data: {json.dumps(told)}\n\n".encode())
            await response.write(b"data: [DONE]\n\n")

    async def _wait(self, response: web.StreamResponse, pause: asyncio.Event) -> None:
        """Wait for the test, and notice a reader who leaves meanwhile."""
        while not pause.is_set():
            await response.write(b": waiting\n\n")
            try:
                await asyncio.wait_for(pause.wait(), 0.02)
            except TimeoutError:
                continue
