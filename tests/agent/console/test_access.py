"""Who may use the console: keys, sessions, and the attacks of other pages."""

import asyncio
import hashlib
import inspect
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from agent.console import build_console
from agent.console.access.access import COOKIE, RENEWAL_HEADER, STEP_UP_HEADER, Access
from agent.console.access.guesses import MAX_FAILURES, WINDOW_S
from agent.errors import BindError
from agent.settings import AgentSettings, OperatorKey
from streams.clock import passed
from streams.line import verbs
from streams.line.line import Line
from streams.line.offer import decided, offer
from streams.line.verbs import Audit
from streams.log.sqlite import SqliteLog
from streams.settings import RolloutSettings
from tests.agent.conftest import StartApi
from tests.agent.console.rows import FakeService

Client = TestClient[web.Request, web.Application]
KEYED = AgentSettings(
    operator_keys={
        "anna": OperatorKey(hash=hashlib.sha256(b"open sesame").hexdigest()),
        "bob": OperatorKey(hash=hashlib.sha256(b"let me in").hexdigest(), role="admin"),
    }
)
PROMOTE = "/operator/lines/main/trial/promote-full"
ROLLBACK = "/operator/lines/main/rollback"
WHY = {"reason": "rude"}
STAGED = RolloutSettings(policy="staged")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """A clock at rest."""
    return Clock()


async def connect(service: FakeService, clock: Clock) -> Client:
    """A started client."""
    client: Client = TestClient(TestServer(build_console(service, None, interval_s=0, clock=clock)))
    await client.start_server()
    return client


@pytest.fixture
async def local(clock: Clock) -> AsyncIterator[Client]:
    """A console without keys."""
    client = await connect(FakeService(version="b", previous="a"), clock)
    yield client
    await client.close()


@pytest.fixture
def keyed_service() -> FakeService:
    """The agent behind a console with keys."""
    return FakeService(settings=KEYED, version="b", previous="a")


@pytest.fixture
async def keyed(clock: Clock, keyed_service: FakeService) -> AsyncIterator[Client]:
    """A console with the keys of an operator and an admin."""
    client = await connect(keyed_service, clock)
    yield client
    await client.close()


def origin(client: Client) -> str:
    """The origin of the console's own page."""
    return str(client.make_url("/")).rstrip("/")


async def log_in(client: Client, key: str = "open sesame") -> int:
    """Log in as the page does and give the status."""
    response = await client.post(
        "/operator/session", json={"key": key}, headers={"Origin": origin(client)}
    )
    return response.status


def named(client: Client) -> str:
    """The name of the console's cookie."""
    return f"{COOKIE}_{client.port}"


def held(client: Client) -> str:
    """The cookie that the browser has."""
    jar = client.session.cookie_jar.filter_cookies(client.make_url("/"))
    return jar[named(client)].value


async def csrf(client: Client) -> str:
    """Read the page's token."""
    token: str = (await (await client.get("/operator/session")).json())["csrf"]
    return token


def test_a_public_bind_without_keys_is_refused() -> None:
    """A console that other machines reach asks for a key, or does not start."""
    with pytest.raises(BindError, match="operator_keys"):
        build_console(FakeService(settings=AgentSettings(console_host="0.0.0.0")), None)
    build_console(FakeService(settings=KEYED.model_copy(update={"console_host": "0.0.0.0"})), None)


