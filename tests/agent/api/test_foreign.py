"""What is said to the wrong API, or twice, is told by its name, and never passed over."""

from typing import Any

import pytest

from agent.api.chat.request import ChatRequest
from agent.api.completions.request import CompletionRequest
from agent.api.foreign import CHANGES, ReplyForm
from agent.api.messages.request import MessagesRequest
from agent.api.responses.request import ResponsesRequest
from tests.agent.conftest import Api

HI: Any = [{"role": "user", "content": "Hi"}]
APIS: dict[str, tuple[type[ReplyForm], dict[str, Any]]] = {
    "chat/completions": (ChatRequest, {"messages": HI}),
    "completions": (CompletionRequest, {"prompt": "Hi"}),
    "responses": (ResponsesRequest, {"input": "Hi"}),
    "messages": (MessagesRequest, {"messages": HI, "max_tokens": 8}),
}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
USE = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "x"}


async def refusal(api: Api, path: str, body: dict[str, Any]) -> str:
    """The parameter that a refusal names, or its message where the API has no place for that."""
    response = await api.post(f"/v1/{path}", {"model": "quickset", **body})
    told = await response.json()
    assert response.status == 400, told
    return str(told["error"].get("param") or told["error"]["message"])


@pytest.mark.parametrize("path", APIS)
async def test_parameters_of_another_api_are_refused_by_name(api: Api, path: str) -> None:
    """Each that would change the reply, and that this API has not got."""
    form, body = APIS[path]
    foreign = [name for name in CHANGES if name not in form.model_fields]
    assert len(foreign) > 30
    for name in foreign:
        assert name in await refusal(api, path, body | {name: {"x": "y"}})


@pytest.mark.parametrize("path", APIS)
async def test_what_asks_for_nothing_passes(api: Api, path: str) -> None:
    """null, the values that every request has, and names that no API has."""
    form, body = APIS[path]
    harmless = [(name, value) for name in CHANGES for value in (None, *CHANGES[name])]
    for name, value in [*harmless, ("zork", 5)]:
        if name not in form.model_fields:
            given = {"model": "quickset", **body, name: value}
            assert (await api.post(f"/v1/{path}", given)).status == 200, name


@pytest.mark.parametrize(
    ("path", "name", "own"),
    [("responses", "max_tokens", "max_output_tokens"), ("messages", "stop", "stop_sequences"),
     ("chat/completions", "stop_sequences", "stop"), ("messages", "instructions", "system"),
     ("responses", "system", "instructions"), ("completions", "messages", "prompt"),
     ("chat/completions", "repeat_penalty", "repetition_penalty"),
     ("messages", "random_seed", "seed"), ("completions", "grammar", "structured_outputs"),
     ("chat/completions", "extra_body", "what it holds")],
)  # fmt: skip
async def test_the_own_name_is_told(api: Api, path: str, name: str, own: str) -> None:
    """A client that means the same learns what it is called here."""
    response = await api.post(f"/v1/{path}", {"model": "quickset", **APIS[path][1], name: "x"})
    assert f"send {own}" in (await response.json())["error"]["message"]


@pytest.mark.parametrize(
    "more",
    [{"tools": [TOOL, TOOL]}, {"context_management": {"edits": [{"type": "clear_tool_uses_1"}]}},
     {"messages": [*HI, {"role": "assistant", "content": [USE, USE]},
                   {"role": "user", "content": [RESULT]}]},
     {"messages": [*HI, {"role": "assistant", "content": [USE]},
                   {"role": "user", "content": [RESULT]},
                   {"role": "assistant", "content": [USE]},
                   {"role": "user", "content": [RESULT]}]}],
    ids=["tools", "edits", "calls", "later calls"],
)  # fmt: skip
async def test_messages_that_say_two_things_are_refused(api: Api, more: dict[str, Any]) -> None:
    """Names of tools and ids of calls are unique; no message is cleared away in silence."""
    assert next(iter(more)) in await refusal(api, "messages", APIS["messages"][1] | more)


