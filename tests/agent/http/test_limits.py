"""One key's limits: what passes is bounded, who keeps to them is let through, as are all others."""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import BusyError
from agent.http.limits import MINUTE_S, Limits
from agent.settings import AgentSettings
from agent.watch.events import Events
from agent.watch.metrics import Metrics
from tests.agent.conftest import Api, StartApi
from tests.agent.test_server import error_of

KEYS = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("ann", "bob")}
ANN, BOB = ({"Authorization": f"Bearer {name}"} for name in KEYS)


class Clock:
    """A clock that a test moves, seconds."""

    def __init__(self) -> None:
        self.now_s = 1e6

    def __call__(self) -> float:
        return self.now_s


def limits(clock: Clock, events: Events | None = None, **settings: int) -> Limits:
    return Limits(
        AgentSettings(keys=KEYS, **settings),
        events=events or Events(),
        metrics=Metrics(),
        clock=clock,
    )


def passes(limits: Limits, principal: str) -> bool:
    try:
        limits.count_request(principal)
    except BusyError:
        return False
    return True


@given(
    per_minute=st.integers(1, 300),
    pauses=st.lists(st.floats(0, 20), min_size=1, max_size=200),
)
def test_no_stretch_passes_more_than_its_share(per_minute: int, pauses: list[float]) -> None:
    """From any request on, a time t passes at most a minute's requests and t's share of more."""
    clock = Clock()
    metered = limits(clock, requests_per_minute=per_minute)
    passed: list[float] = []
    for pause_s in pauses:
        clock.now_s += pause_s
        if passes(metered, "ann"):
            passed.append(clock.now_s)
    for first, began_s in enumerate(passed):
        for last in range(first, len(passed)):
            share = (passed[last] - began_s) * per_minute / MINUTE_S
            assert last - first + 1 <= per_minute + share + 1e-3


@given(per_minute=st.integers(1, 500), rested_s=st.floats(0, 1e6))
def test_a_minutes_requests_may_come_at_once(per_minute: int, rested_s: float) -> None:
    """However long a key was quiet, exactly a minute's requests pass; the answer says when next."""
    clock = Clock()
    metered = limits(clock, requests_per_minute=per_minute)
    metered.count_request("ann")
    clock.now_s += MINUTE_S + rested_s
    assert all(passes(metered, "ann") for _ in range(per_minute))
    with pytest.raises(BusyError) as refused:
        metered.count_request("ann")
    assert passes(metered, "bob")
    clock.now_s += int((refused.value.headers or {})["Retry-After"])
    assert passes(metered, "ann")


@given(per_minute=st.integers(1, 500), late_s=st.lists(st.floats(0, 5), max_size=200))
def test_who_keeps_to_the_rate_is_never_refused(per_minute: int, late_s: list[float]) -> None:
    """Requests that are a share of a minute apart, or more, all pass."""
    clock = Clock()
    metered = limits(clock, requests_per_minute=per_minute)
    for late in late_s:
        assert passes(metered, "ann")
        clock.now_s += MINUTE_S / per_minute + late


@given(steps=st.lists(st.tuples(st.sampled_from(["ann", "bob"]), st.integers(1, 4)), max_size=30))
def test_replies_at_once_are_bounded_and_places_come_back(steps: list[tuple[str, int]]) -> None:
    """A key holds at most its places, each key its own; all are free again at the end."""
    held = limits(Clock(), replies_per_key=7)
    open_now = {"ann": 0, "bob": 0}
    with ExitStack() as ending:
        for who, count in steps:
            try:
                ending.enter_context(held.hold_replies(who, count))
            except BusyError:
                assert open_now[who] + count > 7
            else:
                open_now[who] += count
                assert open_now[who] <= 7
    with held.hold_replies("ann", 7), held.hold_replies("bob", 7):
        pass


def test_a_key_over_its_limit_is_told_of_once_a_minute() -> None:
    """Who sends a thousand requests too many does not push all else off the operators' list."""
    clock, events = Clock(), Events()
    metered = limits(clock, events, requests_per_minute=1)
    for _ in range(1000):
        passes(metered, "ann")
    assert [event.text for event in events] == ["ann is over agent.requests_per_minute"]
    clock.now_s += MINUTE_S
    assert [passes(metered, "ann") for _ in range(3)] == [True, False, False]
    assert len(list(events)) == 2


async def counted(api: Api) -> Iterator[str]:
    """The metric's samples that are not nought."""
    lines = (await api.service.metrics.text()).decode().splitlines()
    told = (line for line in lines if line.startswith("quickset_limited_total{"))
    return (line for line in told if not line.endswith(" 0.0"))


async def test_requests_over_the_minutes_are_answered_429(start_api: StartApi) -> None:
    """Chat and feedback count alike; who waits as told passes; another key never notices."""
    api: Api = await start_api(keys=KEYS, requests_per_minute=2)
    api.headers = ANN
    url = f"/v1/feedback/{(await (await api.chat()).json())['id']}"
    assert (await api.client.put(url, json={"score": 1}, headers=ANN)).status == 200
    for response in (
        await api.chat(),
        await api.client.put(url, json={"score": 1}, headers=ANN),
    ):
        error = await error_of(response, 429)
        assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
        assert "2 requests a minute" in error["message"]
        assert 1 <= int(response.headers["Retry-After"]) <= 30
    assert len(api.feedback()) == 1
    assert (await api.client.get("/v1/models", headers=ANN)).status == 200
    api.headers = BOB
    assert (await api.chat()).status == 200
    assert list(await counted(api)) == ['quickset_limited_total{limit="requests_per_minute"} 2.0']


async def test_replies_over_a_keys_places_are_answered_429(start_api: StartApi) -> None:
    """Choices count; places come back when a reply has ended, and when its client has gone."""
    api: Api = await start_api(script=["a", "⏸", "b"], keys=KEYS, replies_per_key=2)
    api.headers = ANN
    assert (await error_of(await api.chat(n=3), 400))["param"] == "n"  # no wait would help
    first = await api.chat(stream=True)
    await error_of(await api.chat(n=2), 429)
    second = await api.chat(stream=True)
    assert second.status == 200
    refused = await api.chat()
    assert (await error_of(refused, 429))["code"] == "rate_limit_exceeded"
    assert len(api.engine.streams) == 2
    api.headers = BOB
    assert (await api.chat(stream=True)).status == 200
    assert list(await counted(api)) == ['quickset_limited_total{limit="replies_per_key"} 2.0']
    first.close()
    for stream in api.engine.streams:
        stream.gate.set()
    await second.read()
    api.headers, api.engine.script = ANN, ["a"]
    async with asyncio.timeout(60):  # until the server has noticed that its client is gone
        while (await api.chat(n=2)).status != 200:
            await asyncio.sleep(0.01)