async def test_every_page_needs_the_key(keyed: Client) -> None:
    """Without a session nothing is told but the login page and its files."""
    response = await keyed.get("/", allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (303, "/login")
    for path in ("/operator/state", "/operator/events", "/operator/session", "/operator/turns"):
        assert (await keyed.get(path)).status == 401, path
    assert (await keyed.post(ROLLBACK, json=WHY)).status == 401
    assert (await keyed.get("/login")).status == 200
    assert (await keyed.get("/console/login.js")).status == 200


async def test_login_opens_a_session_that_scripts_cannot_read(keyed: Client) -> None:
    """The cookie is HttpOnly and SameSite=Strict, and opens the console."""
    response = await keyed.post(
        "/operator/session", json={"key": "open sesame"}, headers={"Origin": origin(keyed)}
    )
    cookie = response.headers["Set-Cookie"]
    assert response.status == 200
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert (await (await keyed.get("/operator/session")).json())["operator"] == "anna"


async def test_consoles_of_one_name_have_cookies_of_their_own(keyed: Client) -> None:
    """A browser sends a cookie to every port of a name: to log in here logs nobody out there."""
    names = set[str]()
    for host in ("ops:8322", "ops:8422", "ops", "[::1]:8322", "[::1]"):
        response = await keyed.post(
            "/operator/session", json={"key": "open sesame"}, headers={"Host": host}
        )
        name, _, value = response.headers["Set-Cookie"].partition("=")
        names.add(name)
        cookie = {"Host": host, "Cookie": f"{name}={value.partition(';')[0]}"}
        assert (await keyed.get("/operator/session", headers=cookie)).status == 200
        keyed.session.cookie_jar.clear()
        elsewhere = {**cookie, "Host": "ops:1"}
        assert (await keyed.get("/operator/session", headers=elsewhere)).status == 401
    assert names == {COOKIE, f"{COOKIE}_8322", f"{COOKIE}_8422"}


@pytest.mark.parametrize(("scheme", "secure"), [("https", True), ("http", False)])
async def test_a_cookie_of_a_page_of_tls_is_secure(
    keyed: Client, scheme: str, secure: bool
) -> None:
    """Also where a proxy ends it, and asks us without."""
    headers = {"Host": "ops", "Origin": f"{scheme}://ops"}
    response = await keyed.post("/operator/session", json={"key": "let me in"}, headers=headers)
    assert response.status == 200
    assert ("Secure" in response.headers["Set-Cookie"]) is secure


async def test_a_wrong_key_opens_nothing(keyed: Client) -> None:
    """A wrong key is 401 and sets no session."""
    assert await log_in(keyed, "open barley") == 401
    assert (await keyed.get("/operator/state")).status == 401


async def test_guessing_is_slowed_down(keyed: Client, clock: Clock) -> None:
    """After some wrong keys even the right one must wait, for a while."""
    for _ in range(MAX_FAILURES):
        assert await log_in(keyed, "guess") == 401
    assert await log_in(keyed) == 429
    clock.now_s += WINDOW_S + 1
    assert await log_in(keyed) == 200


async def test_a_key_of_strange_bytes_is_only_wrong(keyed: Client) -> None:
    """Bytes that are no UTF-8 are a wrong key, not a failure of the console."""
    request = b"GET /operator/state HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", keyed.port)
    writer.write(request)
    assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    writer.close()
    await writer.wait_closed()


async def test_a_session_ends_after_a_day_and_at_logout(keyed: Client, clock: Clock) -> None:
    """A session has an end, and can be ended."""
    await log_in(keyed)
    for _ in range(int(KEYED.session_s / KEYED.session_idle_s)):
        clock.now_s += KEYED.session_idle_s
        assert (await keyed.get("/operator/state")).status == 200
    clock.now_s += 1
    assert (await keyed.get("/operator/state")).status == 401
    await log_in(keyed)
    cookie = {named(keyed): held(keyed)}
    headers = {"Origin": origin(keyed), "X-CSRF-Token": await csrf(keyed)}
    assert (await keyed.delete("/operator/session", headers=headers)).status == 200
    assert (await keyed.get("/operator/state", cookies=cookie)).status == 401


async def test_a_write_of_our_own_page_is_taken(keyed: Client) -> None:
    """Cookie, own Origin and token together may roll back, under the operator's name."""
    await log_in(keyed)
    headers = {"Origin": origin(keyed), "X-CSRF-Token": await csrf(keyed)}
    response = await keyed.post(ROLLBACK, json=WHY, headers=headers)
    assert response.status == 200
    assert (await response.json())["rollout"]["who"] == "anna"


async def test_a_write_without_token_or_from_another_page_is_refused(keyed: Client) -> None:
    """The cookie alone proves nothing: the chat page is another port of the same site."""
    await log_in(keyed)
    token = await csrf(keyed)
    for headers in (
        {},
        {"Origin": origin(keyed)},
        {"Origin": origin(keyed), "X-CSRF-Token": "guess"},
        {"Origin": "http://127.0.0.1:8321", "X-CSRF-Token": token},
        {"Origin": "null", "X-CSRF-Token": token},
        {"X-CSRF-Token": token},
    ):
        response = await keyed.post(ROLLBACK, json=WHY, headers=headers)
        assert response.status == 403, headers