def _tools_of(path: str, *names: str) -> list[Any]:
    if path == "messages":
        return [{"name": name, "input_schema": {"type": "object"}} for name in names]
    if path == "responses":
        return [{"type": "function", "name": name} for name in names]
    return [{"type": "function", "function": {"name": name}} for name in names]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", [None, "auto", "none"])
@pytest.mark.parametrize("path", ["chat/completions", "responses", "messages"])
async def test_tools_have_names_of_their_own(
    api: Api, path: str, choice: str | None, stream: bool
) -> None:
    """A call of a name that two have would be of both, whatever may be called."""
    chosen: Any = {"type": choice} if choice and path == "messages" else choice
    more = APIS[path][1] | {"tool_choice": chosen, "stream": stream}
    for names in (["f", "f"], ["a", "f", "b", "f"], ["é", "é"]):
        assert "tools" in await refusal(api, path, more | {"tools": _tools_of(path, *names)})
    for names in (["f", "F"], ["f", "f "], ["é", "e\u0301"]):
        told = await api.post(f"/v1/{path}", {"model": "quickset", **more,
                                             "tools": _tools_of(path, *names)})  # fmt: skip
        assert told.status == 200, await told.text()


@pytest.mark.parametrize("path", APIS)
@pytest.mark.parametrize("name", ["X-Learn", "X-Server-Tools", "X-Turn-Type", "X-Session-Id"])
async def test_a_header_says_one_thing(api: Api, path: str, name: str) -> None:
    """Of an opt-out beside a consent one would be lost; the same once more is no fault."""
    values = {"X-Turn-Type": ("side", "main"), "X-Session-Id": ("a", "b")}
    first, second = values.get(name, ("on", "off"))
    body = {"model": "quickset", **APIS[path][1]}
    for said, status in (((first, second), 400), ((second, first), 400), ((second, second), 200)):
        headers = [(name, said[0]), (name, said[1])]
        told = await api.client.post(f"/v1/{path}", json=body, headers=headers)
        assert told.status == status, await told.text()
        assert status == 200 or name in (await told.json())["error"]["message"]


async def test_a_query_says_each_thing_once(api: Api) -> None:
    """Of two, one would be lost; names that nobody knows may come as often as they like."""
    asked = await api.post("/v1/responses", {"model": "quickset", "input": "Hi"})
    id = (await asked.json())["id"]
    items = f"/v1/responses/{id}/input_items"
    for query in (
        "limit=1&limit=2",
        "limit=1&limit=1",
        "order=asc&order=desc",
        "after=a&x=1&after=b",
    ):
        told = await api.client.get(f"{items}?{query}")
        assert told.status == 400, query
        assert (await told.json())["error"]["param"] == query.split("=")[0]
    told = await api.client.get(f"/v1/responses/{id}?stream=false&stream=false")
    assert (told.status, (await told.json())["error"]["param"]) == (400, "stream")
    for query in ("include=a&include=b&limit=1", "include[]=a&include[]=b"):
        assert (await api.client.get(f"{items}?{query}")).status == 200


async def test_thoughts_may_be_cleared(api: Api) -> None:
    """There are none, so that nothing is asked for."""
    edits = {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}}
    body = {"model": "quickset", **APIS["messages"][1], **edits}
    assert (await api.post("/v1/messages", body)).status == 200


async def test_a_reply_has_one_form(api: Api) -> None:
    """Of two, one would be lost."""
    forms = {"response_format": {"type": "json_object"}, "structured_outputs": {"choice": ["a"]}}
    assert await refusal(api, "chat/completions", {"messages": HI} | forms) == "structured_outputs"


async def test_a_token_has_one_bias(api: Api) -> None:
    """However its id is spelt."""
    body = {"messages": HI, "logit_bias": {"300": 5, "0300": -5}}
    assert (await refusal(api, "chat/completions", body)).startswith("logit_bias")
