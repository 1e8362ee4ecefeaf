"""Tools that the agent calls itself, through every API: the loop, its bounds, and what is kept."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agent.constrain.open import open_compiler
from agent.errors import QueueFullError
from agent.tools.served import Result
from streams import chain
from streams.model.open import BaseModel
from streams.records import Message
from tests.agent.conftest import Api, StartApi, events_of, response_told, shown
from tests.agent.turn.box import Box, tool

RAIN = Result("Rain, 12 degrees.", "ok")
ASK = [{"role": "user", "content": "Weather?"}]


def calling(name: str = "weather", **arguments: Any) -> str:
    return f"<tool_call>{json.dumps({'name': name, 'arguments': arguments})}</tool_call>"


async def start(start_api: StartApi, box: Box, *scripts: list[str], **given: Any) -> Api:
    """An API whose model says these one after another."""
    api: Api = await start_api(tools=box, script=scripts[0], context_tokens=64, **given)
    api.engine.then = list(scripts[1:])
    return api


@asynccontextmanager
async def message_of(api: Api, **extra: Any) -> AsyncIterator[dict[str, Any]]:
    """The message that a chat request is answered with."""
    response = await api.chat("Weather?", **extra)
    body = await response.json()
    assert response.status == 200, body
    yield body["choices"][0]["message"] | {"finish": body["choices"][0]["finish_reason"], **body}


async def test_a_call_is_made_and_the_answer_is_told(start_api: StartApi) -> None:
    """The client gets the final answer, with what was called beside it; no call is left to it."""
    box = Box({"weather": RAIN})
    api = await start(start_api, box, ["Let me look. ", calling(city="Oslo")], ["It ", "rains."])
    async with message_of(api) as message:
        assert message["content"] == "Let me look. It rains."
        assert message["finish"] == "stop"
        assert "tool_calls" not in message
        (made,) = message["server_tool_calls"]
    assert box.called == [("weather", {"city": "Oslo"})]
    assert (made["server"], made["name"], made["outcome"]) == ("test", "weather", "ok")
    assert made["output"] == RAIN.text


async def test_each_step_is_a_turn_that_the_next_one_follows(start_api: StartApi) -> None:
    """The result stands in the next step's messages, marked; the client's own chain goes on."""
    api = await start(
        start_api, Box({"weather": RAIN}), ["Hm. ", calling()], ["It rains."], ["Yes."]
    )
    async with message_of(api) as message:
        first, last = api.turns()
    assert last.id == message["id"] != first.id
    assert last.inner == [1, 2]
    assert [each.role for each in last.messages] == ["user", "assistant", "tool"]
    assert first.inner == []
    assert first.key in chain.keys(last.messages)
    said = Message(role="assistant", content=message["content"])
    assert chain.keys([Message(role="user", content="Weather?"), said])[-1] == last.key
    rated = await api.client.put(f"/v1/feedback/{message['id']}", json={"thumb": "up"})
    assert rated.status == 200


async def test_a_loop_ends_with_an_answer(start_api: StartApi) -> None:
    """A model that calls without end is asked a last time without the tools."""
    box = Box({"weather": RAIN}, steps=2)
    api = await start(start_api, box, [calling()], [calling()], ["Enough: ", calling(), "rain."])
    async with message_of(api) as message:
        assert message["content"] == "Enough: rain."
        assert message["finish"] == "stop"
    assert len(box.called) == 2
    assert len(api.turns()) == 3


async def test_a_server_that_goes_in_mid_reply_costs_its_call_only(start_api: StartApi) -> None:
    """What the model was shown is known to the end, whether it is still there or not."""
    box = Box({"weather": Result("weather cannot be called now", "away")})
    box.goes_after = 1
    api = await start(start_api, box, [calling()], ["No idea."])
    async with message_of(api) as message:
        assert message["content"] == "No idea."
        (made,) = message["server_tool_calls"]
    assert (made["server"], made["outcome"]) == ("test", "away")


async def test_a_request_bounds_the_calls(start_api: StartApi) -> None:
    """By max_tool_calls: the model is told of what goes beyond, and ends with an answer."""
    box = Box({"weather": RAIN})
    two = calling(city="Oslo") + calling(city="Rome")
    api = await start(start_api, box, [two], ["Rain in Oslo."])
    asked = {"model": "quickset", "input": "Weather?", "max_tool_calls": 1}
    told = await (await api.post("/v1/responses", asked)).json()
    assert box.called == [("weather", {"city": "Oslo"})]
    kinds = [(item["type"], item.get("output")) for item in told["output"]]
    assert kinds[0] == ("mcp_call", RAIN.text)
    assert told["output"][-1]["content"][0]["text"] == "Rain in Oslo."
    assert api.turns()[-1].tools is None or api.turns()[-1].tools == []
    said = api.turns()[-1].messages[-1].content
    assert said is not None
    assert "allows no more calls" in said


async def test_time_that_is_used_up_ends_it_too(start_api: StartApi) -> None:
    """A request whose calls took as long as they may is answered without more of them."""
    box = Box({"weather": RAIN}, seconds=1e-9)
    api = await start(start_api, box, [calling()], [calling(), "No idea."])
    async with message_of(api) as message:
        assert message["content"] == "No idea."
    assert len(box.called) == 1


async def test_a_call_at_the_last_token_ends_the_reply(start_api: StartApi) -> None:
    """Where none is left for an answer, nothing is called, and the reply says that it is cut."""
    box = Box({"weather": RAIN})
    api = await start(start_api, box, ["Let me look. ", calling()], ["It ", "rains."])
    async with message_of(api, max_tokens=2) as message:
        assert message["content"] == "Let me look. "
        assert message["finish"] == "length"
        assert message["usage"]["completion_tokens"] == 2
        (left,) = message["server_tool_calls"]
        assert (left["outcome"], "was cut" in left["output"]) == ("left", True)
    assert (box.called, len(api.turns())) == ([], 1)
    api.engine.script, api.engine.then = ["Let me look. ", calling()], [["It ", "rains."]]
    async with message_of(api, max_tokens=3) as message:
        assert message["content"] == "Let me look. It "
        assert (message["finish"], message["usage"]["completion_tokens"]) == ("length", 3)


async def test_the_clients_own_tools_stay_its_own(start_api: StartApi) -> None:
    """A reply that calls one ends the loop; a name that both have is the client's."""
    box = Box({"weather": RAIN, "find": RAIN})
    api = await start(start_api, box, ["", calling("find"), calling("weather")], [calling("find")])
    async with message_of(api, tools=[tool("find")]) as message:
        assert [call["function"]["name"] for call in message["tool_calls"]] == ["find"]
        assert message["finish"] == "tool_calls"
        (left,) = message["server_tool_calls"]
    assert left["outcome"] == "left"
    assert box.called == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/v1/chat/completions", "max_tokens"),
        ("/v1/messages", "max_tokens"),
        ("/v1/responses", "max_output_tokens"),
    ],
)
async def test_a_call_of_the_clients_that_is_cut_is_none(
    start_api: StartApi, tiny_base: BaseModel, path: str, limit: str, stream: bool
) -> None:
    """Beside the agent's own tools as without them, in every API; what is kept can be read."""
    script = ["Hm. ", '<tool_call>{"name": "find", "arguments": {"city": "Os', 'lo"}}</tool_call>']
    told = []
    for box in (None, Box({"weather": RAIN})):
        given: dict[str, Any] = {"compiler": open_compiler(tiny_base), "context_tokens": 64}
        api: Api = await start_api(tools=box, script=script, **given)
        answer = await api.post(path, asked_of(path) | {limit: 2, "stream": stream})
        assert answer.status == 200
        told.append(named_alike(await events_of(answer) if stream else await answer.json()))
        if path == "/v1/responses":
            kept = await api.client.get(f"{path}/{api.turns()[-1].id}")
            items = [(item["type"], item["status"]) for item in (await kept.json())["output"]]
            assert items == [("message", "completed"), ("function_call", "incomplete")]
    assert told[0] == told[1]
    assert "length" in told[1] or '"max_tokens"' in told[1] or '"incomplete"' in told[1]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_is_cut_behind_one_of_our_own_is_incomplete(
    start_api: StartApi, tiny_base: BaseModel, stream: bool
) -> None:
    """Whichever is told last: the response has the items that were told, and they are kept."""
    script = ["Hm. ", calling(), '<tool_call>{"name": "find", "arguments": {"city": "Os', "lo"]
    given: dict[str, Any] = {"compiler": open_compiler(tiny_base), "context_tokens": 64}
    api: Api = await start_api(tools=Box({"weather": RAIN}), script=script, **given)
    asked = asked_of("/v1/responses") | {"max_output_tokens": 3, "stream": stream}
    answer = await api.post("/v1/responses", asked)
    told = await response_told(answer, stream=stream)
    kinds = {item["type"]: item["status"] for item in told["output"]}
    assert (kinds["function_call"], kinds["message"]) == ("incomplete", "completed")
    assert "mcp_call" in kinds
    assert (await shown(api, told["id"]))["output"] == told["output"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["find", "weather"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
async def test_arguments_that_cannot_be_read_fail_no_reply(
    start_api: StartApi, tiny_base: BaseModel, path: str, name: str, stream: bool
) -> None:
    """Such as a number of thousands of digits, in a call of the client's tools or our own."""
    box, digits = Box({"weather": Result("weather was not called", "failed")}), "1" * 5000
    call = f'<tool_call>{{"name": "{name}", "arguments": {{"city": {digits}}}}}</tool_call>'
    scripts, compiler = (["Hm. ", call], ["Well."]), open_compiler(tiny_base)
    api = await start(start_api, box, *scripts, compiler=compiler)
    limit = "max_output_tokens" if path == "/v1/responses" else "max_tokens"
    answer = await api.post(path, asked_of(path) | {limit: 30, "stream": stream})
    text = await answer.text()
    assert (answer.status, "server_error" in text) == (200, False), text[-500:]
    assert digits in text


@pytest.mark.parametrize("name", ["find", "weather"])
async def test_an_infinite_number_in_a_call_leaves_the_message_json(
    start_api: StartApi, tiny_base: BaseModel, name: str
) -> None:
    """Clients of other languages refuse a whole response that has one number that JSON has not."""
    box = Box({"weather": Result("weather was not called", "failed")})
    call = f'<tool_call>{{"name": "{name}", "arguments": {{"city": 1e999}}}}</tool_call>'
    scripts, compiler = (["Hm. ", call], ["Well."]), open_compiler(tiny_base)
    api = await start(start_api, box, *scripts, compiler=compiler)
    answer = await api.post("/v1/messages", asked_of("/v1/messages") | {"max_tokens": 30})
    told = json.loads(await answer.text(), parse_constant=pytest.fail)
    (called,) = [block["input"] for block in told["content"] if "input" in block]
    assert called == {"arguments": '{"city": 1e999}'}


def asked_of(path: str) -> dict[str, Any]:
    """A request of each API that offers a tool of the client's."""
    find = tool("find")["function"]
    if path == "/v1/responses":
        tools = [{"type": "function", **find}]
        return {"model": "quickset", "input": "Weather?", "tools": tools}
    if path == "/v1/messages":
        tools = [{"name": "find", "input_schema": find["parameters"]}]
        return {"model": "quickset", "messages": ASK, "tools": tools}
    return {"model": "quickset", "messages": ASK, "tools": [tool("find")]}


def named_alike(told: Any) -> str:
    """What was told, without names made for it, times and the size of the prompt."""
    text = json.dumps(told)
    text = re.sub(r"[a-z]+[_-][0-9a-f]{24,}", "id", text)
    return re.sub(r'"(created|created_at|prompt_tokens|input_tokens|total_tokens)": \d+', "", text)


async def test_a_request_may_do_without(start_api: StartApi) -> None:
    """The header, tool_choice none, a form, several choices and chores: no tool is offered."""
    box = Box({"weather": RAIN})
    api = await start(start_api, box, ["Plain."])
    api.headers = {"X-Server-Tools": "off"}
    async with message_of(api) as message:
        assert message["content"] == "Plain."
    api.headers = {}
    async with message_of(api, tool_choice="none"), message_of(api, n=2):
        pass
    assert all(turn.tools is None for turn in api.turns())
    api.headers = {"X-Server-Tools": "perhaps"}
    assert (await api.chat()).status == 400


async def test_what_needs_approval_is_not_called_and_is_said(start_api: StartApi) -> None:
    """Where nobody can be asked, the model is told, and the reply tells that it was not called."""
    box = Box({"weather": RAIN}, approval=("weather",))
    api = await start(start_api, box, [calling()], ["I may not look."])
    async with message_of(api) as message:
        assert message["content"] == "I may not look."
        assert message["server_tool_calls"][0]["outcome"] == "unapproved"
    assert box.called == []
    told = api.turns()[-1].messages[-1]
    assert told.content is not None
    assert "has to allow it" in told.content


async def test_a_result_that_does_not_fit_is_left_out(start_api: StartApi) -> None:
    """The answer comes all the same, with a word in the result's place."""
    box = Box({"weather": Result("word " * 100, "ok")})
    api = await start(start_api, box, [calling()], ["Too much."])
    async with message_of(api) as message:
        assert message["content"] == "Too much."
    assert "does not fit" in (api.turns()[-1].messages[-1].content or "")


async def test_a_step_after_which_nothing_fits_is_the_last(start_api: StartApi) -> None:
    """What was said and called is told, as cut; no error comes in mid-reply."""
    box, said = Box({"weather": RAIN}), ["word " * 60, calling()]
    api = await start(start_api, box, said, said, ["Never."])
    async with message_of(api) as message:
        assert message["content"] == "word " * 60
        assert message["finish"] == "length"
        (made,) = message["server_tool_calls"]
        assert made["output"] == RAIN.text
    (turn,) = api.turns()
    assert turn.id == message["id"]
    *_, (_, last), (_, done) = await events_of(await api.chat("Weather?", stream=True))
    assert (last["choices"][0]["finish_reason"], done) == ("length", "[DONE]")


async def test_tools_that_do_not_fit_are_not_offered(start_api: StartApi) -> None:
    """A prompt that fits without them is answered without them."""
    box = Box({f"tool{n}": RAIN for n in range(40)})
    api = await start(start_api, box, ["Hello."])
    response = await api.chat("word " * 50)
    assert response.status == 200
    assert api.turns()[-1].tools is None


async def test_chat_streams_through_the_loop(start_api: StartApi) -> None:
    """Text comes as it is sampled, a call when it is made, one end, the usage of all steps."""
    api = await start(start_api, Box({"weather": RAIN}), ["Hm. ", calling()], ["It ", "rains."])
    body = {"stream": True, "stream_options": {"include_usage": True}}
    frames = [data for _, data in await events_of(await api.chat("Weather?", **body))]
    assert frames.pop() == "[DONE]"
    deltas = [choice["delta"] for frame in frames for choice in frame["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "Hm. It rains."
    assert [d for d in deltas if "role" in d] == deltas[:1]
    (made,) = [call for delta in deltas for call in delta.get("server_tool_calls", [])]
    assert made["output"] == RAIN.text
    assert not any("tool_calls" in delta for delta in deltas)
    reasons = [choice["finish_reason"] for frame in frames for choice in frame["choices"]]
    assert [reason for reason in reasons if reason] == ["stop"]
    assert frames[-1]["usage"]["completion_tokens"] == 4


async def test_streamed_calls_are_numbered(start_api: StartApi) -> None:
    """Through all steps of a choice: clients put lists of a stream together by the index."""
    two = calling(city="Oslo") + calling(city="Rome")
    api = await start(start_api, Box({"weather": RAIN}), [two], [calling(city="Bonn")], ["Rain."])
    frames = await events_of(await api.chat("Weather?", stream=True))
    deltas = [frame["choices"][0]["delta"] for _, frame in frames if frame != "[DONE]"]
    calls = [call for delta in deltas for call in delta.get("server_tool_calls", [])]
    told = [(call["index"], json.loads(call["arguments"])["city"]) for call in calls]
    assert told == [(0, "Oslo"), (1, "Rome"), (2, "Bonn")]


async def test_log_probabilities_are_of_what_is_told(start_api: StartApi) -> None:
    """Whole and streamed alike: of the text, and not of what wrote a call of our own."""
    scripts = (["Hm. ", calling(city="Oslo")], ["It ", "rains."])
    api = await start(start_api, Box({"weather": RAIN}), *scripts, *scripts)
    async with message_of(api, logprobs=True) as message:
        whole = message["choices"][0]["logprobs"]["content"]
    frames = await events_of(await api.chat("Weather?", logprobs=True, stream=True))
    choices = [frame["choices"][0] for _, frame in frames if frame != "[DONE]"]
    told = [choice["logprobs"]["content"] for choice in choices if choice["logprobs"]]
    assert [each for some in told for each in some] == whole
    assert [each["token"] for each in whole] == ["Hm. ", "It ", "rains."]


async def test_messages_tell_the_call_in_blocks(start_api: StartApi) -> None:
    """As Anthropic has calls of MCP tools, whole and streamed alike; sent back, they are read."""
    scripts = (["Hm. ", calling(city="Oslo")], ["It rains."])
    api = await start(start_api, Box({"weather": RAIN}), *scripts, *scripts, ["Yes."])
    body = {"model": "quickset", "max_tokens": 30, "messages": ASK}
    whole = await (await api.post("/v1/messages", body)).json()
    kinds = ["text", "mcp_tool_use", "mcp_tool_result", "text"]
    assert [block["type"] for block in whole["content"]] == kinds
    assert whole["content"][1]["input"] == {"city": "Oslo"}
    assert whole["stop_reason"] == "end_turn"
    events = await events_of(await api.post("/v1/messages", body | {"stream": True}))
    starts = [data for name, data in events if name == "content_block_start"]
    assert [each["content_block"]["type"] for each in starts] == kinds
    assert starts[1]["content_block"]["input"] == {"city": "Oslo"}
    assert [each["index"] for each in starts] == [0, 1, 2, 3]
    stops = [data["index"] for name, data in events if name == "content_block_stop"]
    assert stops == [0, 1, 2, 3]
    again = [*ASK, {"role": "assistant", "content": whole["content"]}, *ASK]
    assert (await api.post("/v1/messages", body | {"messages": again})).status == 200


async def test_responses_tell_the_call_as_an_item(start_api: StartApi) -> None:
    """An mcp_call, streamed by its own events, kept with the response, gone on from."""
    scripts = (["Hm. ", calling(city="Oslo")], ["It rains."])
    api = await start(start_api, Box({"weather": RAIN}), *scripts, *scripts, ["Yes."])
    body = {"model": "quickset", "input": "Weather?"}
    whole = await (await api.post("/v1/responses", body)).json()
    assert [item["type"] for item in whole["output"]] == ["message", "mcp_call", "message"]
    assert whole["output"][1]["output"] == RAIN.text
    stored = await shown(api, whole["id"])
    assert stored["output"] == whole["output"]
    assert stored["usage"]["output_tokens"] == whole["usage"]["output_tokens"]
    events = await events_of(await api.post("/v1/responses", body | {"stream": True}))
    names = [name for name, _ in events if "mcp_call" in name]
    assert names == [
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
    ]
    numbers = [data["output_index"] for name, data in events if name.endswith("item.added")]
    assert numbers == [0, 1, 2]
    follow = {"input": "Sure?", "previous_response_id": whole["id"]}
    assert (await api.post("/v1/responses", body | follow)).status == 200
    items = await shown(api, whole["id"], "/input_items")
    assert [item["type"] for item in items["data"]] == ["message"]


async def test_a_failure_behind_a_call_is_told_and_kept_alike(start_api: StartApi) -> None:
    """The steps before it, what was called, and what was said of the answer."""
    failing: Any = ["It ", RuntimeError("boom")]
    api = await start(start_api, Box({"weather": RAIN}), ["Hm. ", calling()], failing)
    body = {"model": "quickset", "input": "Weather?", "stream": True}
    *_, (name, data) = await events_of(await api.post("/v1/responses", body))
    assert name == "response.failed"
    told = data["response"]
    kinds = [(item["type"], item["status"]) for item in told["output"]]
    assert kinds == [("message", "completed"), ("mcp_call", "completed"), ("message", "incomplete")]
    kept = await shown(api, told["id"])
    same = ("output", "status", "error", "usage")
    assert [kept[name] for name in same] == [told[name] for name in same]


async def test_a_response_that_ended_for_want_of_room_is_gone_on_from(start_api: StartApi) -> None:
    """It is told and kept as incomplete, and its calls, of which no result is, are in no prompt."""
    box = Box({"weather": RAIN})
    said = "word " * 60
    api = await start(start_api, box, [said, calling()], ["Yes."])
    body = {"model": "quickset", "input": "Weather?"}
    told = await (await api.post("/v1/responses", body)).json()
    assert [item["type"] for item in told["output"]] == ["message", "mcp_call"]
    assert (told["status"], told["output"][1]["status"]) == ("incomplete", "completed")
    kept = await shown(api, told["id"])
    assert kept == told
    await gone_on_from(api, told["id"])
    said_before = [(each.role, each.content, each.tool_calls) for each in api.turns()[-1].messages]
    assert said_before[1:] == [("assistant", said, None), ("user", "Sure?", None)]


@pytest.mark.parametrize("text", ["", "Hm. "])
async def test_a_response_without_a_token_left_is_kept_as_told(
    start_api: StartApi, text: str
) -> None:
    """Incomplete, though its last step is a whole call."""
    api = await start(start_api, Box({"weather": RAIN}), [text, calling()], ["Yes."])
    body = {"model": "quickset", "input": "Weather?", "max_output_tokens": 2}
    told = await (await api.post("/v1/responses", body)).json()
    assert told["status"] == "incomplete"
    assert told["output"][-1]["status"] == "failed"
    kept = await shown(api, told["id"])
    assert kept == told
    await gone_on_from(api, told["id"])


@pytest.mark.parametrize("in_call", [True, False], ids=["in the call", "in the reply"])
async def test_a_response_that_failed_with_a_call_is_gone_on_from(
    start_api: StartApi, in_call: bool
) -> None:
    """Whichever of its calls had begun: none has a result, and none is the client's to make."""
    two = ["Hm. ", calling(city="Oslo"), calling(city="Rome")]
    script: list[Any] = two if in_call else [*two, RuntimeError("boom")]
    box = Box({"weather": fails})
    api = await start(start_api, box, script, ["Yes."])
    body = {"model": "quickset", "input": "Weather?", "stream": True}
    *_, (name, data) = await events_of(await api.post("/v1/responses", body))
    assert name == "response.failed"
    told = data["response"]
    kinds = [item["type"] for item in told["output"]]
    assert kinds == (["message", "mcp_call"] if in_call else ["message"])
    kept = await shown(api, told["id"])
    assert kept["output"] == told["output"]
    await gone_on_from(api, told["id"])


async def test_a_response_whose_client_went_in_a_call_is_gone_on_from(start_api: StartApi) -> None:
    """What it was told is not kept; what it offered itself is all that it could call."""
    box = Box({"weather": RAIN})
    box.gate = asyncio.Event()
    api = await start(start_api, box, ["Hm. ", calling()], ["Yes."])
    body = {"model": "quickset", "input": "Weather?", "stream": True}
    answer = await api.post("/v1/responses", body)
    while not box.called:
        await asyncio.sleep(0.01)
    answer.close()
    while not box.cancelled or not api.turns():
        await asyncio.sleep(0.01)
    (turn,) = api.turns()
    kept = await shown(api, turn.id)
    assert [item["type"] for item in kept["output"]] == ["message"]
    await gone_on_from(api, turn.id)


def fails(**_: Any) -> Result:
    raise RuntimeError("boom")


async def gone_on_from(api: Api, response_id: str) -> None:
    """Ask what follows a response; it is answered."""
    follow = {"model": "quickset", "input": "Sure?", "previous_response_id": response_id}
    answer = await api.post("/v1/responses", follow)
    told = await answer.json()
    assert answer.status == 200, told
    assert told["output"][-1]["content"][0]["text"] == "Yes."


ASKS = {"X-Server-Tools": "ask"}  # who sends it can be asked whether a call may be made


def allowing(asked: dict[str, Any]) -> dict[str, Any]:
    """What allows all that a response asks for."""
    said = [
        {"type": "mcp_approval_response", "approval_request_id": item["id"], "approve": True}
        for item in asked["output"]
        if item["type"] == "mcp_approval_request"
    ]
    return {"previous_response_id": asked["id"], "input": said}


async def test_responses_ask_for_approval(start_api: StartApi) -> None:
    """Nothing is called before somebody allows it; then it is, and the answer follows."""
    box = Box({"weather": RAIN}, approval=("weather",))
    api = await start(start_api, box, ["", calling(city="Oslo")], ["It rains."])
    api.headers = ASKS
    body = {"model": "quickset", "input": "Weather?"}
    asked = await (await api.post("/v1/responses", body)).json()
    request = asked["output"][-1]
    assert request["type"] == "mcp_approval_request"
    assert (request["server_label"], request["name"]) == ("test", "weather")
    assert asked["status"] == "completed"
    assert box.called == []
    allowed = {
        "type": "mcp_approval_response",
        "approval_request_id": request["id"],
        "approve": True,
    }
    following = {"previous_response_id": asked["id"], "input": [allowed]}
    answered = await (await api.post("/v1/responses", body | following)).json()
    assert box.called == [("weather", {"city": "Oslo"})]
    assert [item["type"] for item in answered["output"]] == ["mcp_call", "message"]
    assert answered["output"][0]["output"] == RAIN.text
    turn = api.turns()[-1]
    assert [turn.messages[place].role for place in turn.inner] == ["assistant", "tool"]
    wrong = {"input": [allowed], "previous_response_id": answered["id"]}
    assert (await api.post("/v1/responses", body | wrong)).status == 400


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
async def test_nobody_is_asked_who_has_not_said_so(start_api: StartApi, path: str) -> None:
    """In any API: clients that have not named the server break at a question of it."""
    box = Box({"weather": RAIN}, approval=("weather",))
    api = await start(start_api, box, ["", calling(city="Oslo")], ["I may not look."])
    limit = {"max_tokens": 30} if path == "/v1/messages" else {}
    told = await (await api.post(path, asked_of(path) | limit)).text()
    assert "I may not look." in told
    assert "mcp_approval_request" not in told
    assert "has to allow it" in (api.turns()[-1].messages[-1].content or "")
    assert box.called == []


def naming(label: str = "test", **more: Any) -> dict[str, Any]:
    """A request that names a server of the agent's own."""
    server = {"type": "mcp", "server_label": label} | more
    return {"model": "quickset", "input": "Weather?", "tools": [server]}


async def test_who_names_a_server_is_asked(start_api: StartApi) -> None:
    """By a tool of type mcp, as OpenAI's clients do; the answer needs no more than its item."""
    box = Box({"weather": RAIN}, approval=("weather",))
    scripts = (["", calling(city="Oslo")], ["It rains. ", calling(city="Rome")])
    api = await start(start_api, box, *scripts)
    asked = await (await api.post("/v1/responses", naming(require_approval="never"))).json()
    assert asked["output"][-1]["type"] == "mcp_approval_request"
    named = {"type": "mcp", "server_label": "test", "require_approval": "never"}
    assert asked["tools"] == [named]
    allowed = {"model": "quickset"} | allowing(asked)
    told = await (await api.post("/v1/responses", allowed)).json()
    kinds = [item["type"] for item in told["output"]]
    assert kinds == ["mcp_call", "message", "mcp_approval_request"]
    assert box.called == [("weather", {"city": "Oslo"})]
    unkept = await (await api.post("/v1/responses", naming() | {"store": False})).json()
    assert "mcp_approval_request" not in json.dumps(unkept)


async def test_a_question_is_of_a_server_that_was_named(start_api: StartApi) -> None:
    """Where one of the calls is another's, none is asked for: the model reads why."""
    box = Box({"weather": RAIN, "news": RAIN}, approval=("weather", "news"), elsewhere=("news",))
    both = calling("weather") + calling("news")
    api = await start(start_api, box, [calling("news")], ["No."], [both], ["No."])
    for _ in range(2):
        told = await (await api.post("/v1/responses", naming())).json()
        assert "mcp_approval_request" not in {item["type"] for item in told["output"]}
        assert told["output"][-1]["content"][0]["text"] == "No."
    asked = await start(start_api, box, ["", both])
    both_named = naming() | {"tools": [*naming()["tools"], *naming("other")["tools"]]}
    told = await (await asked.post("/v1/responses", both_named)).json()
    assert [item["server_label"] for item in told["output"]] == ["test", "other"]
    assert box.called == []


@pytest.mark.parametrize(
    ("said", "shown", "waits"),
    [
        ({}, ["news", "weather"], False),
        ({"allowed_tools": ["news"]}, ["news"], False),
        ({"allowed_tools": {"tool_names": []}}, [], False),
        ({"require_approval": "always"}, ["news", "weather"], True),
        ({"require_approval": {"always": {"tool_names": ["news"]}}}, ["news", "weather"], True),
        ({"require_approval": {"always": {"tool_names": ["weather"]}}}, ["news", "weather"], False),
        ({"require_approval": {"never": {"tool_names": ["news"]}}}, ["news", "weather"], False),
    ],
)
async def test_a_request_may_narrow_a_server(
    start_api: StartApi, said: dict[str, Any], shown: list[str], waits: bool
) -> None:
    """To some of its tools, and to calls that somebody allows, where settings ask for less."""
    box = Box({"weather": RAIN, "news": RAIN})
    api = await start(start_api, box, ["", calling("news")], ["Rain."])
    told = await (await api.post("/v1/responses", naming(**said))).json()
    names = [each["function"]["name"] for each in api.turns()[0].tools or []]
    assert sorted(names) == shown
    assert ("mcp_approval_request" in {item["type"] for item in told["output"]}) is waits


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        (naming("away")["tools"], "tools[0].server_label"),
        (naming(server_url="https://a.example/mcp")["tools"], "tools[0].server_url"),
        (naming(connector_id="connector_gmail")["tools"], "tools[0].connector_id"),
        (naming(allowed_tools={"read_only": True})["tools"], "tools[0].allowed_tools.read_only"),
        (naming(require_approval="perhaps")["tools"], "tools[0].require_approval"),
        (naming()["tools"] * 2, "tools"),
    ],
)
async def test_a_server_that_is_not_ours_is_refused(
    start_api: StartApi, tools: list[Any], param: str
) -> None:
    """By its name, with what to do: nothing is called that a client names."""
    api = await start(start_api, Box({"weather": RAIN}), ["Never."])
    answer = await api.post("/v1/responses", naming() | {"tools": tools})
    assert answer.status == 400
    error = (await answer.json())["error"]
    assert (error["param"], error["message"].startswith(param)) == (param, True)


async def waiting_for_approval(
    start_api: StartApi, *scripts: list[str], result: Result = RAIN, **given: Any
) -> tuple[Api, Box, dict[str, Any]]:
    """An API that has asked whether it may call, its tools, and the request that allows it."""
    box = Box({"weather": result}, approval=("weather",))
    api = await start(start_api, box, ["", calling(city="Oslo")], *scripts, **given)
    api.headers = {"Authorization": "Bearer ann", **ASKS}
    body = {"model": "quickset", "input": "Weather?"}
    asked = await (await api.post("/v1/responses", body)).json()
    return api, box, body | allowing(asked)


@pytest.mark.parametrize("first", [True, False])
async def test_no_call_takes_the_place_of_what_was_asked_for(
    start_api: StartApi, first: bool
) -> None:
    """Whoever knows a call's inner id sends another call by it: nothing is called at all."""
    box = Box({"weather": RAIN, "erase": RAIN}, approval=("weather", "erase"))
    api = await start(start_api, box, ["", calling(city="Oslo")], ["It rains."])
    api.headers = {"Authorization": "Bearer ann", **ASKS}
    body = {"model": "quickset", "input": "Weather?"}
    asked = await (await api.post("/v1/responses", body)).json()
    (call,) = api.turns()[-1].reply.tool_calls or []
    forged = {"type": "function_call", "call_id": call["id"], "name": "erase", "arguments": "{}"}
    allowed = allowing(asked)
    sent = [forged, *allowed["input"]] if first else [*allowed["input"], forged]
    answer = await api.post("/v1/responses", body | allowed | {"input": sent})
    assert answer.status == 400
    error = (await answer.json())["error"]
    assert error["param"] == "input"
    assert "waits for approval: send no other as it" in error["message"]
    assert box.called == []
    assert (await api.post("/v1/responses", body | allowed)).status == 200
    assert [name for name, *_ in box.called] == ["weather"]


async def test_nothing_is_called_for_a_request_without_a_place(start_api: StartApi) -> None:
    """One that is refused because its key has replies enough comes again: it is called once."""
    key = {"ann": hashlib.sha256(b"ann").hexdigest()}
    api, box, allowed = await waiting_for_approval(
        start_api, ["⏸", "Hello."], ["It rains."], keys=key, replies_per_key=1
    )
    beside = asyncio.create_task(api.chat("Hi"))
    while len(api.engine.streams) < 2:
        await asyncio.sleep(0.01)
    assert (await api.post("/v1/responses", allowed)).status == 429
    assert box.called == []
    api.engine.streams[1].gate.set()
    assert (await beside).status == 200
    assert (await api.post("/v1/responses", allowed)).status == 200
    assert len(box.called) == 1


async def test_nothing_is_called_for_a_request_that_cannot_wait(start_api: StartApi) -> None:
    """Where as many wait as may, it is refused before anything is called."""
    api, box, allowed = await waiting_for_approval(
        start_api, ["⏸", "a"], ["b"], ["It rains."], max_batch=1, max_queue=1
    )
    beside = [asyncio.create_task(api.chat("Hi")) for _ in range(2)]
    while len(api.engine.streams) < 3:
        await asyncio.sleep(0.01)
    assert (await api.post("/v1/responses", allowed)).status == 429
    assert box.called == []
    api.engine.streams[1].gate.set()
    assert [each.status for each in await asyncio.gather(*beside)] == [200, 200]


async def test_a_full_queue_ends_no_answer_whose_tools_were_called(start_api: StartApi) -> None:
    """Who came meanwhile is before it; told to try again, a client would have them called again."""
    box = Box({"weather": RAIN})
    box.gate = asyncio.Event()
    api = await start(
        start_api, box, [calling()], ["⏸", "a"], ["b"], ["It rains."], max_batch=1, max_queue=1
    )
    asking = asyncio.create_task(api.chat("Weather?"))
    while not box.called:
        await asyncio.sleep(0.01)
    beside = [asyncio.create_task(api.chat("Hi")) for _ in range(2)]
    while len(api.engine.streams) < 3:
        await asyncio.sleep(0.01)
    assert (await api.chat("Hi")).status == 429
    box.gate.set()
    while len(api.engine.streams) < 4 and not asking.done():
        await asyncio.sleep(0.01)
    api.engine.streams[1].gate.set()
    told = await (await asking).json()
    assert told["choices"][0]["message"]["content"] == "It rains."
    assert [each.status for each in await asyncio.gather(*beside)] == [200, 200]
    assert len(box.called) == 1


async def test_a_full_queue_refuses_no_request_whose_allowed_tools_were_called(
    start_api: StartApi,
) -> None:
    """It had room when it came; who came while its tool was called is before it."""
    api, box, allowed = await waiting_for_approval(
        start_api, ["⏸", "a"], ["b"], ["It rains."], max_batch=1, max_queue=1
    )
    box.gate = asyncio.Event()
    asking = asyncio.create_task(api.post("/v1/responses", allowed))
    while not box.called:
        await asyncio.sleep(0.01)
    beside = [asyncio.create_task(api.chat("Hi")) for _ in range(2)]
    while len(api.engine.streams) < 3:
        await asyncio.sleep(0.01)
    box.gate.set()
    while len(api.engine.streams) < 4 and not asking.done():
        await asyncio.sleep(0.01)
    api.engine.streams[1].gate.set()
    assert (await asking).status == 200
    assert [each.status for each in await asyncio.gather(*beside)] == [200, 200]
    assert len(box.called) == 1


async def test_what_is_allowed_once_is_called_once(start_api: StartApi) -> None:
    """A request that came to nothing after its call gets the same result when it comes again."""
    api, box, allowed = await waiting_for_approval(start_api, ["It rains."])
    refuse, refusal = api.engine.refuse, QueueFullError("enough requests wait already")
    api.engine.refuse = lambda: refusal
    assert (await api.post("/v1/responses", allowed)).status == 429
    api.engine.refuse = refuse
    told = await (await api.post("/v1/responses", allowed)).json()
    assert told["output"][0]["output"] == RAIN.text
    assert len(box.called) == 1


async def test_one_approval_sent_twice_at_once_is_one_call(start_api: StartApi) -> None:
    """The second waits for the first one's call, and is told the same."""
    api, box, allowed = await waiting_for_approval(start_api, ["It rains."], ["It pours."])
    box.gate = asyncio.Event()
    asking = [asyncio.create_task(api.post("/v1/responses", allowed)) for _ in range(2)]
    while not box.called:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    box.gate.set()
    told = [await (await each).json() for each in asking]
    assert [each["output"][0]["output"] for each in told] == [RAIN.text] * 2
    assert len(box.called) == 1


async def test_an_allowed_call_is_made_to_its_end(start_api: StartApi) -> None:
    """Its client went away and comes again: it gets what the one call came to."""
    api, box, allowed = await waiting_for_approval(start_api, ["It rains."])
    box.gate = asyncio.Event()
    asking = asyncio.create_task(api.post("/v1/responses", allowed))
    while not box.called:
        await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.sleep(0.1)
    box.gate.set()
    told = await (await api.post("/v1/responses", allowed)).json()
    assert told["output"][0]["output"] == RAIN.text
    assert len(box.called) == 1


async def test_an_allowed_result_that_does_not_fit_is_left_out(start_api: StartApi) -> None:
    """The answer comes all the same; what fits in no case is refused before anything is called."""
    long = Result("word " * 100, "ok")
    api, box, allowed = await waiting_for_approval(start_api, ["Too much."], result=long)
    more = {"role": "user", "content": "word " * 70}
    refused = await api.post("/v1/responses", allowed | {"input": [*allowed["input"], more]})
    assert (refused.status, box.called) == (400, [])
    told = await (await api.post("/v1/responses", allowed)).json()
    assert told["output"][-1]["content"][0]["text"] == "Too much."
    said = [each.content for each in api.turns()[-1].messages if each.role == "tool"]
    assert "does not fit" in (said[-1] or "")


async def test_allowed_calls_share_the_time_of_a_request(start_api: StartApi) -> None:
    """What has no time left is not called, and that is said."""
    box = Box({"weather": RAIN}, approval=("weather",), seconds=1e-9)
    two = ["", calling(city="Oslo"), calling(city="Rome")]
    api = await start(start_api, box, two, ["It rains in Oslo."])
    api.headers = ASKS
    body = {"model": "quickset", "input": "Weather?"}
    asked = await (await api.post("/v1/responses", body)).json()
    told = await (await api.post("/v1/responses", body | allowing(asked))).json()
    assert len(box.called) <= 1
    assert told["output"][-2]["type"] == "mcp_call"
    assert "time for calls of tools is used up" in str(told["output"][-2]["error"])


async def test_calls_after_an_allowed_one_have_the_time_that_it_left(start_api: StartApi) -> None:
    """All calls for one request share its time, those before the first token too."""
    box = Box({"weather": RAIN, "news": RAIN}, approval=("weather",), seconds=1.0)
    api = await start(start_api, box, ["", calling()], [calling("news")], ["It rains."])
    api.headers = ASKS
    body = {"model": "quickset", "input": "Weather?"}
    asked = await (await api.post("/v1/responses", body)).json()
    box.gate = asyncio.Event()
    allowing_it = asyncio.create_task(api.post("/v1/responses", body | allowing(asked)))
    while not box.called:
        await asyncio.sleep(0.01)
    await asyncio.sleep(box.seconds)
    box.gate.set()
    told = await (await allowing_it).json()
    assert [name for name, _ in box.called] == ["weather"]
    assert [item["type"] for item in told["output"]] == ["mcp_call", "mcp_call", "message"]
    assert "time for calls of tools is used up" in str(told["output"][1]["error"])


async def test_what_is_not_approved_is_not_called(start_api: StartApi) -> None:
    """No, or nothing, is no; the model reads the reason."""
    box = Box({"weather": RAIN}, approval=("weather",))
    api = await start(start_api, box, ["", calling()], ["Then not."], [calling()], ["Well."])
    api.headers = ASKS
    body = {"model": "quickset", "input": "Weather?"}
    asked = await (await api.post("/v1/responses", body)).json()
    denied = {
        "type": "mcp_approval_response",
        "approval_request_id": asked["output"][-1]["id"],
        "approve": False,
        "reason": "too dear",
    }
    following = {"previous_response_id": asked["id"], "input": [denied]}
    answered = await (await api.post("/v1/responses", body | following)).json()
    assert answered["output"][-1]["content"][0]["text"] == "Then not."
    assert "too dear" in str(api.turns()[-1].messages)
    asked = await (await api.post("/v1/responses", body)).json()
    silent = {"previous_response_id": asked["id"], "input": "Never mind."}
    assert (await api.post("/v1/responses", body | silent)).status == 200
    assert box.called == []


async def test_a_stop_lets_a_reply_end_that_calls_a_tool(start_api: StartApi) -> None:
    """It is given whole within the grace, its last step too; a new request is refused meanwhile."""
    box = Box({"weather": RAIN})
    box.gate = asyncio.Event()
    api = await start(start_api, box, ["Hm. ", calling()], ["It rains."])
    asking = asyncio.create_task(api.chat("Weather?"))
    while not box.called:
        await asyncio.sleep(0.01)
    stopping = asyncio.create_task(api.service.stop())
    while (await api.chat("Hi")).status != 503:
        pass
    box.gate.set()
    answered = await asking
    assert answered.status == 200
    assert (await answered.json())["choices"][0]["message"]["content"] == "Hm. It rains."
    await stopping
    assert 0 < (api.engine.drained_s or 0) < 20
    assert len(api.turns()) == 2


async def test_a_stop_waits_no_longer_than_the_grace(start_api: StartApi) -> None:
    """A call that takes longer is cut off, and the step that made it is kept."""
    box = Box({"weather": RAIN})
    box.gate = asyncio.Event()
    api = await start(start_api, box, ["Hm. ", calling()], ["never"], drain_s=0.05)
    asking = asyncio.create_task(api.chat("Weather?"))
    while not box.called:
        await asyncio.sleep(0.01)
    async with asyncio.timeout(60):
        await api.service.stop()
    assert api.engine.drained_s == 0
    box.gate.set()
    assert (await asking).status == 503


async def test_a_client_that_goes_ends_the_call(start_api: StartApi) -> None:
    """The call is cancelled, and the step that made it is kept."""
    box = Box({"weather": RAIN})
    box.gate = asyncio.Event()
    api = await start(start_api, box, ["Hm. ", calling()], ["never"])
    asking = asyncio.create_task(api.chat("Weather?"))
    while not box.called:
        await asyncio.sleep(0.01)
    asking.cancel()
    while not box.cancelled:
        await asyncio.sleep(0.01)
