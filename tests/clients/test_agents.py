"""Frameworks of agents whose output has a type: pydantic-ai, instructor and OpenAI's Agents SDK.

On a model of noise: what comes out right is what replies are held to. Each loop ends with a final
answer of its type.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict

from agent.tools.served import Result
from tests.agent.turn.box import Box
from tests.clients.apart import ASKED, INSTALL_S, installed
from tests.clients.copied import HELLO, printed
from tests.clients.live import Live, called, live

MOST = 300  # tokens of a reply
ASKING = Path(__file__).with_name("instructed.py")


class City(BaseModel):
    """What a small model can say at once."""

    model_config = ConfigDict(extra="forbid")  # a model of noise may say more where it is allowed

    name: Literal["Oslo", "Rome"]


@pytest.mark.client("pydantic-ai-slim", "agents: output by tool, natively and by prompt")
@pytest.mark.parametrize(
    "mode",
    [
        "NativeOutput",
        *(pytest.param(m, marks=pytest.mark.slow) for m in ("ToolOutput", "PromptedOutput")),
    ],
)
async def test_pydantic_ai(real: Live, mode: str) -> None:
    """All three modes of output."""
    pydantic_ai: Any = pytest.importorskip("pydantic_ai")
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=f"{real.address}/v1", api_key="none")
    output = getattr(pydantic_ai, mode)(City)
    settings: Any = {"max_tokens": MOST}
    if mode == "PromptedOutput":  # only that it is JSON is asked of the server
        settings["extra_body"] = {"response_format": None, "structured_outputs": {
            "json": City.model_json_schema()}}  # fmt: skip
    agent = pydantic_ai.Agent(
        OpenAIChatModel("quickset", provider=provider),
        output_type=output,
        model_settings=settings,
    )
    assert (await agent.run("Which city?")).output.name in ("Oslo", "Rome")


@pytest.fixture(scope="module")
def instructor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python that has instructor, which wants an older client of OpenAI's beside it."""
    if not ASKED:
        pytest.skip("instructor: set CLIENTS_AIDER=1 (it gets an environment of its own)")
    return installed(tmp_path_factory.mktemp("instructor"), "instructor>=1.17,<2") / "python"


@pytest.mark.slow
@pytest.mark.timeout(INSTALL_S)
@pytest.mark.client("instructor", "create: by tools, and by a schema", apart=True)
@pytest.mark.parametrize("mode", ["TOOLS", "JSON_SCHEMA"])
def test_instructor(
    real: Live, mode: str, instructor: Path, record_property: Callable[[str, Any], None]
) -> None:
    """What it makes of a reply is of the type that was asked for."""
    command: list[str | Path] = [instructor, "-W", "ignore", ASKING, real.address, mode]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    version, city = done.stdout.split()
    assert city in ("Oslo", "Rome")
    record_property("versions", {"instructor": version})


@pytest.mark.client("openai-agents", "an agent that must call a tool, and ends with a typed answer")
@pytest.mark.parametrize("kind", ["chat", "responses"])
async def test_openai_agents(real: Live, kind: str) -> None:
    """A tool is called with arguments of its schema, and the loop ends with a final answer."""
    agents: Any = pytest.importorskip("agents")
    openai: Any = pytest.importorskip("openai")
    agents.set_tracing_disabled(True)
    called: list[str] = []

    @agents.function_tool  # type: ignore[untyped-decorator]
    def weather(city: Literal["Oslo", "Rome"]) -> str:
        """The weather now."""
        called.append(city)
        return "sunny"

    client = openai.AsyncOpenAI(base_url=f"{real.address}/v1", api_key="none", max_retries=0)
    made = {"chat": agents.OpenAIChatCompletionsModel, "responses": agents.OpenAIResponsesModel}
    agent = agents.Agent(
        name="a",
        model=made[kind](model="quickset", openai_client=client),
        tools=[weather],
        output_type=City,
        model_settings=agents.ModelSettings(tool_choice="required", max_tokens=MOST),
    )
    done = await agents.Runner.run(agent, "Weather?", max_turns=40)
    assert set(called) <= {"Oslo", "Rome"}
    assert called
    assert done.final_output.name in ("Oslo", "Rome")


@pytest.mark.client(
    "openai-agents", "the agent's own tools: HostedMCPTool is asked, others are not"
)
@pytest.mark.parametrize("named", [True, False])
async def test_approval_of_the_agents_own_tools(tmp_path: Path, named: bool) -> None:
    """Who names the server is asked, by its function; else the model is told that nobody can be."""
    agents: Any = pytest.importorskip("agents")
    openai: Any = pytest.importorskip("openai")
    agents.set_tracing_disabled(True)
    box = Box({"close": Result("Closed.", "ok")}, approval=("close",))
    hosted = agents.HostedMCPTool(
        tool_config={"type": "mcp", "server_label": "test"},
        on_approval_request=lambda _: {"approve": True},
    )
    with live(tmp_path, tools=box) as api:
        api.play(called("close", city="Oslo"), ["As you say."])
        client = openai.AsyncOpenAI(base_url=f"{api.address}/v1", api_key="none", max_retries=0)
        agent = agents.Agent(
            name="a",
            model=agents.OpenAIResponsesModel(model="quickset", openai_client=client),
            tools=[hosted] if named else [],
        )
        done = await agents.Runner.run(agent, "Close it", auto_previous_response_id=True)
        await client.close()
    assert done.final_output == "As you say."
    assert box.called == ([("close", {"city": "Oslo"})] if named else [])


@pytest.mark.client("openai-agents", "the page /connect: its text runs as it stands")
def test_what_is_copied(api: Live, capsys: pytest.CaptureFixture[str]) -> None:
    """What the page shows for OpenAI's Agents SDK."""
    assert printed(api, "agents-sdk", capsys) == HELLO
