"""The demo's user keeps to the script and measures without teaching; the result is drawn."""

import asyncio
import itertools
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from agent.settings import AgentSettings
from deploy.cli import main
from deploy.demo.lessons import Lessons, Point, Teacher
from deploy.demo.past import Past
from deploy.demo.picture import draw
from deploy.demo.run import LEARNER
from deploy.demo.services import Services, _child, _flags, _places, prove_fresh, while_up
from deploy.demo.user import CORRECTION, PRAISE, WISH, Prompts, Reply, User, load_prompts
from deploy.errors import DemoError, OutputError
from deploy.settings.load import Settings, load
from deploy.up.supervisor import Child
from learner.judges.judge import Verdict, combine
from learner.judges.open import open_judges
from learner.link.conversation import Link
from learner.settings import LearnerSettings
from streams.records import Message
from streams.settings import StreamsSettings
from tests.deploy.conftest import BASE, recipe
from tests.learner.turns import said, turn

LONG = "word " * 40 + "ends."
SHORT = "One short sentence."
PROMPTS = Prompts(training=("What is tea?", "What is milk?"), test=("What is rain?",))


@dataclass
class FakeService:
    """Answers at length until it was corrected, and gets a new version at every look."""

    learns: bool
    asked: list[tuple[list[str], bool]] = field(default_factory=list)  # messages, learned from
    status: int = 200
    corrections: int = 0
    looks: int = 0
    swaps: int = 0  # replies that it still gives before a version comes by itself

    async def complete(self, request: web.Request) -> web.Response:
        """POST /v1/chat/completions."""
        body = await request.json()
        said = [message["content"] for message in body["messages"]]
        learned = request.headers.get("X-Learn") != "off"
        self.swaps -= 1
        self.looks += self.swaps == 0
        self.asked.append((said, learned))
        self.corrections += learned and said[-1] == CORRECTION
        short = said[-1] != CORRECTION and (
            said[0].endswith(WISH) or (self.learns and self.corrections > 1)
        )
        choice = {"message": {"content": SHORT if short else LONG}, "finish_reason": "stop"}
        return web.json_response(
            {"choices": [choice], "system_fingerprint": self._version()}, status=self.status
        )

    async def models(self, _: web.Request) -> web.Response:
        """GET /v1/models."""
        self.looks += self.learns
        return web.json_response({"data": [{"version": self._version()}]})

    def _version(self) -> str:
        return f"v{self.looks}"


class FakePast:
    """Versions are named by their number, and none was held."""

    def number(self, version: str) -> int:
        """v7 is the seventh."""
        return int(version[1:])

    def held(self) -> list[str]:
        """Nothing was."""
        return []


@pytest.fixture
async def pair() -> AsyncIterator[tuple[FakeService, FakeService, str, str]]:
    """A service that learns and one that does not, and where their APIs are."""
    fakes = FakeService(learns=True), FakeService(learns=False)
    servers = []
    for fake in fakes:
        app = web.Application()
        app.add_routes(
            [
                web.post("/v1/chat/completions", fake.complete),
                web.get("/v1/models", fake.models),
            ]
        )
        servers.append(TestServer(app))
        await servers[-1].start_server()
    learning, frozen = (str(server.make_url("/v1")) for server in servers)
    yield *fakes, learning, frozen
    for server in servers:
        await server.close()


async def test_a_long_reply_is_corrected_and_a_short_one_praised(
    pair: tuple[FakeService, FakeService, str, str],
) -> None:
    """The reaction follows in the same conversation, as an ordinary message."""
    service, _, api, _ = pair
    async with aiohttp.ClientSession() as client:
        user = User(client, api)
        assert await user.converse("What is tea?") is False
        service.corrections = 2
        assert await user.converse("What is milk?") is True
    assert service.asked[1] == (["What is tea?", LONG, CORRECTION], True)
    assert service.asked[3] == (["What is milk?", SHORT, PRAISE], True)


async def test_measuring_teaches_nothing(
    pair: tuple[FakeService, FakeService, str, str],
) -> None:
    """Test prompts are asked with learning off, and without a reaction."""
    service, _, api, _ = pair
    async with aiohttp.ClientSession() as client:
        replies = await User(client, api).examine(["What is rain?", "What is snow?"])
    assert [reply.text for reply in replies] == [LONG, LONG]
    assert service.asked == [(["What is rain?"], False), (["What is snow?"], False)]


async def test_a_service_that_fails_is_told(
    pair: tuple[FakeService, FakeService, str, str],
) -> None:
    """A refusal and a silence are both one sentence, never a hang or a trace."""
    service, _, api, _ = pair
    service.status = 503
    async with aiohttp.ClientSession() as client:
        with pytest.raises(DemoError, match="refused"):
            await User(client, api).converse("What is tea?")
        with pytest.raises(DemoError, match="does not answer"):
            await User(client, "http://127.0.0.1:1/v1").serving()


