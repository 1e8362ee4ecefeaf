"""A collector of OTLP over HTTP in a test's own process: keeps every span that it is sent."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Seen:
    """A span that arrived."""

    name: str
    service: str
    trace: str
    span: str
    parent: str
    links: frozenset[tuple[str, str]]
    failed: bool
    took_s: float
    attributes: dict[str, Any]


@dataclass
class Collector:
    """A running collector."""

    endpoint: str = ""
    seen: list[Seen] = field(default_factory=list)

    def of(self, name: str) -> list[Seen]:
        """The spans of a name."""
        return [span for span in self.seen if span.name == name]

    def take(self, body: bytes) -> None:
        """Keep the spans of a request."""
        asked = ExportTraceServiceRequest.FromString(body)
        for resource in asked.resource_spans:
            service = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.seen += [_seen(span, service["service.name"]) for span in scope.spans]


def _seen(span: Any, service: str) -> Seen:
    values = {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}
    return Seen(
        name=span.name,
        service=service,
        trace=span.trace_id.hex(),
        span=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        links=frozenset((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        failed=span.status.code == 2,
        took_s=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        attributes=values,
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    """Collect inside the block."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            collector.take(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    collector.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
