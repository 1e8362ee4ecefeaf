"""What is asked of a console that runs: a version's change, two compared, the way to the base."""

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence

import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from agent.compare import Comparison
from agent.console import build_console
from streams.settings import StreamsSettings
from tests.agent.console.rows import FakeComparisons, FakeService
from tests.agent.console.test_site import FakeInsight
from tests.deploy.commands.test_commands import SECOND, run


@pytest.fixture
def service() -> FakeService:
    """The agent whose console it is."""
    return FakeService()


@pytest.fixture
def port(service: FakeService) -> Iterator[int]:
    """The port of a console, served by a thread of its own."""
    loop, where = asyncio.new_event_loop(), unused_port()
    runner = web.AppRunner(build_console(service, None, insight=FakeInsight()))

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


class Releasing(FakeComparisons):
    """Two versions, of which the stable one is another each time that it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int | str, int | str]] = []

    async def compare(
        self, a: int | str, b: int | str, prompts: Sequence[str], *, max_tokens: int
    ) -> Comparison:
        """Answer by the names of the versions."""
        self.asked.append((a, b))
        names = {0: "base-name", "stable": f"release-{len(self.asked)}"}
        return await super().compare(
            names.get(a, a), names.get(b, b), prompts, max_tokens=max_tokens
        )


def test_all_prompts_are_answered_by_the_versions_that_answered_the_first(
    port: int, service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    """A release between two requests changes no version under way."""
    service.comparisons = Releasing()
    prompts = [word for number in range(17) for word in ("-p", f"question {number}")]
    where = ("--console-port", str(port), "--json")
    _, out, _ = run("versions", "diff", "0", "stable", *prompts, *where, capsys=capsys)
    told = json.loads(out)
    assert (told["a"], told["b"]) == ("base-name", "release-1")
    assert {each["b"]["text"] for each in told["answers"]} == {"release-1"}
    assert len(told["answers"]) == 17
    assert service.comparisons.asked == [(0, "stable"), *[("base-name", "release-1")] * 2]