async def test_teaching_shows_on_prompts_that_were_never_taught(
    pair: tuple[FakeService, FakeService, str, str], tmp_path: Path
) -> None:
    """The service that learns gets better, the other stays, and no test prompt is ever taught."""
    service, other, learning, frozen = pair
    said: list[str] = []
    ticks = itertools.count()
    async with aiohttp.ClientSession() as client:
        teacher = Teacher(
            client,
            Services(learning, frozen, tmp_path),
            PROMPTS,
            FakePast(),
            say=said.append,
            clock=lambda: float(next(ticks)),
        )
        lessons = await teacher.teach(minutes=0.5)
    assert [point.pleased for point in (lessons.learning[0], lessons.learning[-1])] == [0, 1]
    assert [point.pleased for point in lessons.frozen] == [0, 0]
    assert [point.pleased for point in lessons.told] == [1, 1]
    assert all(a.version != b.version for a, b in itertools.pairwise(lessons.learning))
    assert len(said) == len(lessons.learning)
    taught = {messages[0] for messages, learned in service.asked if learned}
    assert taught == set(PROMPTS.training)
    assert not any(learned for _, learned in other.asked)


async def test_a_point_is_of_one_version(
    pair: tuple[FakeService, FakeService, str, str], tmp_path: Path
) -> None:
    """Where a version comes while another is examined, the new one is examined once more."""
    service, _, learning, frozen = pair
    prompts = Prompts(training=(), test=("What is rain?", "What is snow?"))
    service.swaps, said = 2, list[str]()
    async with aiohttp.ClientSession() as client:
        both = Services(learning, frozen, tmp_path)
        teacher = Teacher(client, both, prompts, FakePast(), say=said.append)
        lessons = await teacher.teach(minutes=0)
    assert len(service.asked) == 6
    assert [point.version for point in lessons.learning] == ["v1"]


def child(code: str) -> Child:
    """Make a child that runs a piece of Python, and is started once."""
    return Child("learner", (sys.executable, "-c", code), 10.0, 0)


async def test_a_service_that_ends_meanwhile_ends_the_demo_with_what_it_said(
    tmp_path: Path,
) -> None:
    """The user is not waited for; a log that cannot be written hides nothing."""
    log = tmp_path / "none" / "services.log"
    with pytest.raises(DemoError, match=r"the learner .*(?s:.*)learner: no memory"):
        await while_up([child("print('no memory'); exit(7)")], asyncio.Event().wait, log=log)
    assert not log.parent.exists()


async def test_what_the_services_said_is_told_with_what_the_user_met(tmp_path: Path) -> None:
    """An agent that refuses has said why; all of it is in the log."""

    async def refused() -> None:
        while not log.exists():
            await asyncio.sleep(0.01)
        for _ in range(100):  # its line lies in the pipe already, and is read meanwhile
            await asyncio.sleep(0)
        raise DemoError("it refused")

    log, code = tmp_path / "services.log", "print('no place', flush=True); open({!r}, 'w'); input()"
    with pytest.raises(DemoError, match=r"it refused(?s:.*)learner: no place"):
        await while_up([child(code.format(str(log)))], refused, log=log)
    assert log.read_text() == "learner: no place"


def test_a_folder_serves_one_run(tmp_path: Path) -> None:
    """What a run before left there would be counted with this one's; a file is no folder."""
    prove_fresh(tmp_path / "new")
    (tmp_path / "new" / "frozen").mkdir()
    with pytest.raises(OutputError, match="of a run before"):
        prove_fresh(tmp_path / "new")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        prove_fresh(tmp_path / "file" / "folder")


@pytest.mark.parametrize(
    ("reply", "pleases"),
    [
        (Reply(SHORT, True, "v"), True),
        (Reply(SHORT, False, "v"), False),
        (Reply(LONG, True, "v"), False),
        (Reply("", True, "v"), False),
        (Reply("Rainbows:", True, "v"), False),
        (Reply("The colours of rain", True, "v"), False),
    ],
)
def test_what_pleases(reply: Reply, pleases: bool) -> None:
    """A short reply that has an end; an empty one is no answer."""
    assert reply.pleases is pleases


def test_the_user_is_understood() -> None:
    """The default judges together read the corrections with their wish, and the praise."""
    judges = open_judges(LearnerSettings())
    asked = turn(said("What is tea?"), LONG)

    def verdict(words: str) -> Verdict:
        link = Link(asked.id, "reply", (Message(role="user", content=words),), 2_000)
        found = combine(each for judge in judges if (each := judge.judge(asked, link)))
        assert found is not None
        return found

    corrected, praised = verdict(CORRECTION), verdict(PRAISE)
    assert (corrected.score, praised.score) == (-1, 1)
    assert WISH in (corrected.hint or "")


def test_there_are_enough_prompts() -> None:
    """Sixteen or more to teach, eight or more to test, none in both."""
    prompts = load_prompts()
    assert len(set(prompts.training)) >= 16
    assert len(set(prompts.test)) >= 8
    assert not set(prompts.training) & set(prompts.test)


def in_force_of(
    child: Child, *, config: Path | None = None, environ: dict[str, str] | None = None
) -> Settings:
    """Load what a child would, beside a caller's file and environment."""
    pairs = itertools.pairwise(child.argv)
    sets = [text.partition("=") for flag, text in pairs if flag == "--set"]
    flags = {name: (value, "--set") for name, _, value in sets}
    return load(config=config, environ=environ or {}, flags=flags).settings