async def test_a_program_sends_the_key_as_bearer(keyed: Client) -> None:
    """A command-line client needs neither cookie nor token."""
    bearer = {"Authorization": "Bearer open sesame"}
    assert (await keyed.get("/operator/state", headers=bearer)).status == 200
    assert (await keyed.post(ROLLBACK, json=WHY, headers=bearer)).status == 200
    wrong = {"Authorization": "Bearer open barley"}
    assert (await keyed.get("/operator/state", headers=wrong)).status == 401


async def test_a_login_from_another_page_is_refused(keyed: Client) -> None:
    """No page can log a browser in under a key of its choice."""
    headers = {"Origin": "http://evil.example"}
    response = await keyed.post("/operator/session", json={"key": "open sesame"}, headers=headers)
    assert response.status == 403


async def test_without_keys_a_local_program_may_write(local: Client) -> None:
    """On loopback without keys, curl and the command line need no token."""
    assert (await local.post(ROLLBACK, json=WHY)).status == 200


async def test_without_keys_another_page_may_not_write(local: Client) -> None:
    """A page of another origin, port included, cannot roll back; nor can a form."""
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:8321"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": origin(local)},
    ):
        response = await local.post(ROLLBACK, json=WHY, headers=headers)
        assert response.status == 403, headers
    response = await local.post(ROLLBACK, data={"reason": "x"})
    assert response.status == 400


async def test_without_keys_a_name_that_was_pointed_here_is_refused(local: Client) -> None:
    """DNS rebinding: a foreign name that resolves to this machine reads nothing."""
    response = await local.get("/operator/state", headers={"Host": "evil.example:8322"})
    assert response.status == 403
    assert (await local.get("/operator/state", headers={"Host": "localhost:1"})).status == 200
    assert (await local.get("/operator/state", headers={"Host": "[::1]:1"})).status == 200


async def test_every_answer_has_the_strict_policy(keyed: Client) -> None:
    """Pages, data, errors and redirects carry the same headers, and data is not stored."""
    for path in ("/login", "/operator/state", "/nothing", "/"):
        response = await keyed.get(path, allow_redirects=False)
        assert "default-src 'none'" in response.headers["Content-Security-Policy"], path
        assert response.headers["X-Frame-Options"] == "DENY"
    assert (await keyed.get("/operator/state")).headers["Cache-Control"] == "no-store"


def session_headers(client: Client, token: str, **more: str) -> dict[str, str]:
    """What our own page sends with a write."""
    return {"Origin": origin(client), "X-CSRF-Token": token, **more}


async def test_a_session_that_asks_for_nothing_ends(keyed: Client, clock: Clock) -> None:
    """A page left open is of no use to whoever sits down at it later; its stream ends, too."""
    await log_in(keyed)
    stream = await keyed.get("/operator/events")
    assert (await stream.content.readline()).startswith(b"retry")
    clock.now_s += KEYED.session_idle_s + 1
    await asyncio.wait_for(stream.read(), 60)
    assert (await keyed.get("/operator/state")).status == 401


def test_a_session_goes_idle_while_the_machine_sleeps() -> None:
    """The console's own clock goes on in a sleep, where the machine has one that does."""
    assert inspect.signature(build_console).parameters["clock"].default is passed
    assert inspect.signature(Access).parameters["clock"].default is passed


async def test_a_page_that_renews_itself_is_no_use(keyed: Client, clock: Clock) -> None:
    """What it asks for when something has changed, or to hear of that, keeps no session alive."""
    await log_in(keyed)
    for path, headers in (("/", {RENEWAL_HEADER: "1"}), ("/live", {})):
        clock.now_s += KEYED.session_idle_s / 2
        response = await keyed.get(path, headers=headers, allow_redirects=False)
        assert response.status == 200, path
        response.close()
    clock.now_s += 1
    assert (await keyed.get("/operator/session")).status == 401


