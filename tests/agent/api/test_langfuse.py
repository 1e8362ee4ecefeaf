"""Langfuse's scores: what its clients send becomes feedback where it is plainly a verdict."""

import asyncio
import base64
import hashlib
from typing import Any

import pytest

from tests.agent.conftest import Api, StartApi
from tests.agent.test_server import error_of

SCORES = "/api/public/scores"


async def replied(api: Api) -> str:
    """The id of a new reply."""
    return str((await (await api.chat()).json())["id"])


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"name": "user-feedback", "value": 1}, (1, None, None)),
        ({"name": "user_feedback", "value": 0.0}, (-1, None, None)),
        ({"name": "Thumbs", "value": -1, "comment": "no"}, (-1, None, "no")),
        ({"name": "helpfulness", "value": 0, "dataType": "BOOLEAN"}, (-1, None, None)),
        ({"name": "rating", "value": "Positive", "dataType": "CATEGORICAL"}, (1, None, None)),
        ({"name": "feedback", "value": "so so", "dataType": "TEXT"}, (0, None, "so so")),
        ({"name": "output", "value": "Rome.", "dataType": "CORRECTION"}, (0, "Rome.", None)),
    ],
)
async def test_a_plain_score_is_feedback(api: Api, given: dict[str, Any], kept: Any) -> None:
    """By its response's id as trace or observation; what else clients send is passed over."""
    response_id = await replied(api)
    sent = given | {"id": "s-1", "traceId": response_id, "environment": "default"}
    answer = await api.post(SCORES, sent)
    assert (answer.status, await answer.json()) == (200, {"id": "s-1"})
    traced = given | {"traceId": "0af7651916cd43dd8448eb211c80319c", "observationId": response_id}
    assert (await api.post(SCORES, traced)).status == 200
    for record in api.feedback():
        assert (record.turn_id, record.score, record.hint, record.comment) == (response_id, *kept)


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"name": "toxicity", "value": 1, "dataType": "BOOLEAN"}, "name"),
        ({"name": "feedback", "value": 0.7}, "value"),
        ({"name": "rating", "value": 4}, "value"),
        ({"name": "rating", "value": "partially correct"}, "value"),
        ({"name": "output", "value": 1, "dataType": "CORRECTION"}, "value"),
        ({"name": "feedback", "value": None}, "value"),
    ],
)
async def test_what_is_no_plain_verdict_is_refused(
    api: Api, given: dict[str, Any], param: str
) -> None:
    """A grade between, another name, another scale: nothing is guessed."""
    refused = await error_of(await api.post(SCORES, given | {"traceId": await replied(api)}), 400)
    assert refused["param"].startswith(param)
    assert api.feedback() == []


@pytest.mark.parametrize("written", [str, str.upper, " {}\n".format])
async def test_a_verdict_may_be_spelt_in_many_ways(api: Api, written: Any) -> None:
    """As a number's text, in capitals, in one word or two; nothing is read into a longer text."""
    response_id = await replied(api)
    score = {"name": "user-feedback", "traceId": response_id, "dataType": "CATEGORICAL"}
    words = (
        (1, ("1", "+1", "yes", "true", "thumbs up", "thumbs_up", "liked", "helpful", "👍")),
        (-1, ("0", "-1", "no", "false", "thumbs-down", "disliked", "not helpful", "wrong")),
    )
    for verdict, said in words:
        for word in said:
            assert (await api.post(SCORES, score | {"value": written(word)})).status == 200, word
            assert api.feedback()[-1].score == verdict
            for longer in (f"{word} and {word}", f"{word}?"):
                refused = await api.post(SCORES, score | {"value": written(longer)})
                assert (await error_of(refused, 400))["param"] == "value"


async def test_a_score_of_no_response_of_ours_is_not_found(api: Api) -> None:
    """A trace of another service is none of ours."""
    score = {"name": "feedback", "value": 1}
    await error_of(await api.post(SCORES, score | {"traceId": "0af7651916cd43dd"}), 404)
    assert (await error_of(await api.post(SCORES, score), 400))["param"] == "traceId"


async def test_a_list_is_taken_one_by_one(api: Api) -> None:
    """What can be read is kept, and the rest is told in words."""
    good = {"name": "feedback", "value": 1, "traceId": await replied(api)}
    answer = await api.post(SCORES, ["x", good | {"value": 3}, None, {}, good])
    told = await answer.json()
    assert (answer.status, told["accepted"], told["rejected"]) == (207, 1, 4)
    reasons = [each["message"] for each in told["errors"]]
    for reason, words in zip(reasons, ("object", "1 is good", "object", "name"), strict=True):
        assert words in reason
    assert await (await api.post(SCORES, [good])).json() == {"message": "Accepted"}
    await error_of(await api.post(SCORES, []), 400)
    assert len(api.feedback()) == 2


