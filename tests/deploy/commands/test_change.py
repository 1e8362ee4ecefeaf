"""What a version changed, asked of a console that runs."""

import asyncio
import json
import threading
from collections.abc import Iterator

import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from agent.console import build_console
from streams.settings import StreamsSettings
from tests.agent.console.rows import FakeService
from tests.agent.console.test_site import FakeInsight
from tests.deploy.commands.test_commands import SECOND, run


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a console, served by a thread of its own."""
    loop, where = asyncio.new_event_loop(), unused_port()
    runner = web.AppRunner(build_console(FakeService(), None, insight=FakeInsight()))

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", where).start()

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    yield where
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_the_change_of_a_version_is_told_by_layer(
    port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what its frozen units did; the same as JSON; a version that is not known is refused."""
    where = ("--console-port", str(port))
    code, out, _ = run("versions", "change", "a" * 16, *where, capsys=capsys)
    assert code == 0
    assert out.split()[-4:] == ["0.2500", "7", "exactly", "0"]
    _, out, _ = run("versions", "change", "a" * 16, "--json", *where, capsys=capsys)
    assert json.loads(out)["tensors"][0]["module"] == "up_proj"
    code, _, err = run("versions", "change", "unknown", *where, capsys=capsys)
    assert code == 2
    assert "refused (404)" in err


def test_a_version_is_meant_by_its_number_or_how_its_name_begins(
    port: int, taught: StreamsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `versions show` takes it, which names it: the agent is asked by the whole name."""
    where = ("--console-port", str(port), "--home", str(taught.home), "--json")
    for given in ("2", SECOND[:8]):
        _, out, _ = run("versions", "change", given, *where, capsys=capsys)
        assert json.loads(out)["version"] == SECOND