async def test_logging_out_ends_the_stream(keyed: Client) -> None:
    """What is pushed to a page ends with its session."""
    await log_in(keyed)
    token = await csrf(keyed)
    stream = await keyed.get("/operator/events")
    headers = session_headers(keyed, token)
    assert (await keyed.delete("/operator/session", headers=headers)).status == 200
    await asyncio.wait_for(stream.read(), 60)


async def test_a_second_login_ends_the_session_before_it(keyed: Client) -> None:
    """A browser has one session; the old cookie opens nothing any more."""
    await log_in(keyed)
    old = held(keyed)
    await log_in(keyed, "let me in")
    assert (await (await keyed.get("/operator/session")).json())["role"] == "admin"
    keyed.session.cookie_jar.clear()
    assert (await keyed.get("/operator/state", cookies={named(keyed): old})).status == 401


async def test_promoting_to_all_asks_for_the_key_again(
    keyed: Client, keyed_service: FakeService
) -> None:
    """A session alone promotes nobody to all; nor does another operator's key."""
    await log_in(keyed)
    headers = session_headers(keyed, await csrf(keyed))
    for step_up in ({}, {STEP_UP_HEADER: "guess"}, {STEP_UP_HEADER: "let me in"}):
        refused = await keyed.post(PROMOTE, json=WHY, headers=headers | step_up)
        assert refused.status == 403
        assert (await refused.json())["error"]["code"] == "step_up"
    assert keyed_service.operated == []
    step_up = {STEP_UP_HEADER: "open sesame"}
    assert (await keyed.post(PROMOTE, json=WHY, headers=headers | step_up)).status == 200
    assert keyed_service.operated == [("promote-full", "anna", "rude")]


async def test_the_last_step_asks_for_the_key_again(
    keyed: Client, keyed_service: FakeService
) -> None:
    """Skipping the last step serves everybody, as promoting does."""
    await log_in(keyed)
    headers, path = (
        session_headers(keyed, await csrf(keyed)),
        "/operator/lines/main/trial/skip-step",
    )
    keyed_service.state["trial"] = {"step": 0, "steps": 2}
    assert (await keyed.post(path, json=WHY, headers=headers)).status == 200
    keyed_service.state["trial"] = {"step": 1, "steps": 2}
    assert (await keyed.post(path, json=WHY, headers=headers)).status == 403
    step_up = {STEP_UP_HEADER: "open sesame"}
    assert (await keyed.post(path, json=WHY, headers=headers | step_up)).status == 200


async def test_many_steps_at_once_are_not_the_last_one(start_api: StartApi, tmp_path: Path) -> None:
    """Without the key nobody is promoted, however far behind the log this agent is."""
    hashed = hashlib.sha256(b"open sesame").hexdigest()
    keys = {"anna": {"hash": hashed, "role": "operator"}}
    log = SqliteLog(tmp_path / "log.db")
    api = await start_api(rollout=STAGED, operator_keys=keys, log=log)
    base, why = api.service.base, Audit.new("learner", "a candidate", 1)
    offer(log, verbs.start(Line("main", (base,)), "new", why, share=STAGED.shares[0]))
    client: Client = TestClient(TestServer(build_console(api.service, None)))
    await client.start_server()
    try:
        await log_in(client)
        headers = session_headers(client, await csrf(client))
        path = "/operator/lines/main/trial/skip-step"
        steps = [client.post(path, json=WHY, headers=headers) for _ in range(12)]
        assert {answer.status for answer in await asyncio.gather(*steps)} <= {200, 403, 409}
        while (answer := await client.post(path, json=WHY, headers=headers)).status == 200:
            pass
        assert (await answer.json())["error"]["code"] == "step_up"
        line = decided(log, "main")
        assert line is not None
        assert line.version == base
        assert line.trial is not None
        assert line.trial.step + 1 == len(STAGED.steps)
        step_up = headers | {STEP_UP_HEADER: "open sesame"}
        assert (await client.post(path, json=WHY, headers=step_up)).status == 200
        line = decided(log, "main")
        assert line is not None
        assert line.version == "new"
    finally:
        await client.close()