def test_the_callers_log_store_and_keys_are_left_alone(tmp_path: Path) -> None:
    """Whatever the environment and flags name, the demo's services use their own folder."""
    given = ["--set", "streams.log=kafka://broker:9092", "--set", "streams.home=/srv/quickset"]
    child = _child("agent", tmp_path, given, {"agent.port": "7000"})
    settings = in_force_of(child, environ={"DATABASE_URL": "postgresql://production/quickset"})
    assert settings.streams.log == "sqlite"
    assert settings.streams.home == tmp_path
    assert settings.streams.store == f"sqlite:///{tmp_path}/store.db"
    assert settings.agent.keys == {}
    assert settings.agent.port == 7000


PRODUCTION = """
[streams]
snapshots = "/mnt/shared/quickset"
[agent]
line = "theirs"
console_host = "0.0.0.0"
host = "0.0.0.0"
requests_per_minute = 60
replies_per_key = 1
max_queue = 1
max_batch = 2
response_secret = "/run/secrets/response-secret"
keys = {ann = "HASH"}
operator_keys = {bob = "HASH", eve = "HASH"}
[agent.tools.tickets]
url = "https://tickets.example.org/mcp"
allow = ["close"]
[learner]
line = "theirs"
judge_model = "theirs"
mode = "manual"
quorum = 3
judges = ["explicit", "model"]
verifiers = [{name = "theirs", program = ["/usr/local/bin/theirs"]}]
judge_url = "https://judge.example.org/v1"
judge_key_file = "/run/secrets/judge-key"
[rollout]
policy = "two-person"
webhook = "https://chat.example.org/hooks"
webhook_secret = "/run/secrets/webhook"
[otel]
endpoint = "http://collector.example.org:4318"
""".replace("HASH", "ab" * 32)


def test_a_production_configuration_is_none_of_the_demos_business(tmp_path: Path) -> None:
    """The demo's services start beside it, and reach nothing of what it names."""
    file = tmp_path / "quickset.toml"
    file.write_text(PRODUCTION)
    places = _places(AgentSettings(port=7000, console_port=7001))
    for name in ("learner", "agent"):
        settings = in_force_of(_child(name, tmp_path, _flags(LEARNER), places), config=file)
        assert settings.agent.host == settings.agent.console_host == "127.0.0.1"
        assert (settings.agent.keys, settings.agent.operator_keys) == ({}, {})
        assert (settings.agent.requests_per_minute, settings.agent.replies_per_key) == (0, 0)
        assert settings.agent.max_queue >= settings.agent.max_batch >= len(load_prompts().test)
        assert set(settings.learner.judges) <= set(LearnerSettings().judges)
        assert settings.learner.verifiers == ()
        assert (settings.agent.response_secret, settings.agent.tools) == (None, {})
        assert settings.agent.line == settings.learner.line == "main"
        assert settings.learner.judge_model == LearnerSettings().judge_model
        assert settings.streams.snapshots is None
        assert (settings.rollout.policy, settings.rollout.webhook) == ("direct", None)
        assert settings.otel.endpoint is None
        assert settings.learner.judge_url == "http://127.0.0.1:7000/v1"
        assert settings.learner.judge_key_file is None
        assert (settings.learner.mode, settings.learner.quorum) == ("auto", 0)


def test_a_service_without_a_past(tmp_path: Path) -> None:
    """Before the learner has begun, the base serves and nothing was held."""
    past = Past(tmp_path)
    assert past.number("v1") == 0
    assert past.held() == []


def test_versions_are_counted_from_the_base(taught: StreamsSettings) -> None:
    """The ledger's own numbers; the base, and what is not in it, count as none."""
    past = Past(taught.home)
    first = recipe(1, BASE)
    assert past.number(first.version) == 1
    assert past.number(recipe(2, first.version).version) == 2
    assert past.number(BASE) == 0


def test_the_result_is_drawn(tmp_path: Path) -> None:
    """A PNG, in a folder that is made for it."""
    points = [Point(n, f"v{n}", n / 2, n / 8, 60 - n, [SHORT]) for n in (0, 4, 8)]
    watched = {
        f"v{n}": {"tasks.facts": 0.5, "tasks.sums": 0.6, "text_nats": 3.0, "refusal_nats": -1.0}
        for n in (0, 8)
    }
    lessons = Lessons(points, [points[0]] * 2, [points[2]] * 2, watched=watched)
    picture = tmp_path / "docs" / "demo.png"
    draw(lessons, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_command_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    """quickset demo --help names the minutes and the picture."""
    with pytest.raises(SystemExit):
        main(["demo", "--help"])
    said = capsys.readouterr().out
    assert "--minutes" in said
    assert "--picture" in said


def test_the_prompts_say_what_they_are() -> None:
    """The file of prompts explains itself to whoever opens it."""
    path = Path(__file__).parents[3] / "deploy" / "demo" / "prompts.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    assert "never learned from" in found["about"]
