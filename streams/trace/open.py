"""Chooses what spans are told to: a collector where the settings name one, else nobody."""

from streams.settings import OtelSettings
from streams.trace.contract import NO_TRACER, Tracer


def open_tracer(settings: OtelSettings, *, service: str) -> Tracer:
    """Open a tracer. service: "quickset-agent" or "quickset-learner".

    raises: ExtraMissingError naming what to install
    """
    if settings.endpoint is None:
        return NO_TRACER
    from streams.trace.otel import OtelTracer, exporter_to  # of the extra otel

    return OtelTracer(exporter_to(settings.endpoint), service=service)
