"""Anthropic's Python client, as it comes from PyPI."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent.tools.served import Result
from tests.agent.turn.box import Box
from tests.clients.copied import HELLO, printed
from tests.clients.live import Live, called, live

anthropic = pytest.importorskip(
    "anthropic", reason="needs the extra clients: pip install -e '.[clients]'"
)

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: Any = {"name": "weather", "description": "The weather now.", "input_schema": CITY}
HI: Any = [{"role": "user", "content": "Hi there"}]


def client(api: Live, **given: Any) -> Any:
    settings: dict[str, Any] = {"api_key": "none", "max_retries": 0} | given
    return anthropic.Anthropic(base_url=api.address, **settings)


def tried(what: str, **more: Any) -> pytest.MarkDecorator:
    return pytest.mark.client("anthropic", what, **more)


@tried("messages: whole, system, stop sequences, usage")
def test_messages(api: Live) -> None:
    """A whole message, as the client's types have it."""
    told = client(api).messages.create(
        model="quickset", max_tokens=20, messages=HI, system="Be kind.", stop_sequences=["world"]
    )
    assert (told.content[0].text, told.stop_reason, told.stop_sequence) == (
        "Hello, ", "stop_sequence", "world",
    )  # fmt: skip
    assert (told.usage.input_tokens, told.usage.cache_read_input_tokens) == (5, 0)
    assert told._request_id.startswith("req_")


@tried("messages: streamed; the stream helper")
def test_messages_stream(api: Live) -> None:
    """Events as they come, and the helper's text and final message."""
    asking = client(api).messages
    events = list(asking.create(model="quickset", max_tokens=20, messages=HI, stream=True))
    assert (events[0].type, events[-1].type) == ("message_start", "message_stop")
    with asking.stream(model="quickset", max_tokens=20, messages=HI) as stream:
        assert "".join(stream.text_stream) == "Hello, world!"
        final = stream.get_final_message()
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 4)


@tried("messages: a tool is called, whole and streamed, and its result answered")
def test_tools(api: Live) -> None:
    """The loop over tool_use and tool_result."""
    asking, messages = client(api).messages, list(HI)
    given: Any = {"model": "quickset", "max_tokens": 50, "tools": [WEATHER]}
    api.play(called("weather", "Let me see. ", city="Oslo"))
    told = asking.create(messages=messages, **given)
    with asking.stream(messages=messages, **given) as stream:
        streamed = stream.get_final_message()
    for message in (told, streamed):
        assert message.stop_reason == "tool_use"
        assert [block.type for block in message.content] == ["text", "tool_use"]
        assert message.content[1].input == {"city": "Oslo"}
    result = {"type": "tool_result", "tool_use_id": told.content[1].id, "content": "sunny"}
    messages += [
        {"role": "assistant", "content": told.content},
        {"role": "user", "content": [result]},
    ]
    api.play(["It is sunny."])
    assert asking.create(messages=messages, **given).content[0].text == "It is sunny."


@tried("the agent's own tools: a call with its input, whole, and by both stream helpers")
def test_tools_of_the_agents_own(tmp_path: Path) -> None:
    """What was called is told alike, with what came of it."""
    given: Any = {"model": "quickset", "max_tokens": 50, "messages": HI}
    box, told = Box({"weather": Result("Rain.", "ok")}), []
    with live(tmp_path, tools=box) as api:
        api.play(called("weather", "Hm. ", city="Oslo"), ["It rains."])
        told.append(client(api).messages.create(**given))
        for asking in (client(api).messages, client(api).beta.messages):
            api.play(called("weather", "Hm. ", city="Oslo"), ["It rains."])
            with asking.stream(**given) as stream:
                told.append(stream.get_final_message())
    for message in told:
        kinds = [block.type for block in message.content]
        assert kinds == ["text", "mcp_tool_use", "mcp_tool_result", "text"]
        assert message.content[1].input == {"city": "Oslo"}
        assert message.stop_reason == "end_turn"


