"""The toolbox over real servers: what they offer, what they answer, and all that they do wrong."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

pytest.importorskip("mcp", reason="mcp is not installed: pip install -e '.[mcp]'")

from mcp import types

from agent.mcp.connection import Connection
from agent.mcp.content import tool_of
from agent.mcp.servers import STOP_S, Servers
from agent.mcp.settings import ToolServer
from agent.mcp.stdio import stdio_transport
from agent.settings import AgentSettings
from agent.tools.served import Result
from agent.watch.events import Events
from agent.watch.metrics import Metrics

HERE = Path(__file__).parent
ALLOWED = ("weather", "failing", "long", "learn", "later", "slow")


def program(name: str, *args: str, **given: Any) -> ToolServer:
    """A server of this folder, as settings name it."""
    args = (str(HERE / f"{name}.py"), *args)
    return ToolServer(command=sys.executable, args=args, **given)


@contextmanager
def opened(**servers: ToolServer) -> Iterator[Servers]:
    """A toolbox over these servers; leaving it stops them."""
    box = Servers(servers, steps=4, seconds=60, most_bytes=1000, events=Events(), metrics=Metrics())
    box.start()
    try:
        yield box
    finally:
        box.stop()


async def until(ready: Any) -> None:
    """Wait until something holds; the test's own time-out is the limit."""
    while not ready():
        await asyncio.sleep(0.02)


