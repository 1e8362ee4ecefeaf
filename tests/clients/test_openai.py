"""OpenAI's Python client, as it comes from PyPI."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import pytest

from agent.tools.served import Result
from tests.agent.turn.box import Box
from tests.clients.copied import HELLO, printed
from tests.clients.live import Live, called, live

openai = pytest.importorskip(
    "openai", reason="needs the extra clients: pip install -e '.[clients]'"
)

CITY: Any = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER: Any = {"name": "weather", "description": "The weather now.", "parameters": CITY}
TOOL: Any = {"type": "function", "function": WEATHER}
HI: Any = [{"role": "user", "content": "Hi there"}]


class City(pydantic.BaseModel):
    """What a small model can say at once."""

    name: Literal["Oslo", "Rome"]
    people: Annotated[int, pydantic.Field(ge=0, le=999)]


def client(api: Live, **given: Any) -> Any:
    settings: dict[str, Any] = {"api_key": "none", "max_retries": 0} | given
    return openai.OpenAI(base_url=f"{api.address}/v1", **settings)


def tried(what: str, **more: Any) -> pytest.MarkDecorator:
    return pytest.mark.client("openai", what, **more)


@tried("chat: whole, n, stop, seed, logprobs, usage")
def test_chat(api: Live) -> None:
    """A whole completion, as the client's types have it."""
    told = client(api).chat.completions.create(
        model="quickset", messages=HI, n=2, stop=["world"], seed=7, logprobs=True
    )
    assert [choice.message.content for choice in told.choices] == ["Hello, "] * 2
    assert told.choices[0].logprobs.content[0].token == "Hello"
    assert (told.usage.prompt_tokens, told.usage.prompt_tokens_details.cached_tokens) == (3, 0)
    assert told.system_fingerprint
    assert told._request_id.startswith("req_")


@tried("chat: streamed, with usage; the stream helper")
def test_chat_streams(api: Live) -> None:
    """Chunks as they come, and the helper's snapshot of them."""
    options = {"include_usage": True}
    chunks = list(
        client(api).chat.completions.create(
            model="quickset", messages=HI, stream=True, stream_options=options
        )
    )
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert (said, chunks[-1].usage.completion_tokens) == ("Hello, world!", 4)
    with client(api).chat.completions.stream(model="quickset", messages=HI) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == "Hello, world!"


