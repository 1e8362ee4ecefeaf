"""The description of the API: whole, valid, and true of what the endpoints answer."""

import json
import re
from typing import Any

import pytest
from aiohttp import ClientResponse
from pydantic import TypeAdapter, ValidationError

from agent.api.openapi.document import document
from agent.server import OPERATIONS
from tests.agent.conftest import Api, StartApi, events_of
from tests.agent.test_server import CALL

TOOL = {"name": "weather", "parameters": {"type": "object"}}
HI = [{"role": "user", "content": "Hi"}]
ASKED: dict[str, dict[str, Any]] = {
    "/chat/completions": {"messages": HI, "tools": [{"type": "function", "function": TOOL}],
                          "logprobs": True},
    "/responses": {"input": "Hi", "tools": [TOOL | {"type": "function"}],
                   "include": ["message.output_text.logprobs"]},
    "/completions": {"prompt": "Hi", "logprobs": 0},
    "/messages": {"messages": HI, "max_tokens": 20,
                  "tools": [{"name": "weather", "input_schema": {}}]},
}  # fmt: skip


def kind_of(path: str, name: str) -> TypeAdapter[Any]:
    """The type that an endpoint's answer, events or error are said to have."""
    (operation,) = [op for op in OPERATIONS if (op.path, op.method) == (path, "POST")]
    return TypeAdapter(getattr(operation, name))


async def test_the_document_is_served(api: Api) -> None:
    """It names every endpoint that has a version, every reference leads somewhere, no key asked."""
    told = await (await api.client.get("/openapi.json")).json()
    assert told == json.loads(json.dumps(document(OPERATIONS)))
    assert told["openapi"].startswith("3.1.")
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(told)))
    assert references == set(told["components"]["schemas"])
    assert not [name for name in references if "__" in name or "-" in name]
    app = api.client.server.app  # type: ignore[attr-defined]
    routes = {route.resource.canonical for route in app.router.routes() if route.resource}
    assert set(told["paths"]) == {
        r for r in routes if r.startswith(("/v1", "/health", "/metrics", "/api"))
    }
    ids = [each["operationId"] for path in told["paths"].values() for each in path.values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("path", ASKED)
@pytest.mark.parametrize("script", [["Hello", "."], CALL], ids=["text", "call"])
async def test_answers_are_as_they_are_described(
    start_api: StartApi, path: str, script: list[str]
) -> None:
    """A whole reply, each event of a stream, and a failure have the types of the document."""
    api: Api = await start_api(script=script)
    body = {"model": "quickset"} | ASKED[path]
    whole = await api.post(f"/v1{path}", body)
    assert whole.status == 200, await whole.text()
    kind_of(path, "answer").validate_python(await whole.json(), extra="forbid", strict=True)
    events = kind_of(path, "events")
    for _, data in await events_of(await api.post(f"/v1{path}", body | {"stream": True})):
        if data != "[DONE]":
            events.validate_python(data, extra="forbid", strict=True)
    failed = await api.post(f"/v1{path}", {})
    kind_of(path, "error").validate_python(await failed.json(), extra="forbid", strict=True)


async def test_other_answers_are_as_they_are_described(api: Api) -> None:
    """Of every other endpoint, too."""

    async def proved(answer: ClientResponse, path: str, method: str = "GET") -> dict[str, Any]:
        (operation,) = [op for op in OPERATIONS if (op.path, op.method) == (path, method)]
        body: dict[str, Any] = await answer.json()
        try:
            kind = TypeAdapter(operation.answer)
            kind.validate_python(body, extra="forbid", strict=True)
        except ValidationError as wrong:
            pytest.fail(f"{method} {path}: {wrong}: {body}")
        return body

    one = "/responses/{response_id:resp_[^/]+}"
    made = await (await api.post("/v1/responses", {"model": "quickset", "input": "Hi"})).json()
    path = f"/v1/responses/{made['id']}"
    await proved(await api.client.get(path), one)
    await proved(await api.client.get(f"{path}/input_items"), f"{one}/input_items")
    rated = await api.client.put(f"/v1/feedback/{made['id']}", json={"thumb": "up"})
    await proved(rated, "/feedback/{response_id}", "PUT")
    await proved(await api.client.delete(path), one, "DELETE")
    body: dict[str, Any] = {"model": "quickset", "input": "Hi there"}
    counted = await proved(
        await api.post("/v1/responses/input_tokens", body), "/responses/input_tokens", "POST"
    )
    assert counted["input_tokens"] == 3
    asked: dict[str, Any] = {"model": "quickset", "messages": HI}
    counting = await api.post("/v1/messages/count_tokens", asked)
    await proved(counting, "/messages/count_tokens", "POST")
    await proved(await api.client.get("/v1/models"), "/models")
    await proved(await api.client.get("/v1/models/quickset"), "/models/{id:.+}")
    for plain in ("/health", "/health/ready"):
        await proved(await api.client.get(plain), plain)


async def test_the_page_and_its_files_are_served(api: Api) -> None:
    """The page loads nothing from elsewhere, under a policy that would not let it."""
    page = await api.client.get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for path in re.findall(r'(?:src|href)="([^"]+)"', await page.text()):
        assert path.startswith("/")
        assert (await api.client.get(path)).status == 200