def runs(number: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


async def call(box: Servers, name: str, within_s: float = 30.0, /, **arguments: Any) -> Result:
    return await box.call(name, json.dumps(arguments), within_s=within_s)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same server over HTTP."""
    told = tmp_path_factory.mktemp("http") / "address"
    process = subprocess.Popen([sys.executable, str(HERE / "weather.py"), str(told)])
    while not told.exists() or not told.read_text():
        assert process.poll() is None
        time.sleep(0.05)
    yield told.read_text()
    process.terminate()
    process.wait()


@pytest.mark.parametrize("way", ["stdio", "http"])
async def test_a_real_server_is_called(way: str, address: str) -> None:
    """Only what is allowed is offered; results are bounded; failures are told as failures."""
    server = program("weather", allow=ALLOWED)
    if way == "http":
        server = ToolServer(url=address, headers={"X-Test": "1"}, allow=ALLOWED)
    with opened(weather=server) as box:
        await until(box.offered)
        offered = box.offered()
        assert "secret" not in offered
        assert "later" not in offered
        described = offered["weather"].tool["function"]
        assert described["description"] == "Say what the weather is like."
        assert await call(box, "weather", city="Oslo") == Result("It rains in Oslo.", "ok")
        failed = await call(box, "failing", reason="no idea")
        assert failed.outcome == "failed"
        assert json.loads(failed.text)["is_error"] is True
        wrong = await call(box, "weather", town="Oslo")
        assert wrong.outcome == "failed"
        long = await call(box, "long", size=5000)
        assert long.outcome == "ok"
        assert len(long.text) < 1100
        assert (await call(box, "secret")).outcome == "away"
        assert (await call(box, "slow", 0.3)).outcome == "timeout"
        assert (await call(box, "learn")).outcome == "ok"
        await until(lambda: "later" in box.offered())
        assert (await call(box, "later")).text == "here I am"
        standing = box.status()["weather"]
        assert (standing["state"], standing["why"]) == ("up", None)
        assert standing["calls"]["failing"] == {"failed": 1}
        assert standing["calls"]["slow"] == {"timeout": 1}


@pytest.mark.parametrize(
    ("kind", "outcomes"),
    [
        ("hang", {"timeout"}),
        ("crash", {"broken"}),
        ("huge", {"huge", "broken"}),
        ("garbage", {"broken"}),
        ("flood", {"broken", "timeout"}),
        ("wicked", {"ok"}),
    ],
)
async def test_a_wicked_server_is_borne(kind: str, outcomes: set[str]) -> None:
    """Whatever it does, a call ends with a result, and the server is connected again."""
    waits_s = 1.0 if "timeout" in outcomes else 60.0
    server = program("wicked", kind, allow=("act",), timeout_s=waits_s)
    with opened(wicked=server) as box:
        await until(box.offered)
        assert (await call(box, "act")).outcome in outcomes
        if kind == "hang":
            assert (await call(box, "act")).outcome in {"timeout", "away"}
        if kind in ("hang", "crash", "huge", "flood"):
            await until(lambda: box.status()["wicked"]["state"] == "away")
            assert (await call(box, "act")).outcome == "away"
        await until(lambda: box.status()["wicked"]["state"] == "up")


async def test_tools_that_never_rest_are_listed_now_and_then() -> None:
    """Once a second of a server that says of each listing that there is a newer one."""
    with opened(wicked=program("wicked", "restless", allow=("act",))) as box:
        await until(box.offered)
        first, began_s = int((await call(box, "act")).text), time.monotonic()
        while (last := int((await call(box, "act")).text)) < first + 2:
            await asyncio.sleep(0.05)
        assert last - first < time.monotonic() - began_s + 2
        assert time.monotonic() - began_s > 0.9


@pytest.mark.parametrize("kind", ["half", "bytes"])
async def test_what_is_no_character_is_read_as_a_mark(kind: str) -> None:
    """Half of a pair, which programs write that cut a text within one, or bytes of no UTF-8."""
    with opened(wicked=program("wicked", kind, allow=("act",))) as box:
        await until(box.offered)
        assert await call(box, "act") == Result("a\ufffd b", "ok")


@pytest.mark.parametrize("kind", ["untyped", "wordless", "deep"])
async def test_an_answer_that_cannot_be_read_is_no_silence(kind: str) -> None:
    """The call ends with it at once, as no fault of whoever called, and the server stays."""
    with opened(wicked=program("wicked", kind, allow=("act",), timeout_s=60.0)) as box:
        await until(box.offered)
        for _ in range(3):
            began_s = time.monotonic()
            assert (await call(box, "act")).outcome == "broken"
            assert time.monotonic() - began_s < 50
        assert box.status()["wicked"]["state"] == "up"


async def test_what_a_failure_says_is_bounded_in_bytes() -> None:
    """As what an answer says is."""
    with opened(wicked=program("wicked", "wordy", allow=("act",))) as box:
        await until(box.offered)
        told = await call(box, "act")
        assert told.outcome == "failed"
        assert len(told.text.encode()) < 1100
        assert box.status()["wicked"]["state"] == "up"  # the code of a lost connection is its own


@pytest.mark.parametrize(
    "arguments", ['{"x": ' + "1" * 5000 + "}", '{"x": 1e999}', '{"x": "\\ud83d"}', "[1]", "{"]
)
async def test_arguments_that_cannot_be_read_are_no_call(arguments: str) -> None:
    """Such as a number of thousands of digits: the model is told, and the server is not asked."""
    with opened(wicked=program("wicked", "crash", allow=("act",))) as box:
        await until(box.offered)
        told = await box.call("act", arguments, within_s=30)
        assert (told.outcome, "arguments" in told.text) == ("failed", True)
        assert box.status()["wicked"]["state"] == "up"


@pytest.mark.parametrize("limit", ["1e999", "NaN"])
def test_a_schema_of_numbers_that_no_json_has_is_not_offered(limit: str) -> None:
    """A turn with such a tool could not be recorded."""
    schema = f'{{"type": "object", "properties": {{"x": {{"maximum": {limit}}}}}}}'
    told = f'{{"name": "act", "inputSchema": {schema}}}'
    assert tool_of(types.Tool.model_validate_json(told)) is None
    assert tool_of(types.Tool.model_validate_json(told.replace(limit, "9"))) is not None


async def test_a_call_without_its_time_is_no_sign_of_a_server_that_hangs() -> None:
    """What a request has left may be too little: others are answered on the same connection."""
    with opened(weather=program("weather", allow=ALLOWED)) as box:
        await until(box.offered)
        for _ in range(3):
            assert (await call(box, "slow", 0.001)).outcome == "timeout"
        assert (await call(box, "weather", city="Oslo")).outcome == "ok"


async def test_a_stop_ends_what_is_being_ended(tmp_path: Path) -> None:
    """A program that broke off and stays is killed, not begun anew, and the stop waits for that."""
    started = tmp_path / "started"
    with opened(wicked=program("wicked", "deaf", str(started), allow=("act",))) as box:
        await until(box.offered)
        assert (await call(box, "act")).outcome == "broken"
        began_s = time.monotonic()
        await asyncio.to_thread(box.stop)
        assert time.monotonic() - began_s < STOP_S
    (number,) = started.read_text().split()
    assert not runs(int(number))


async def test_a_program_is_ended_however_often_its_user_is_cancelled(tmp_path: Path) -> None:
    """As after a connection that took too long, when the agent stops."""
    started = tmp_path / "started"
    args = ["-c", f"import os, time; open({str(started)!r}, 'w').write(str(os.getpid()));"
            "time.sleep(3600)"]  # fmt: skip

    async def use() -> None:
        async with stdio_transport(sys.executable, args, {}, most_bytes=1000, ended=lambda _: None):
            await asyncio.Event().wait()

    using = asyncio.create_task(use())
    await until(lambda: started.exists() and started.read_text())
    for _ in range(3):
        using.cancel()
        await asyncio.sleep(0.05)
    with pytest.raises(asyncio.CancelledError):
        await using
    assert not runs(int(started.read_text()))


async def test_what_cannot_start_is_said() -> None:
    """A program that is not there, an address where nobody is: away, with the reason."""
    nobody = ToolServer(url="http://127.0.0.1:1/mcp", allow=("b",))
    missing = ToolServer(command="/nowhere/server", allow=("a",))
    with opened(missing=missing, nobody=nobody) as box:
        await until(lambda: all(each["state"] == "away" for each in box.status().values()))
        assert "there is no program" in box.status()["missing"]["why"]
        assert box.offered() == {}
        assert (await call(box, "a")).outcome == "away"


async def test_it_is_left_alone_for_longer_each_time() -> None:
    """Waits double, up to a minute."""
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 8:
            raise asyncio.CancelledError

    server = ToolServer(command="/nowhere/server", allow=("a",))
    with pytest.raises(asyncio.CancelledError):
        await Connection("gone", server, most_bytes=1000, wait=wait).run()
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize(
    ("servers", "why"),
    [
        ({"a": {"allow": ["x"]}}, "name a command or a url"),
        ({"a": {"command": "a", "url": "http://a", "allow": ["x"]}}, "name a command or a url"),
        ({"a": {"command": "a", "allow": []}}, "allow"),
        ({"a": {"command": "a", "allow": ["x y"]}}, "allow"),
        ({"a": {"url": "ftp://a", "allow": ["x"]}}, "url must begin with http"),
        ({"a": {"url": "http://", "allow": ["x"]}}, "url names no host"),
        ({"a": {"command": "a", "allow": ["x"], "approval": ["y"]}}, "not in allow"),
        (
            {"a": {"command": "a", "allow": ["x"]}, "b": {"command": "b", "allow": ["x"]}},
            "the tool x is in allow of a and of b",
        ),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(servers: Any, why: str) -> None:
    """Where a server is, what it may do, and that the model can tell tools apart."""
    with pytest.raises(ValidationError, match=why):
        AgentSettings(tools=servers)
