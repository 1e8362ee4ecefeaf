"""A request through the API, with tools of real MCP servers: it is answered, whatever they do."""

import json

import pytest

pytest.importorskip("mcp", reason="mcp is not installed: pip install -e '.[mcp]'")

from tests.agent.conftest import StartApi
from tests.agent.mcp.test_servers import opened, program, until


async def test_a_request_is_answered_with_what_a_server_says(start_api: StartApi) -> None:
    """The scripted model calls, the server answers, the model answers; its state is told."""
    call = {"name": "weather", "arguments": {"city": "Oslo"}}
    script = [f"<tool_call>{json.dumps(call)}</tool_call>"]
    with opened(weather=program("weather", allow=("weather", "slow"))) as box:
        await until(box.offered)
        api = await start_api(tools=_Started(box), script=script)
        api.engine.then = [["It ", "rains."]]
        body = await (await api.chat("Weather?")).json()
        message = body["choices"][0]["message"]
        assert message["content"] == "It rains."
        assert message["server_tool_calls"][0]["output"] == "It rains in Oslo."
        ready = await (await api.client.get("/health/ready")).json()
        assert ready["tools"]["weather"]["state"] == "up"


async def test_a_server_that_crashes_costs_its_call_only(start_api: StartApi) -> None:
    """The model is told, and answers; the next request does without the tool, at once."""
    script = ['<tool_call>{"name": "act", "arguments": {}}</tool_call>']
    with opened(wicked=program("wicked", "crash", allow=("act",))) as box:
        await until(box.offered)
        api = await start_api(tools=_Started(box), script=script)
        api.engine.then = [["I cannot."], ["Hello."]]
        body = await (await api.chat("Act!")).json()
        message = body["choices"][0]["message"]
        assert message["content"] == "I cannot."
        assert message["server_tool_calls"][0]["outcome"] == "broken"
        await until(lambda: box.status()["wicked"]["state"] == "away")
        assert (await api.chat("Hi")).status == 200
        assert api.turns()[-1].tools is None


class _Started:
    """A toolbox that the test starts and stops itself."""

    def __init__(self, box: object) -> None:
        self._box = box

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def __getattr__(self, name: str) -> object:
        return getattr(self._box, name)
