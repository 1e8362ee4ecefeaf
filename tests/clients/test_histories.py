"""Histories of real clients are linked: what comes next is known to be about the reply before it.

Each client holds a conversation of its own kind, unmodified; what the agent recorded of it goes to
the learner's intake.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.kitchen import Kitchen
from tests.clients.live import called, live

BREAD = "For bread, mix 500 g of flour with 350 g of water, and let it rise for a night."
REPLIES = (BREAD, "Flour, water, a night.", "A third of it, and ten grams more water.")
SAID = ("How do I bake bread?", "Too long, please.", "And with rye?")
REPORT = "Dry today, rain tomorrow: take an umbrella."


@pytest.fixture
def kitchen(tmp_path: Path) -> Iterator[Kitchen]:
    """A service of its own: without keys everybody is one principal."""
    with live(tmp_path) as api:
        made = Kitchen(tmp_path, api)
        made.play(*REPLIES)
        yield made


CHAIN = [(REPLIES[0], REPLIES[1]), (REPLIES[1], REPLIES[2]), (REPLIES[2], None)]


def talk(say: Callable[[str], str]) -> None:
    """Say everything, and see that it was answered."""
    for said, reply in zip(SAID, REPLIES, strict=True):
        assert say(said) == reply


@pytest.mark.client("openai", "histories: chat sent whole, Responses by name and by items")
@pytest.mark.parametrize("kind", ["chat", "streamed", "previous", "items"])
def test_openai(kitchen: Kitchen, kind: str) -> None:
    """The messages list that grows; previous_response_id; output items that are sent back."""
    openai: Any = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{kitchen.api.address}/v1", api_key="none", max_retries=0)
    history: list[Any] = []
    previous: Any = None

    def chat(said: str) -> str:
        history.append({"role": "user", "content": said})
        if kind == "streamed":
            with client.chat.completions.stream(model="quickset", messages=history) as stream:
                message = stream.get_final_completion().choices[0].message
        else:
            told = client.chat.completions.create(model="quickset", messages=history)
            message = told.choices[0].message
        history.append(message.model_dump(exclude_none=True))
        return str(message.content)

    def respond(said: str) -> str:
        nonlocal previous
        if kind == "previous":
            told = client.responses.create(
                model="quickset", input=said, previous_response_id=previous and previous.id
            )
        else:
            history.append({"role": "user", "content": said})
            told = client.responses.create(model="quickset", input=history)
            history.extend(told.output)
        previous = told
        return str(told.output_text)

    talk(chat if kind in ("chat", "streamed") else respond)
    assert kitchen.links() == CHAIN


@pytest.mark.client("anthropic", "histories: messages sent whole link")
def test_anthropic(kitchen: Kitchen) -> None:
    """The content blocks of a reply are sent back as they came."""
    anthropic: Any = pytest.importorskip("anthropic")
    client = anthropic.Anthropic(base_url=kitchen.api.address, api_key="none", max_retries=0)
    history: list[Any] = []

    def say(said: str) -> str:
        history.append({"role": "user", "content": said})
        told = client.messages.create(
            model="quickset", max_tokens=99, system="Be kind.", messages=history
        )
        history.append({"role": "assistant", "content": told.content})
        return str(told.content[0].text)

    talk(say)
    assert kitchen.links() == CHAIN


@pytest.mark.client("langchain-openai", "histories: messages of an agent's memory link")
@pytest.mark.parametrize("kind", ["chat", "responses", "anthropic"])
def test_langchain(kitchen: Kitchen, kind: str) -> None:
    """LangChain's own messages, with a system message whose clock moves."""
    openai: Any = pytest.importorskip("langchain_openai")
    anthropic: Any = pytest.importorskip("langchain_anthropic")
    messages: Any = pytest.importorskip("langchain_core.messages")
    named: dict[str, Any] = {"model": "quickset", "api_key": "none", "max_retries": 0}
    if kind == "anthropic":
        model = anthropic.ChatAnthropic(base_url=kitchen.api.address, max_tokens=99, **named)
    else:
        model = openai.ChatOpenAI(
            base_url=f"{kitchen.api.address}/v1", use_responses_api=kind == "responses", **named
        )
    history: list[Any] = []

    def say(said: str) -> str:
        history.append(messages.HumanMessage(said))
        clock = messages.SystemMessage(f"You bake. It is 12:{len(history):02d}.")
        history.append(model.invoke([clock, *history]))
        return str(history[-1].text)

    talk(say)
    assert kitchen.links() == CHAIN


@pytest.mark.client("openai-agents", "histories: a session, and a tool in the middle of it, link")
@pytest.mark.parametrize("kind", ["chat", "responses"])
async def test_openai_agents(kitchen: Kitchen, kind: str) -> None:
    """The Agents SDK keeps the history itself; a tool's result follows the call."""
    agents: Any = pytest.importorskip("agents")
    openai: Any = pytest.importorskip("openai")
    agents.set_tracing_disabled(True)

    @agents.function_tool  # type: ignore[untyped-decorator]
    def weather(city: str) -> str:
        """The weather now."""
        return f"dry in {city}, then rain"

    client = openai.AsyncOpenAI(base_url=f"{kitchen.api.address}/v1", api_key="none", max_retries=0)
    made = {"chat": agents.OpenAIChatCompletionsModel, "responses": agents.OpenAIResponsesModel}
    agent = agents.Agent(
        name="a", model=made[kind](model="quickset", openai_client=client), tools=[weather]
    )
    session = agents.SQLiteSession("one")
    kitchen.play(called("weather", city="Rome"), REPORT, REPLIES[1])
    for said, reply in (("What is the weather in Rome?", REPORT), (SAID[1], REPLIES[1])):
        assert (await agents.Runner.run(agent, said, session=session)).final_output == reply
    assert kitchen.links() == [("weather", REPORT), (REPORT, REPLIES[1]), (REPLIES[1], None)]


@pytest.mark.client("pydantic-ai-slim", "histories: message_history links")
async def test_pydantic_ai(kitchen: Kitchen) -> None:
    """What it sends back are its own messages, with instructions in front."""
    pydantic_ai: Any = pytest.importorskip("pydantic_ai")
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=f"{kitchen.api.address}/v1", api_key="none")
    agent = pydantic_ai.Agent(
        OpenAIChatModel("quickset", provider=provider), instructions="You bake."
    )
    history: list[Any] = []

    for said, reply in zip(SAID, REPLIES, strict=True):
        done = await agent.run(said, message_history=history)
        history[:] = done.all_messages()
        assert done.output == reply
    assert kitchen.links() == CHAIN


@pytest.mark.slow
@pytest.mark.client("litellm", "histories: messages that its own types hold link")
def test_litellm(kitchen: Kitchen) -> None:
    """The message of a reply is sent back as the object it came as."""
    litellm: Any = pytest.importorskip("litellm")
    history: list[Any] = []

    def say(said: str) -> str:
        history.append({"role": "user", "content": said})
        told = litellm.completion(
            model="openai/quickset", api_base=f"{kitchen.api.address}/v1", api_key="none",
            messages=history, max_retries=0,
        )  # fmt: skip
        history.append(told.choices[0].message)
        return str(told.choices[0].message.content)

    talk(say)
    assert kitchen.links() == CHAIN