@tried("chat: a tool is called, whole and streamed, and its result answered")
def test_chat_tools(api: Live) -> None:
    """The loop of an agent: call, result, answer; the stream helper gathers a call alike."""
    chat, messages = client(api).chat.completions, list(HI)
    api.play(called("weather", "Let me see. ", city="Oslo"))
    told = chat.create(model="quickset", messages=messages, tools=[TOOL])
    assert told.choices[0].finish_reason == "tool_calls"
    (call,) = told.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "weather", {"city": "Oslo"},
    )  # fmt: skip
    strict = TOOL | {"function": WEATHER | {"strict": True, "parameters": WEATHER["parameters"] | {
        "additionalProperties": False, "required": ["city"]}}}  # fmt: skip
    with chat.stream(model="quickset", messages=messages, tools=[strict]) as stream:
        kinds = {event.type for event in stream}
        gathered = stream.get_final_completion().choices[0].message.tool_calls[0]
    assert "tool_calls.function.arguments.done" in kinds
    assert gathered.function.parsed_arguments == {"city": "Oslo"}
    api.play(["It is sunny."])
    messages += [
        told.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    answer = chat.create(model="quickset", messages=messages, tools=[TOOL])
    assert answer.choices[0].message.content == "It is sunny."


@tried("responses: whole, stored, gone on from, listed, counted, deleted")
def test_responses(api: Live) -> None:
    """State is kept between calls, and let go of."""
    responses = client(api).responses
    first = responses.create(
        model="quickset", input="Hi there", instructions="Be kind.", metadata={"a": "b"}
    )
    assert (first.output_text, first.status, first.metadata) == (
        "Hello, world!", "completed", {"a": "b"},
    )  # fmt: skip
    second = responses.create(model="quickset", input="And?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert responses.retrieve(second.id).model_dump() == second.model_dump()
    items = list(responses.input_items.list(second.id, order="asc", limit=1))
    assert [item.role for item in items] == ["user", "assistant", "user"]
    assert responses.input_tokens.count(model="quickset", input="a b").input_tokens == 3
    assert responses.input_tokens.count(input="a b").input_tokens == 3
    responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        responses.retrieve(first.id)


@tried("responses: streamed, and the stream helper")
def test_responses_stream(api: Live) -> None:
    """Events to the letter: the helper rebuilds the response from them."""
    responses = client(api).responses
    events = list(responses.create(model="quickset", input="Hi", stream=True))
    assert [events[0].type, events[-1].type] == ["response.created", "response.completed"]
    with responses.stream(model="quickset", input="Hi") as stream:
        said = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert said == final.output_text == "Hello, world!"
    assert final.usage.output_tokens == 4


@tried("responses: a function is called, and its output answered")
def test_responses_tools(api: Live) -> None:
    """The loop over function_call and function_call_output, by items and by id."""
    responses, tool = client(api).responses, {"type": "function", "strict": True, **WEATHER}
    api.play(called("weather", city="Oslo"))
    asked: list[Any] = [{"role": "user", "content": "Weather?"}]
    first = responses.create(model="quickset", input=asked, tools=[tool])
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert json.loads(call.arguments) == {"city": "Oslo"}
    with responses.stream(model="quickset", input=asked, tools=[tool]) as stream:
        done = [e for e in stream if e.type == "response.function_call_arguments.done"]
    assert json.loads(done[0].arguments) == {"city": "Oslo"}
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    api.play(["It is sunny."])
    by_id = responses.create(
        model="quickset", input=[result], previous_response_id=first.id, tools=[tool]
    )
    by_items = responses.create(
        model="quickset", input=[*asked, *first.output, result], tools=[tool], store=False
    )
    assert by_id.output_text == by_items.output_text == "It is sunny."


@tried("the agent's own tools: two calls in one reply, whole, streamed, by the stream helper")
def test_tools_of_the_agents_own(tmp_path: Path) -> None:
    """The helper puts a stream together as it is told whole, each call in its place."""
    box = Box({"weather": Result("Rain.", "ok")})
    two = [*called("weather", "Hm. ", city="Oslo"), *called("weather", city="Rome")[1:]]
    with live(tmp_path, tools=box) as api:
        chat = client(api).chat.completions
        api.play(two, ["It rains."])
        whole = chat.create(model="quickset", messages=HI).choices[0].message
        api.play(two, ["It rains."])
        with chat.stream(model="quickset", messages=HI) as stream:
            list(stream)
            gathered = stream.get_final_completion().choices[0].message
    assert whole.content == gathered.content == "Hm. It rains."
    named = ("name", "arguments", "outcome", "output")
    told = [
        [tuple(call[name] for name in named) for call in message.server_tool_calls]
        for message in (whole, gathered)
    ]
    cities = [("weather", json.dumps({"city": city}), "ok", "Rain.") for city in ("Oslo", "Rome")]
    assert told == [cities, cities]


@tried("completions: whole, echoed, several prompts, streamed")
def test_completions(api: Live) -> None:
    """The older API, which takes a text as it stands."""
    completions = client(api).completions
    told = completions.create(model="quickset", prompt=["a", "b"], echo=True, max_tokens=9)
    assert [choice.text for choice in told.choices] == ["aHello, world!", "bHello, world!"]
    chunks = completions.create(model="quickset", prompt="a", stream=True, logprobs=0)
    assert "".join(chunk.choices[0].text for chunk in chunks) == "Hello, world!"


@tried("models: listed and retrieved")
def test_models(api: Live) -> None:
    """What is listed can be asked for."""
    models = client(api).models
    assert [model.id for model in models.list()] == ["quickset", "quickset@stable"]
    assert models.retrieve("quickset@stable").owned_by == "quickset"


@tried("async: chat, responses and completions at once, streamed")
async def test_async(api: Live) -> None:
    """The asynchronous client, whose streams are read side by side."""
    async with openai.AsyncOpenAI(base_url=f"{api.address}/v1", api_key="none") as asking:
        chat = await asking.chat.completions.create(model="quickset", messages=HI, stream=True)
        said = [c.choices[0].delta.content or "" async for c in chat if c.choices]
        async with asking.responses.stream(model="quickset", input="Hi") as stream:
            final = await stream.get_final_response()
        text = await asking.completions.create(model="quickset", prompt="a")
    assert "".join(said) == final.output_text == text.choices[0].text == "Hello, world!"


@tried("errors: each as the client's own exception, with the parameter")
def test_errors(api: Live) -> None:
    """Bad values, unknown models and what cannot be had."""
    asking = client(api)
    with pytest.raises(openai.BadRequestError) as bad:
        asking.chat.completions.create(model="quickset", messages=HI, n=99)
    assert (bad.value.param, bad.value.code) == ("n", "invalid_value")
    with pytest.raises(openai.NotFoundError) as missing:
        asking.responses.create(model="gpt-4o", input="Hi")
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as embedding:
        asking.embeddings.create(model="quickset", input="Hi")
    assert embedding.value.code == "embedder_missing"


@tried("parse: a schema for the reply, by chat and Responses; a bad schema by its path")
def test_structured_output(real: Live) -> None:
    """A model of noise says what the client's own types take."""
    asking = client(real)
    chat = asking.chat.completions.parse(
        model="quickset", messages=HI, response_format=City, max_tokens=300
    )
    assert isinstance(chat.choices[0].message.parsed, City)
    responses = asking.responses.parse(
        model="quickset", input="Hi", text_format=City, max_output_tokens=300
    )
    assert isinstance(responses.output_parsed, City)
    bad = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"items": {"type": "x"}}}}
    with pytest.raises(openai.BadRequestError, match=r"schema\.items: Invalid type"):
        asking.chat.completions.create(model="quickset", messages=HI, response_format=bad)


