"""Sends spans by OpenTelemetry's SDK, as OTLP over HTTP; the one file that imports it.

The SDK queues spans and sends them in a thread of its own; what a collector that is away cannot
take is dropped, and its log says so. Ids are ours (streams.trace.places), not drawn.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from streams.errors import ExtraMissingError
from streams.trace.contract import Value
from streams.trace.places import Place

try:
    from opentelemetry.context import Context
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.trace import (
        Link,
        NonRecordingSpan,
        SpanContext,
        Status,
        StatusCode,
        TraceFlags,
        set_span_in_context,
    )
except ModuleNotFoundError as cause:
    raise ExtraMissingError(
        "otel.endpoint is set, and OpenTelemetry is not installed: "
        "pip install 'quickset[otel]', or leave otel.endpoint out"
    ) from cause

PATH: Final = "/v1/traces"  # OTLP's, where the endpoint names no other
CLOSE_MS: Final = 3000


class _Given(IdGenerator):
    """The ids of the span that is being made."""

    def __init__(self) -> None:
        self.place = Place("", "")

    def generate_span_id(self) -> int:
        return int(self.place.span, 16)

    def generate_trace_id(self) -> int:
        return int(self.place.trace, 16)


class OtelTracer:
    """Spans of one process."""

    on = True

    def __init__(self, exporter: SpanExporter, *, service: str) -> None:
        """Begin. service: its name in the backend."""
        self._ids, self._lock = _Given(), threading.Lock()
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": service}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("quickset")

    def span(
        self,
        name: str,
        place: Place,
        *,
        began_s: float,
        ended_s: float,
        parent: Place | None = None,
        links: Sequence[Place] = (),
        failed: str | None = None,
        attributes: Mapping[str, Value | None] | None = None,
    ) -> None:
        """Tell a stage that is over, as streams.trace.contract says."""
        context = Context()
        if parent is not None:
            context = set_span_in_context(NonRecordingSpan(_context(parent)), context)
        known = {f"quickset.{n}": v for n, v in (attributes or {}).items() if v is not None}
        with self._lock:  # the ids are of one span at a time
            self._ids.place = place
            span = self._tracer.start_span(
                name,
                context=context,
                links=[Link(_context(each)) for each in links],
                attributes=known,
                start_time=int(began_s * 1e9),
            )
        if failed is not None:
            span.set_status(Status(StatusCode.ERROR, failed))
        span.end(end_time=int(max(began_s, ended_s) * 1e9))

    def close(self) -> None:
        """Send what is left, within a few seconds."""
        self._provider.force_flush(CLOSE_MS)
        self._provider.shutdown()


def exporter_to(endpoint: str) -> SpanExporter:
    """An exporter to a collector. endpoint: its URL; /v1/traces where it has no path."""
    url = urlsplit(endpoint)
    if not url.path.strip("/"):
        endpoint = url._replace(path=PATH).geturl()
    return OTLPSpanExporter(endpoint=endpoint)


def _context(place: Place) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(int(place.trace, 16), int(place.span, 16), is_remote=True, trace_flags=flags)