async def test_a_programs_request_is_its_own_step_up(keyed: Client) -> None:
    """The key is in the request already."""
    bearer = {"Authorization": "Bearer open sesame"}
    assert (await keyed.post(PROMOTE, json=WHY, headers=bearer)).status == 200


async def test_wrong_keys_in_a_session_lock_its_step_up(keyed: Client, clock: Clock) -> None:
    """Whoever sits down at an open session cannot try keys for ever, wherever they are."""
    await log_in(keyed)
    headers = session_headers(keyed, await csrf(keyed), **{STEP_UP_HEADER: "guess"})
    for _ in range(MAX_FAILURES):
        assert (await keyed.post(PROMOTE, json=WHY, headers=headers)).status == 403
    right = headers | {STEP_UP_HEADER: "open sesame"}
    locked = await keyed.post(PROMOTE, json=WHY, headers=right)
    assert locked.status == 429
    assert locked.headers["Retry-After"] == "60"
    # what is asked in an emergency needs no step up, and goes on
    assert (await keyed.post(ROLLBACK, json=WHY, headers=headers)).status == 200
    clock.now_s += WINDOW_S + 1
    assert (await keyed.post(PROMOTE, json=WHY, headers=right)).status == 200


async def test_a_lock_out_is_counted_and_told(keyed: Client, keyed_service: FakeService) -> None:
    """Operators see in /metrics and among the events that somebody guesses."""
    for number in range(MAX_FAILURES + 1):
        await log_in(keyed, f"guess {number}")
    told = [event.text for event in keyed_service.events if event.kind == "locked-out"]
    assert told == ["address 127.0.0.1: too many wrong operator keys"]
    assert counted(keyed_service, "wrong-key") == MAX_FAILURES
    assert counted(keyed_service, "locked-out") == 1


async def test_every_refusal_of_a_page_or_key_is_counted(
    keyed: Client, keyed_service: FakeService
) -> None:
    """Also a log-in that another page sends, and another operator's key as the second proof."""
    there = {"Origin": "https://evil.example"}
    await keyed.post("/operator/session", json={"key": "open sesame"}, headers=there)
    await log_in(keyed)
    headers = session_headers(keyed, await csrf(keyed)) | {STEP_UP_HEADER: "let me in"}
    assert (await keyed.post(PROMOTE, json=WHY, headers=headers)).status == 403
    assert counted(keyed_service, "origin") == 1
    assert counted(keyed_service, "wrong-key") == 1


async def test_a_name_that_was_pointed_here_is_counted(clock: Clock) -> None:
    """Whoever tries a page of another name against a console without keys shows in /metrics."""
    service = FakeService(version="b", previous="a")
    client = await connect(service, clock)
    await client.get("/operator/state", headers={"Host": "evil.example"})
    await client.close()
    assert counted(service, "origin") == 1


def counted(service: FakeService, why: str) -> float | None:
    """How many requests the console has refused for a reason."""
    name = "quickset_operator_refusals_total"
    return service.metrics.registry.get_sample_value(name, {"why": why})


def test_a_hash_alone_is_an_operators_key() -> None:
    """Keys of settings that were written before there were roles do what they did before."""
    digest = hashlib.sha256(b"open sesame").hexdigest()
    settings = AgentSettings.model_validate({"operator_keys": {"anna": digest}})
    assert settings.operator_keys == {"anna": OperatorKey(hash=digest, role="operator")}


async def test_a_reset_is_an_admins_with_the_key_again(
    keyed: Client, keyed_service: FakeService
) -> None:
    """An operator may not; an admin's session alone is not enough; a second reset is refused."""
    path = "/operator/lines/main/reset"
    bearer = {"Authorization": "Bearer open sesame"}
    assert (await keyed.post(path, json=WHY, headers=bearer)).status == 403
    await log_in(keyed, "let me in")
    headers = session_headers(keyed, await csrf(keyed))
    assert (await keyed.post(path, json=WHY, headers=headers)).status == 403
    headers |= {STEP_UP_HEADER: "let me in"}
    answer = await keyed.post(path, json=WHY, headers=headers)
    assert (await answer.json())["rollout"]["verb"] == "reset"
    assert keyed_service.resets == [("bob", "rude")]
    assert (await keyed.post(path, json=WHY, headers=headers)).status == 409
