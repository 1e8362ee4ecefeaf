"""A candidate answers beside what serves: unseen, recorded, never waited for; and what it fails."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from agent.errors import QueueFullError, ReplyFailedError
from streams.line.line import Trial
from streams.records import Turn
from streams.settings import RolloutSettings
from tests.agent.conftest import Api, StartApi
from tests.agent.fakes import BASE

EVERY = RolloutSettings(policy="shadow", shadow_share=1.0)
UNSEEN = Trial("candidate", "running", 0, 0.0)
SEEN = Trial("candidate", "running", 0, 1.0)


async def on_trial(start_api: StartApi, trial: Trial | None, **given: Any) -> Api:
    """Start an API with a candidate on trial, whatever the log says."""
    api: Api = await start_api(rollout=EVERY, **given)
    await until(lambda: not api.service._follower.behind)  # one stopped before never catches up
    await asyncio.to_thread(api.service._follower.stop)
    api.residents.try_out(trial)
    return api


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop go on until something is so."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0)


def outcomes(api: Api) -> dict[str, float]:
    """Return what became of unseen replies, by the metric."""
    (metric,) = api.service.metrics.unseen.collect()
    return {
        each.labels["outcome"]: each.value
        for each in metric.samples
        if each.name.endswith("total") and each.value
    }


async def test_the_same_prompt_is_answered_unseen_and_recorded_beside(start_api: StartApi) -> None:
    """The client gets what serves; the candidate's turn names it, and has no part in the chain."""
    api = await on_trial(start_api, UNSEEN)
    answer = await api.chat("Hi")
    assert answer.headers["X-Quickset-Version"] == BASE
    await until(lambda: len(api.turns()) == 2)
    shown, unseen = api.turns()
    assert (shown.version, shown.beside, shown.pinned) == (BASE, None, False)
    assert (unseen.version, unseen.beside) == ("candidate", shown.id)
    assert unseen.prompt_token_ids == shown.prompt_token_ids
    assert [stream.request.unseen for stream in api.engine.streams] == [False, True]
    assert outcomes(api) == {"made": 1.0}


@pytest.mark.parametrize(
    ("headers", "extra"),
    [
        ({"X-Learn": "off"}, {}),
        ({"X-Turn-Type": "side"}, {}),
        ({}, {"model": "quickset@stable"}),
    ],
)
async def test_nobody_is_answered_twice_who_asked_for_something_else(
    start_api: StartApi, headers: dict[str, str], extra: dict[str, Any]
) -> None:
    """What must not be learned from, side turns, and what names a version."""
    api = await on_trial(start_api, UNSEEN)
    api.headers = headers
    await api.chat("Hi", **extra)
    await api.service.stop()
    assert [turn.beside for turn in api.turns()] == [None]
    assert api.turns()[0].pinned == bool(extra)


@pytest.mark.parametrize("trial", [SEEN, Trial("candidate", "paused", 0, 0.0), None])
async def test_only_a_candidate_that_nobody_sees_answers_beside(
    start_api: StartApi, trial: Trial | None
) -> None:
    """One that has a share is seen; one that is paused answers nobody."""
    api = await on_trial(start_api, trial)
    await api.chat("Hi")
    assert len(api.engine.streams) == 1


async def test_a_crowded_engine_makes_no_unseen_reply(start_api: StartApi) -> None:
    """The reply that was shown stands; that the other one was not made is counted."""
    api = await on_trial(start_api, UNSEEN)
    api.engine.refuse = lambda: QueueFullError("full") if api.engine.streams else None
    assert (await api.chat("Hi")).status == 200
    await until(lambda: outcomes(api) == {"crowded": 1.0})
    assert len(api.turns()) == 1


async def test_a_candidate_that_fails_unseen_is_recorded_as_failing(start_api: StartApi) -> None:
    """That is what the trial has to know of it."""
    api = await on_trial(start_api, UNSEEN)
    api.engine.then = [[ReplyFailedError("no")]]
    await api.chat("Hi")
    await until(lambda: len(api.turns()) == 2)
    unseen = api.turns()[1]
    assert (unseen.version, unseen.finish_reason, unseen.token_ids) == (
        "candidate",
        "cancelled",
        [],
    )


async def test_a_stop_waits_for_no_unseen_reply(start_api: StartApi) -> None:
    """What is not made when the agent stops is given up, and is no turn."""
    api = await on_trial(start_api, UNSEEN)
    api.engine.then = [["a", "⏸", "b"]]
    await api.chat("Hi")
    await until(lambda: len(api.engine.streams) == 2)
    async with asyncio.timeout(60):
        await api.service.stop()
    assert len(api.turns()) == 1


@pytest.mark.parametrize("extra", [{}, {"stream": True}])
async def test_what_serves_answers_where_the_candidate_crashes(
    start_api: StartApi, extra: dict[str, Any]
) -> None:
    """A request of its share is not lost, and the failure is a turn of the candidate."""
    api = await on_trial(start_api, SEEN, script=[ReplyFailedError("boom")])
    api.engine.then = [["Hello"]]
    answer = await api.chat("Hi", **extra)
    assert (answer.status, "Hello" in await answer.text()) == (200, True)
    failed, shown = api.turns()
    assert (failed.version, failed.token_ids, failed.delivered) == ("candidate", [], False)
    assert (shown.version, shown.reply.content) == (BASE, "Hello")
    assert (failed.session, failed.id) == (shown.session, f"{shown.id}-failed")


async def test_what_has_begun_or_is_named_falls_back_to_nothing(start_api: StartApi) -> None:
    """Two versions never make one reply, and a version that was asked for is not replaced."""
    api = await on_trial(start_api, SEEN, script=["He", ReplyFailedError("boom")])
    assert (await api.chat("Hi")).status == 500
    turn = api.turns()[0]
    assert (turn.version, turn.finish_reason) == ("candidate", "cancelled")
    assert len(api.engine.streams) == 1


async def test_a_turn_tells_its_time_from_token_to_token(start_api: StartApi) -> None:
    """The median, in milliseconds; a reply of one token has none."""
    api: Api = await start_api()
    await api.chat("Hi")
    api.engine.script = ["One"]
    await api.chat("Hi")
    many, one = (turn for turn in api.turns() if isinstance(turn, Turn))
    assert many.gap_ms is not None
    assert many.gap_ms >= 0
    assert one.gap_ms is None
