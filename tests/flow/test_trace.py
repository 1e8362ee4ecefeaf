"""One trace through a turn's whole way, seen by a collector: request to swap, joined by links."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from agent.run import serve
from streams.settings import OtelSettings
from streams.trace.open import open_tracer
from tests.flow.conftest import Common, LearnerHome
from tests.flow.test_loop import AGENT, SOON_S, Running
from tests.flow.test_reset import QUICK

pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel")

from tests.otlp_collector import Collector, Seen, collecting

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def one(spans: list[Seen]) -> Seen:
    """The only one of some spans."""
    (span,) = spans
    return span


async def learned(home: Path, common: Common, collector: Collector) -> str:
    """Let a correction become a version, and go back to the base; return the version."""
    settings = OtelSettings(endpoint=collector.endpoint)
    learner = LearnerHome(home, common, QUICK)
    learner.tracer = open_tracer(settings, service="quickset-learner")
    tracer = open_tracer(settings, service="quickset-agent")
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
    serving = serve(common.base, common.backend, learner.streams, AGENT, tracer=tracer)
    async with serving as (service, api, console), aiohttp.ClientSession(headers=headers) as http:
        async with asyncio.timeout(SOON_S):
            while (await http.get(f"{api}/health/ready")).status != 200:
                await asyncio.sleep(0.01)
        here = Running(service, learner, api, console, http)
        await here.correct("What is the capital of France?", "Shorter, please.")
        assert await here.learn(turns=2) == 1
        version = await here.until_decided()
        await service.steering.reset("ann", "off")
    for each in (learner.tracer, tracer):
        each.close()
    return version


async def test_a_turns_whole_way_is_one_chain_of_spans(tmp_path: Path, common: Common) -> None:
    """From the client's own span to the swap every stage is there, and leads to the next one."""
    with collecting() as collector:
        version = await learned(tmp_path / "home", common, collector)
    first, _ = requests = collector.of("request")
    assert {span.trace for span in requests} == {TRACE}
    assert {span.parent for span in requests} == {CALLER}
    assert first.attributes["quickset.version"] == common.base.name
    assert {span.parent for span in collector.of("log")} == {span.span for span in requests}
    verdicts = collector.of("judgement")  # one of each judge
    (parent,) = {span.parent for span in verdicts}
    judged = one([span for span in requests if span.span == parent])
    assert {(span.trace, span.attributes["quickset.score"]) for span in verdicts} == {(TRACE, -1)}
    lesson = one(collector.of("lesson"))
    assert (lesson.trace, lesson.parent) == (TRACE, judged.span)
    generation = one(collector.of("generation"))
    assert lesson.links == {(generation.trace, generation.span)}
    assert generation.links == {(TRACE, judged.span)}
    assert generation.attributes["quickset.version"] == version
    gate = one(collector.of("gate"))
    assert (gate.trace, gate.parent) == (generation.trace, generation.span)
    assert not gate.failed
    rollouts = {span.attributes["quickset.verb"]: span for span in collector.of("rollout")}
    assert set(rollouts) == {"promote", "reset"}
    released = rollouts["promote"]
    assert (released.trace, released.parent) == (generation.trace, generation.span)
    swap = one(collector.of("swap"))
    assert (swap.trace, swap.parent) == (released.trace, released.span)
    assert all(span.took_s >= 0 and not span.failed for span in collector.seen)
    learners = {span.name for span in collector.seen if span.service == "quickset-learner"}
    assert learners == {"judgement", "lesson", "generation", "gate", "rollout"}