@tried("parse: a tool that must be called, whole and streamed; and the loop to its answer")
def test_a_tool_loop_ends(real: Live) -> None:
    """Arguments are of the tool's own type; the first chunk of a call has index, id and name."""
    asking = client(real)
    given: Any = {"model": "quickset", "tools": [openai.pydantic_function_tool(City)],
                  "tool_choice": "required", "parallel_tool_calls": False,
                  "max_tokens": 300}  # fmt: skip
    told = asking.chat.completions.parse(messages=HI, **given).choices[0].message
    (call,) = told.tool_calls
    assert isinstance(call.function.parsed_arguments, City)
    chunks = [
        chunk.choices[0].delta.tool_calls[0]
        for chunk in asking.chat.completions.create(messages=HI, stream=True, **given)
        if chunk.choices[0].delta.tool_calls
    ]
    assert (chunks[0].index, bool(chunks[0].id), chunks[0].function.name) == (0, True, "City")
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    final = asking.chat.completions.create(
        messages=[*HI, told.model_dump(include={"role", "content", "tool_calls"}), result],
        **(given | {"tool_choice": "auto", "max_tokens": 8}),
    )
    assert final.choices[0].message.content


@tried("a real model: chat, responses and completions")
def test_a_real_model(real: Live) -> None:
    """Whatever a model samples goes through the client's types."""
    asking = client(real)
    chat = asking.chat.completions.create(model="quickset", messages=HI, seed=1)
    again = asking.chat.completions.create(model="quickset", messages=HI, seed=1)
    assert again.choices[0].message.content == chat.choices[0].message.content
    assert again.usage.prompt_tokens_details.cached_tokens > 0
    first = asking.responses.create(model="quickset", input="Hi")
    second = asking.responses.create(model="quickset", input="And?", previous_response_id=first.id)
    assert second.usage.input_tokens > first.usage.input_tokens
    text = asking.completions.create(model="quickset", prompt="Once", max_tokens=4, seed=1)
    assert text.usage.completion_tokens == 4


def test_the_readme(api: Live, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line of its program, against this server in place of the one of `make up`."""
    readme = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(compile(program.replace("http://127.0.0.1:8321", api.address), "README", "exec"), {})
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert first.endswith(HELLO)


@pytest.mark.client("openai", "the page /connect: its text runs as it stands")
def test_what_is_copied(api: Live, capsys: pytest.CaptureFixture[str]) -> None:
    """What the page shows for this client."""
    assert printed(api, "openai-python", capsys) == HELLO
