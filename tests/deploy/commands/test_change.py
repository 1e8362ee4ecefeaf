"""What is asked of a console that runs: a version's change, two compared, the way to the base."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from agent.compare import Comparison
from agent.console import build_console
from agent.settings import AgentSettings
from deploy.errors import NoAnswerError, NotRunningError, RefusedError
from deploy.operate.operator_api import call
from deploy.operate.reset import reset_agent
from streams.errors import LogUnavailableError, VerbRefusedError
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
    for given in ("2", SECOND[:8], "stable"):
        _, out, _ = run("versions", "change", given, *where, capsys=capsys)
        assert json.loads(out)["version"] == SECOND
    for given in ("0", "base"):
        code, _, err = run("versions", "change", given, *where, capsys=capsys)
        assert (code, f"{given} is the base, which has no recipe" in err) == (2, True)


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


NOT_YET = [
    VerbRefusedError("cannot learn: it learns already", valid=()),
    LogUnavailableError("the log is away"),
]


@pytest.mark.parametrize("refusal", NOT_YET)
def test_learning_goes_on_as_soon_as_the_log_has_the_reset(
    port: int, service: FakeService, refusal: Exception
) -> None:
    """The agent resets first and writes then: until it has, the log has nothing to learn after."""
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            service.refusal = None

    service.refusal = refusal
    agent = AgentSettings(console_port=port)
    now, changed = reset_agent(agent, reason="off", keep_learning=True, wait=wait)
    assert (changed, now["learning"], len(waited)) == (True, True, 3)
    assert [verb for verb, _, _ in service.operated] == ["learn"]


def test_a_reset_after_which_nothing_is_learned_says_so(port: int, service: FakeService) -> None:
    """What holds is told, and what to do; where nothing was reset, no time is lost on it."""
    waited: list[float] = []
    service.refusal = NOT_YET[0]
    agent = AgentSettings(console_port=port)
    told = "the base serves; learning is off, until `quickset rollouts learn`: .* learns already"
    with pytest.raises(RefusedError, match=told):
        reset_agent(agent, reason="off", keep_learning=True, wait=waited.append)
    assert 5 < sum(waited) < 20
    waited.clear()
    with pytest.raises(RefusedError, match=r"refused \(409\)"):
        reset_agent(agent, reason="off", keep_learning=True, wait=waited.append)
    assert waited == []


LINE = "/operator/lines/main/reset"
PERHAPS = "it may have been done: `quickset rollouts list` tells every change"


@contextmanager
def answering(said: bytes | None) -> Iterator[AgentSettings]:
    """Listen where a console is looked for, say this and hang up; None: say nothing, stay."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            taken, _ = server.accept()
            with taken:
                taken.recv(2**16)
                taken.sendall(said or b"")

        thread = threading.Thread(target=answer) if said is not None else None
        if thread is not None:
            thread.start()
        yield AgentSettings(console_port=server.getsockname()[1])
        if thread is not None:
            thread.join()


def test_an_agent_that_hangs_is_not_taken_for_something_else() -> None:
    """A change may hold that nobody answered, and it is said where to look."""
    with answering(None) as agent:
        told = f"did not answer within 0.1 s; {PERHAPS}"
        with pytest.raises(NoAnswerError, match=told):
            call(agent, "POST", LINE, {"reason": "off"}, answer_s=0.1)
        with pytest.raises(NoAnswerError, match=r"did not answer within 0\.1 s$"):
            call(agent, "GET", "/operator/state", answer_s=0.1)
    with answering(b"") as agent, pytest.raises(NoAnswerError, match=f"broke off .*; {PERHAPS}"):
        call(agent, "POST", LINE, {"reason": "off"})


def test_what_is_no_console_is_called_so() -> None:
    """What speaks another protocol, or no JSON, is none; where nobody listens, no agent runs."""
    for said in (b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"):
        with answering(said) as agent, pytest.raises(RefusedError, match="is no Quickset console"):
            call(agent, "GET", "/operator/state")
    with pytest.raises(NotRunningError, match="no agent answers"):
        call(AgentSettings(console_port=unused_port()), "GET", "/operator/state")