SAID: Any = [
    {"name": "user-feedback", "value": 0},
    {"name": "output", "value": "One sentence.", "dataType": "CORRECTION"},
    {"name": "feedback", "value": "he was angry", "dataType": "TEXT"},
]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
@pytest.mark.parametrize("way", ["list", "events", "one by one"])
async def test_scores_of_one_reply_are_one_feedback(
    api: Api, way: str, order: tuple[int, ...]
) -> None:
    """Each leaves what it does not say as it was, whatever comes first."""
    response_id = await replied(api)
    scores = [SAID[place] | {"traceId": response_id} for place in order]
    if way == "list":
        assert await (await api.post(SCORES, scores)).json() == {"message": "Accepted"}
    elif way == "events":
        batch = [{"id": str(n), "type": "score-create", "body": e} for n, e in enumerate(scores)]
        await api.post("/api/public/ingestion", {"batch": batch})
    else:
        for score in scores:
            assert (await api.post(SCORES, score)).status == 200
    last = api.feedback()[-1]
    assert (last.score, last.hint, last.comment) == (-1, "One sentence.", "he was angry")


async def test_a_score_replaces_its_like_alone(api: Api) -> None:
    """The score of before goes, its hint and comment stay; what was taken back is gone."""
    response_id = await replied(api)
    one = {"traceId": response_id}
    given = [each | one for each in SAID] + [{"name": "thumbs", "value": 1} | one]
    await api.post(SCORES, given)
    last = api.feedback()[-1]
    assert (last.score, last.hint, last.comment) == (1, "One sentence.", "he was angry")
    await api.post(SCORES, SAID[1] | one | {"value": "Two.", "comment": "calmer"})
    last = api.feedback()[-1]
    assert (last.score, last.hint, last.comment) == (1, "Two.", "calmer")
    assert (await api.client.delete(f"/v1/feedback/{response_id}")).status == 200
    await api.post(SCORES, SAID[1] | one)
    last = api.feedback()[-1]
    assert (last.score, last.hint, last.comment, last.withdrawn) == (
        0, "One sentence.", None, False,
    )  # fmt: skip


async def test_scores_that_come_at_once_all_count(api: Api) -> None:
    """Clients send them side by side; none wipes the other out."""
    response_id = await replied(api)
    await asyncio.gather(*(api.post(SCORES, each | {"traceId": response_id}) for each in SAID))
    last = api.feedback()[-1]
    assert (last.score, last.hint, last.comment) == (-1, "One sentence.", "he was angry")


async def test_older_clients_send_events(start_api: StartApi) -> None:
    """Scores among them are kept, traces passed over; the secret key of the pair is ours."""
    api: Api = await start_api(keys={"ann": hashlib.sha256(b"sk-ann").hexdigest()})
    pair = base64.b64encode(b"pk-any:sk-ann").decode()
    api.headers = {"Authorization": f"Basic {pair}"}
    score = {"name": "feedback", "value": 1, "traceId": await replied(api)}
    batch = [
        {"id": "e1", "type": "trace-create", "timestamp": "2026-01-01T00:00:00Z", "body": {}},
        {"id": "e2", "type": "score-create", "timestamp": "2026-01-01T00:00:00Z", "body": score},
        {"id": "e3", "type": "score-create", "timestamp": "2026-01-01T00:00:00Z", "body": {}},
        {"id": "e4", "type": "score-create", "body": "good"},
        {"id": 5},
        "e6",
        {"id": "e7", "type": "score-create", "body": score},
    ]
    answer = await api.post("/api/public/ingestion", {"batch": batch, "metadata": None})
    told = await answer.json()
    assert answer.status == 207
    assert [each["id"] for each in told["successes"]] == ["e1", "e2", "e7"]
    assert [each["id"] for each in told["errors"]] == ["e3", "e4", "", ""]
    assert {each["status"] for each in told["errors"]} == {400}
    assert [record.score for record in api.feedback()] == [1, 1]
    api.headers = {"Authorization": "Basic not base64"}
    await error_of(await api.post("/api/public/ingestion", {"batch": batch}), 401)
