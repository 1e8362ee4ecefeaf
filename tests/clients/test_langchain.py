"""LangChain's chat models of OpenAI and Anthropic, as they come from PyPI."""

from typing import Any, Literal

import pytest

from tests.clients.copied import HELLO, printed
from tests.clients.live import Live, called

langchain_openai = pytest.importorskip(
    "langchain_openai", reason="needs the extra clients: pip install -e '.[clients]'"
)
openai = pytest.importorskip(
    "openai", reason="needs the extra clients: pip install -e '.[clients]'"
)
langchain_anthropic = pytest.importorskip(
    "langchain_anthropic", reason="needs the extra clients: pip install -e '.[clients]'"
)

KINDS = pytest.mark.parametrize("kind", ["chat", "responses", "anthropic"])


def weather(city: str) -> str:
    """The weather now."""
    return f"sunny in {city}"


def model(api: Live, kind: str, **given: Any) -> Any:
    if kind == "anthropic":
        return langchain_anthropic.ChatAnthropic(
            model="quickset", base_url=api.address, api_key="none", max_retries=0, max_tokens=99
        )
    return langchain_openai.ChatOpenAI(
        model="quickset",
        base_url=f"{api.address}/v1",
        api_key="none",
        max_retries=0,
        use_responses_api=kind == "responses",
        **given,
    )


def tried(what: str, **more: Any) -> pytest.MarkDecorator:
    return pytest.mark.client("langchain-openai", what, **more)


@KINDS
@tried("invoke, stream, batch: by chat, Responses and Anthropic's API")
def test_replies(api: Live, kind: str) -> None:
    """Whole, streamed, several at once."""
    chat = model(api, kind)
    assert chat.invoke("Hi there").text == "Hello, world!"
    assert "".join(chunk.text for chunk in chat.stream("Hi")) == "Hello, world!"
    assert [reply.text for reply in chat.batch(["a", "b"])] == ["Hello, world!"] * 2
    assert chat.invoke("Hi there").usage_metadata["output_tokens"] == 4


@tried("ainvoke and astream")
async def test_async(api: Live) -> None:
    """The asynchronous methods."""
    chat = model(api, "chat")
    assert (await chat.ainvoke("Hi there")).text == "Hello, world!"
    assert "".join([chunk.text async for chunk in chat.astream("Hi")]) == "Hello, world!"


@KINDS
@tried("bind_tools: a call and the answer to its result")
def test_tools(api: Live, kind: str) -> None:
    """The loop of an agent, over LangChain's own messages."""
    from langchain_core.messages import HumanMessage, ToolMessage

    chat = model(api, kind).bind_tools([weather])
    asked: list[Any] = [HumanMessage("Weather?")]
    api.play(called("weather", city="Oslo"))
    reply = chat.invoke(asked)
    (call,) = reply.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Oslo"})
    chunks = list(chat.stream(asked))
    gathered = chunks[0]
    for chunk in chunks[1:]:
        gathered += chunk
    assert gathered.tool_calls[0]["args"] == {"city": "Oslo"}
    api.play(["It is sunny."])
    asked += [reply, ToolMessage(weather(**call["args"]), tool_call_id=call["id"])]
    assert chat.invoke(asked).text == "It is sunny."


@KINDS
@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
@tried("with_structured_output, by all three methods")
def test_structured_output(real: Live, kind: str, method: str) -> None:
    """A model of noise says what the client's own type takes; any JSON, where no schema is sent."""
    from pydantic import BaseModel

    class City(BaseModel):
        name: Literal["Oslo", "Rome"]

    if kind == "anthropic" and method == "json_mode":
        pytest.skip("LangChain has no json_mode for Anthropic's API")
    chat = model(real, kind, **({} if kind == "anthropic" else {"max_tokens": 300}))
    if method == "json_mode":  # the schema is not sent: that the words are kept to is a model's art
        asking = chat.bind(response_format={"type": "json_object"})
        try:
            text = asking.invoke("Hi, answer in JSON").text
        except openai.LengthFinishReasonError as cut:  # noise may go on for ever
            text = cut.completion.choices[0].message.content
        assert text.startswith("{")
        return
    assert isinstance(chat.with_structured_output(City, method=method).invoke("Hi"), City)


@KINDS
@tried("a real model: invoke")
def test_a_real_model(real: Live, kind: str) -> None:
    """Whatever a model samples becomes a message."""
    assert model(real, kind).invoke("Hi").usage_metadata["output_tokens"] > 0


@pytest.mark.client("langchain-openai", "the page /connect: its text runs as it stands")
def test_what_is_copied(api: Live, capsys: pytest.CaptureFixture[str]) -> None:
    """What the page shows for this client."""
    assert printed(api, "langchain", capsys) == HELLO
