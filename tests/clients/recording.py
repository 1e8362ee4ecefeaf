"""Requests of real clients, written down as they were sent, and read again.

A recorder stands between a client and the API, passes everything on, and keeps what was said. A
file of `recorded/` has the client, its version, where its requests come from, and the requests:
path, headers that name a session, body, and what was replied. What is long and sent again and again
(instructions, tools) stands once, under `texts`.
"""

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self

FOLDER: Final = Path(__file__).parent / "recorded"
# Of a request's headers, what names clients, sessions and turns.
KEPT: Final = ("user-agent", "x-session", "x-title", "http-referer", "x-openwebui", "x-opencode")
# What is longer stands once in a file.
LONG_CHARS: Final = 200
WAIT_S: Final = 120


@dataclass
class Sent:
    """A request, and what the model said to it.

    said: as the scripted engine says it, calls of tools included
    """

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    said: str


@dataclass
class Recorded:
    """What a client sent, in the order in which it did.

    source: where the requests come from
    follows: of each request, which one's reply its last message is about; None: about none
    """

    client: str
    version: str
    source: str
    follows: list[int | None]
    requests: list[Sent] = field(default_factory=list)

    def write(self, file: Path) -> None:
        """Write it down."""
        texts: list[Any] = []
        requests = [_short(vars(each), texts) for each in self.requests]
        told = {**vars(self), "requests": requests, "texts": texts}
        file.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", "utf-8")

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what was written."""
        told = json.loads(file.read_text("utf-8"))
        texts = told.pop("texts")
        requests = [Sent(**_long(each, texts)) for each in told.pop("requests")]
        return cls(**told, requests=requests)


def _short(value: Any, texts: list[Any]) -> Any:
    """Put what is long into a list of its own, and its place there into the value."""
    if isinstance(value, dict):
        return {name: _short(each, texts) for name, each in value.items()}
    if isinstance(value, list) and all(
        not isinstance(each, dict) or "role" in each for each in value
    ):
        return [_short(each, texts) for each in value]
    if len(json.dumps(value)) < LONG_CHARS:
        return value
    if value not in texts:
        texts.append(value)
    return {"$text": texts.index(value)}


def _long(value: Any, texts: list[Any]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"$text"}:
            return texts[value["$text"]]
        return {name: _long(each, texts) for name, each in value.items()}
    return [_long(each, texts) for each in value] if isinstance(value, list) else value


@contextmanager
def recording(address: str) -> Iterator[tuple[str, list[Sent]]]:
    """Pass requests on to an API; return the address to use instead, and what is sent there."""
    found: list[Sent] = []

    class Between(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass(None)

        def do_POST(self) -> None:
            self._pass(self.rfile.read(int(self.headers["Content-Length"])))

        def _pass(self, data: bytes | None) -> None:
            names = {name: self.headers[name] for name in self.headers if name.lower() not in HOP}
            asked = urllib.request.Request(f"{address}{self.path}", data, names)
            with urllib.request.urlopen(asked, timeout=WAIT_S) as response:
                told, kind = response.read(), response.headers["Content-Type"]
            if data is not None:
                kept = {n: v for n, v in names.items() if n.lower().startswith(KEPT)}
                said = _said(told.decode())
                found.append(Sent(self.path, kept, json.loads(data), said))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Between)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


HOP: Final = ("host", "connection", "content-length", "accept-encoding")


def _said(told: str) -> str:
    """What a chat completion says, whole or streamed, as a script has it."""
    if told.startswith("{"):
        deltas = [choice["message"] for choice in json.loads(told)["choices"]]
    else:
        lines = [line.removeprefix("data: ") for line in told.split("\n\n") if "{" in line]
        deltas = [c["delta"] for line in lines for c in json.loads(line)["choices"]]
    text, calls = "", dict[int, dict[str, str]]()
    for delta in deltas:
        text += delta.get("content") or ""
        for place, call in enumerate(delta.get("tool_calls") or []):
            made = calls.setdefault(call.get("index", place), {"name": "", "arguments": ""})
            for name in made:
                made[name] += call["function"].get(name) or ""
    for call in calls.values():
        told_call = {"name": call["name"], "arguments": json.loads(call["arguments"])}
        text += f"<tool_call>{json.dumps(told_call)}</tool_call>"
    return text