@tried("tool runner: a Python function is called until the model answers")
@pytest.mark.parametrize("stops", [{}, {"stop_sequences": ["STOP"]}])
def test_tool_runner(api: Live, stops: dict[str, Any]) -> None:
    """The client's own loop, with a function of the test; a stop behind the call loses none."""
    asked: list[str] = []

    @anthropic.beta_tool  # type: ignore[untyped-decorator]
    def weather(city: str) -> str:
        """The weather now.

        Args:
            city: where
        """
        asked.append(city)
        api.play(["It is sunny."])
        return "sunny"

    api.play([*called("weather", city="Oslo"), "\nSTOP"])
    runner = client(api).beta.messages.tool_runner(
        model="quickset", max_tokens=50, messages=HI, tools=[weather], **stops
    )
    final = runner.until_done()
    assert (asked, final.content[0].text) == (["Oslo"], "It is sunny.")


@tried("count_tokens and models")
def test_counts_and_models(api: Live) -> None:
    """What a conversation costs, and what may be asked for."""
    asking = client(api)
    assert asking.messages.count_tokens(model="quickset", messages=HI).input_tokens == 3
    assert [model.id for model in asking.models.list()] == ["quickset", "quickset@stable"]
    assert asking.models.retrieve("quickset").max_input_tokens == 4096


@tried("async: streamed")
async def test_async(api: Live) -> None:
    """The asynchronous client."""
    given: Any = {"model": "quickset", "max_tokens": 20, "messages": HI}
    async with (
        anthropic.AsyncAnthropic(base_url=api.address, api_key="none") as asking,
        asking.messages.stream(**given) as stream,
    ):
        said = [text async for text in stream.text_stream]
    assert "".join(said) == "Hello, world!"


@tried("errors: each as the client's own exception")
def test_errors(api: Live) -> None:
    """Bad values, unknown models and what cannot be had."""
    asking = client(api).messages
    image = {"type": "image", "source": {"type": "url", "url": "http://x/y.png"}}
    wrong: list[dict[str, Any]] = [
        {"messages": []},
        {"messages": [{"role": "user", "content": [image]}]},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    ]
    for bad in wrong:
        given: Any = {"model": "quickset", "max_tokens": 20, "messages": HI} | bad
        with pytest.raises(anthropic.BadRequestError) as refused:
            asking.create(**given)
        assert refused.value.body["error"]["type"] == "invalid_request_error"
        assert next(iter(bad)) in refused.value.body["error"]["message"]
    with pytest.raises(anthropic.NotFoundError):
        asking.create(model="claude-x", max_tokens=20, messages=HI)


@tried("tool_choice any and tool, and a schema for the reply")
def test_held_replies(real: Live) -> None:
    """A model of noise calls what it must, with arguments of the schema, and says JSON of one."""
    city = {"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}},
            "required": ["city"], "additionalProperties": False}  # fmt: skip
    given: Any = {"model": "quickset", "max_tokens": 200, "messages": HI}
    tools = [WEATHER | {"input_schema": city}]
    for choice in ({"type": "any"}, {"type": "tool", "name": WEATHER["name"]}):
        one: Any = choice | {"disable_parallel_tool_use": True}
        told = client(real).messages.create(**given, tools=tools, tool_choice=one)
        assert told.stop_reason == "tool_use"
        calls = [block for block in told.content if block.type == "tool_use"]
        assert all(call.input["city"] in ("Oslo", "Rome") for call in calls)
    config = {"format": {"type": "json_schema", "schema": city}}
    told = client(real).messages.create(**given, output_config=config)
    assert json.loads(told.content[0].text)["city"] in ("Oslo", "Rome")


@tried("a real model: whole and streamed")
def test_a_real_model(real: Live) -> None:
    """Whatever a model samples goes through the client's types."""
    asking = client(real).messages
    given: Any = {"model": "quickset", "max_tokens": 8, "messages": HI}
    told = asking.create(**given, extra_body={"temperature": 0})
    with asking.stream(**given, extra_body={"temperature": 0}) as stream:
        final = stream.get_final_message()
    assert final.content[0].text == told.content[0].text
    assert final.usage.output_tokens == told.usage.output_tokens > 0


@pytest.mark.client("anthropic", "the page /connect: its text runs as it stands")
def test_what_is_copied(api: Live, capsys: pytest.CaptureFixture[str]) -> None:
    """What the page shows for this client."""
    assert printed(api, "anthropic-python", capsys) == HELLO
