"""LangChain's chat models of OpenAI and Anthropic, as they come from PyPI."""

from typing import Any

import pytest

from tests.clients.live import Live, called

langchain_openai = pytest.importorskip(
    "langchain_openai", reason="needs the extra clients: pip install -e '.[clients]'"
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
@tried("with_structured_output, by all three methods", waits="constrained output")
def test_structured_output_is_refused_by_name(api: Live, kind: str, method: str) -> None:
    """An error says what cannot be had; None was what a wish came to."""
    from pydantic import BaseModel

    class City(BaseModel):
        name: str

    if kind == "anthropic" and method == "json_mode":
        pytest.skip("LangChain has no json_mode for Anthropic's API")
    asking = model(api, kind).with_structured_output(City, method=method)
    with pytest.raises(Exception, match=r"response_format|text\.format|tool_choice|output_config"):
        asking.invoke("Hi there, answer in JSON")


@KINDS
@tried("a real model: invoke")
def test_a_real_model(real: Live, kind: str) -> None:
    """Whatever a model samples becomes a message."""
    assert model(real, kind).invoke("Hi").usage_metadata["output_tokens"] > 0
