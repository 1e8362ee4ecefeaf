"""Spans as they are sent: ids that follow from what they are of, and a collector that is away."""

import sys
import time

import pytest

from streams.errors import ExtraMissingError
from streams.settings import NO_OTEL, OtelSettings
from streams.trace import places
from streams.trace.contract import NO_TRACER
from streams.trace.open import open_tracer

pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel")

from tests.otlp_collector import collecting

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_span_arrives_as_it_was_told() -> None:
    """Its ids, parent, links, times and attributes; what is not known is left out."""
    turn = places.turn("chatcmpl-1", TRACE)
    version = places.generation("abcd")
    with collecting() as collector:
        tracer = open_tracer(OtelSettings(endpoint=collector.endpoint), service="a-service")
        tracer.span("request", turn, began_s=100.0, ended_s=101.5, attributes={"x": 1, "y": None})
        tracer.span(
            "lesson", places.lesson(turn, "chatcmpl-1", "g"), began_s=1.0, ended_s=0.5, parent=turn,
            links=[version], failed="no lesson",
        )  # fmt: skip
        tracer.close()
    request, lesson = collector.seen
    assert (request.service, request.trace, request.span) == ("a-service", TRACE, turn.span)
    assert (request.parent, request.took_s, request.attributes) == ("", 1.5, {"quickset.x": 1})
    assert (lesson.trace, lesson.parent, lesson.failed) == (TRACE, turn.span, True)
    assert lesson.links == {(version.trace, version.span)}
    assert lesson.took_s == 0  # a clock that was set back makes no span that ends before it began


def test_a_collector_that_is_away_holds_nobody_up() -> None:
    """Spans are queued while it is away, and the process that makes them goes on."""
    tracer = open_tracer(OtelSettings(endpoint="http://127.0.0.1:1"), service="a-service")
    began_s = time.monotonic()
    for number in range(100):
        place = places.turn(str(number), None)
        tracer.span("request", place, began_s=0.0, ended_s=1.0)
    assert time.monotonic() - began_s < 60.0
    tracer.close()


def test_without_an_endpoint_there_is_no_tracer() -> None:
    """Nothing is imported, nothing is worked out."""
    assert open_tracer(NO_OTEL, service="a-service") is NO_TRACER
    assert not NO_TRACER.on


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint without the package is an error that says what to install."""
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)
    monkeypatch.delitem(sys.modules, "streams.trace.otel", raising=False)
    with pytest.raises(ExtraMissingError, match=r"quickset\[otel\]"):
        open_tracer(OtelSettings(endpoint="http://127.0.0.1:1"), service="a-service")


def test_every_stage_has_a_place_of_its_own() -> None:
    """No two stages of a turn or a version share a span, and each is always the same."""
    turn = places.turn("t", None)
    found = [
        turn, places.log(turn, "t"), places.judgement(turn, "t"), places.lesson(turn, "t", "g"),
        places.generation("t"), places.gate("t"), places.rollout("t", "t"),
        places.swap("t", "t", "a"), places.swap("t", "t", "b"),
    ]  # fmt: skip
    assert len({place.span for place in found}) == len(found)
    assert len({place.trace for place in found}) == 2
    assert places.turn("t", None) == turn
