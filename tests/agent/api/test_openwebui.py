"""Open WebUI's thumbs, as its page sends them to its own backend and a proxy repeats them."""

from typing import Any

from tests.agent.conftest import Api
from tests.agent.test_server import error_of

PATH = "/api/v1/evaluations/feedback"
CHAT, MESSAGE = "6f0c1a52-5a0e-4d3b-8d5e-0d8f0c4a7b11", "b7c9f0de-1f43-4a57-9a4e-2f5d3c1a9e02"
HEADERS = {"X-OpenWebUI-Chat-Id": CHAT, "X-OpenWebUI-Message-Id": MESSAGE}


def thumb(rating: int | None, **said: Any) -> dict[str, Any]:
    """The body that its page sends: annotation, names of the message, the whole chat."""
    data = said | {"model_id": "quickset", "tags": ["General"], "details": {"rating": 2}}
    meta = {"arena": False, "model_id": "quickset", "message_id": MESSAGE, "message_index": 2,
            "chat_id": CHAT, "base_models": {"quickset": None}}  # fmt: skip
    chat = {"id": CHAT, "title": "Hi", "chat": {"history": {"messages": {MESSAGE: {}}}}}
    return {
        "type": "rating", "data": data | ({} if rating is None else {"rating": rating}),
        "meta": meta, "snapshot": {"chat": chat},
    }  # fmt: skip


async def replied(api: Api) -> str:
    """The id of a reply that was asked for under the message's name."""
    body = {"model": "quickset", "messages": [{"role": "user", "content": "Hi there"}]}
    answer = await api.client.post("/v1/chat/completions", json=body, headers=HEADERS)
    return str((await answer.json())["id"])


async def test_a_thumb_is_feedback_on_the_message_that_it_names(api: Api) -> None:
    """First the thumb alone, then again with the reason, then another one, then none."""
    response_id = await replied(api)
    first = await (await api.client.post(PATH, json=thumb(1))).json()
    assert first["meta"]["response_id"] == response_id
    more = thumb(-1, reason="not_factually_correct", comment="It is Rome.")
    for body in (more, thumb(None)):
        assert (await api.client.post(f"{PATH}/{first['id']}", json=body)).status == 200
    told = [(each.turn_id, each.score, each.comment, each.withdrawn) for each in api.feedback()]
    assert told == [
        (response_id, 1, None, False),
        (response_id, -1, "not_factually_correct: It is Rome.", False),
        (response_id, 0, None, True),
    ]


async def test_the_last_request_of_a_message_is_rated(api: Api) -> None:
    """A message that calls tools takes several; a title that is made for it is none of them."""
    await replied(api)
    last = await replied(api)
    title = "### Task:\nGenerate a concise title.\n<chat_history>\nx\n</chat_history>"
    body = {"model": "quickset", "messages": [{"role": "user", "content": title}]}
    side = HEADERS | {"X-Turn-Type": "side"}
    assert (await api.client.post("/v1/chat/completions", json=body, headers=side)).status == 200
    await api.client.post(PATH, json=thumb(1))
    assert [record.turn_id for record in api.feedback()] == [last]


async def test_a_message_that_is_not_known_is_told(api: Api) -> None:
    """Without the header on the request there is no name: the error says what to set."""
    await api.chat()
    refused = await error_of(await api.client.post(PATH, json=thumb(1)), 404)
    assert (refused["param"], refused["code"]) == ("meta.message_id", "message_not_found")
    assert "ENABLE_FORWARD_USER_INFO_HEADERS" in refused["message"]
    nameless: dict[str, Any] = {"type": "rating", "data": {"rating": 1}, "meta": {}}
    refused = await error_of(await api.client.post(PATH, json=nameless), 400)
    assert refused["param"] == "meta.message_id"
