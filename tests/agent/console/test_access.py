"""Who may use the console: keys, sessions, and the attacks of other pages."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from agent.console import build_console
from agent.console.access import COOKIE, FAILURES_WINDOW_S, MAX_FAILURES, SESSION_S, Guesses
from agent.errors import BindError, BusyError
from agent.settings import AgentSettings
from tests.agent.console.rows import FakeService

Client = TestClient[web.Request, web.Application]
KEYED = AgentSettings(operator_keys={"anna": hashlib.sha256(b"open sesame").hexdigest()})
ROLLBACK = "/operator/lines/main/rollback"
WHY = {"reason": "rude"}


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
async def keyed(clock: Clock) -> AsyncIterator[Client]:
    """A console with one operator's key."""
    client = await connect(FakeService(settings=KEYED, version="b", previous="a"), clock)
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


async def test_a_wrong_key_opens_nothing(keyed: Client) -> None:
    """A wrong key is 401 and sets no session."""
    assert await log_in(keyed, "open barley") == 401
    assert (await keyed.get("/operator/state")).status == 401


async def test_guessing_is_slowed_down(keyed: Client, clock: Clock) -> None:
    """After some wrong keys even the right one must wait, for a while."""
    for _ in range(MAX_FAILURES):
        assert await log_in(keyed, "guess") == 401
    assert await log_in(keyed) == 429
    clock.now_s += FAILURES_WINDOW_S + 1
    assert await log_in(keyed) == 200


def test_who_guesses_locks_out_nobody_else(clock: Clock) -> None:
    """Wrong keys count against their own address, and are forgotten in time."""
    guesses = Guesses(clock)
    for _ in range(MAX_FAILURES):
        guesses.prove_few("10.0.0.1")
        guesses.count("10.0.0.1")
    with pytest.raises(BusyError, match="60 seconds"):
        guesses.prove_few("10.0.0.1")
    guesses.prove_few("10.0.0.2")
    clock.now_s += FAILURES_WINDOW_S + 1
    guesses.prove_few("10.0.0.1")


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
    clock.now_s += SESSION_S + 1
    assert (await keyed.get("/operator/state")).status == 401
    await log_in(keyed)
    cookie = {COOKIE: keyed.session.cookie_jar.filter_cookies(keyed.make_url("/"))[COOKIE].value}
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
