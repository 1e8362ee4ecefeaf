"""LiteLLM, as it comes from PyPI: its providers openai/, hosted_vllm/ and anthropic/."""

import json
from typing import Any

import pytest

from tests.clients.conftest import version_of
from tests.clients.live import Live, called

if version_of("litellm") is None:
    pytest.skip("needs the extra clients: pip install -e '.[clients]'", allow_module_level=True)

pytestmark = pytest.mark.slow  # importing it takes ten seconds
HI: Any = [{"role": "user", "content": "Hi there"}]
TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}}}}  # fmt: skip
PROVIDERS = pytest.mark.parametrize("provider", ["openai", "hosted_vllm", "anthropic"])


@pytest.fixture(scope="module")
def litellm() -> Any:
    """The package, which takes seconds to import and would look for prices in the net."""
    import os

    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.telemetry = False
    return litellm


def tried(what: str, **more: Any) -> pytest.MarkDecorator:
    return pytest.mark.client("litellm", what, **more)


def place(api: Live, provider: str) -> dict[str, Any]:
    address = api.address if provider == "anthropic" else f"{api.address}/v1"
    return {"model": f"{provider}/quickset", "api_base": address, "api_key": "none",
            "num_retries": 0, "max_retries": 0}  # fmt: skip


@PROVIDERS
@tried("completion: whole, streamed, async; by openai/, hosted_vllm/ and anthropic/")
async def test_replies(api: Live, litellm: Any, provider: str) -> None:
    """Whole, streamed and asynchronous, each provider by its own API."""
    told = litellm.completion(messages=HI, **place(api, provider))
    assert told.choices[0].message.content == "Hello, world!"
    chunks = litellm.completion(messages=HI, stream=True, **place(api, provider))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello, world!"
    later = await litellm.acompletion(messages=HI, **place(api, provider))
    assert later.usage.completion_tokens == 4


@PROVIDERS
@tried("completion: a tool is called and its result answered")
def test_tools(api: Live, litellm: Any, provider: str) -> None:
    """The loop of an agent, in OpenAI's form whatever the provider."""
    api.play(called("weather", city="Oslo"))
    told = litellm.completion(messages=HI, tools=[TOOL], **place(api, provider))
    (call,) = told.choices[0].message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    messages = [*HI, told.choices[0].message.model_dump(), result]
    api.play(["It is sunny."])
    answer = litellm.completion(messages=messages, tools=[TOOL], **place(api, provider))
    assert answer.choices[0].message.content == "It is sunny."


@tried("responses and text_completion; Anthropic's adapter in front of OpenAI's API")
async def test_other_apis(api: Live, litellm: Any) -> None:
    """The APIs beside chat, and messages of Anthropic's form answered by an OpenAI server."""
    openai = place(api, "openai")
    told = litellm.responses(input="Hi there", **openai)
    assert told.output[0].content[0].text == "Hello, world!"
    text = litellm.text_completion(
        prompt="Hi", **openai | {"model": "text-completion-openai/quickset"}
    )
    assert text.choices[0].text == "Hello, world!"
    adapted = await litellm.anthropic.messages.acreate(messages=HI, max_tokens=20, **openai)
    assert adapted["content"][0]["text"] == "Hello, world!"


@tried("a real model: by all providers")
def test_a_real_model(real: Live, litellm: Any) -> None:
    """Whatever a model samples becomes a completion."""
    for provider in ("openai", "hosted_vllm", "anthropic"):
        told = litellm.completion(messages=HI, max_tokens=4, **place(real, provider))
        assert told.usage.completion_tokens > 0
