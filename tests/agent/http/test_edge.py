"""Every response has its request's name and its key's standing, every path the same methods."""

import asyncio
import hashlib
from types import SimpleNamespace
from typing import Any

import pytest

from agent.http.edge import until_taken
from tests.agent.conftest import Api, StartApi


async def test_a_request_has_a_name(api: Api) -> None:
    """A client's own name is kept, a name that is not safe to repeat is not; each gets one."""
    drawn = (await api.client.get("/health")).headers["X-Request-Id"]
    assert drawn.startswith("req_")
    for given, kept in (("trace-17.a", True), ("a" * 129, False), ("a b", False), ("ä", False)):
        response = await api.client.get("/v1/nothing", headers={"X-Request-Id": given})
        assert response.status == 404
        assert (response.headers["X-Request-Id"] == given) is kept


async def test_a_limited_key_is_told_where_it_stands(start_api: StartApi) -> None:
    """Each response says how many requests are left, refused ones and bad ones included."""
    key = {"ann": hashlib.sha256(b"ann").hexdigest()}
    api: Api = await start_api(keys=key, requests_per_minute=2)
    api.headers = {"Authorization": "Bearer ann"}
    left = []
    for extra in ({}, {"n": 0}, {}):
        response = await api.chat(**extra)
        left.append((response.status, response.headers["X-RateLimit-Remaining-Requests"]))
        assert response.headers["X-RateLimit-Limit-Requests"] == "2"
        assert 0 < float(response.headers["X-RateLimit-Reset-Requests"].rstrip("s")) <= 60
    assert left == [(200, "1"), (400, "0"), (429, "0")]


async def test_without_a_limit_nothing_is_told_of_one(api: Api) -> None:
    """Headers of a limit that is not there would have clients wait for nothing."""
    response = await api.chat()
    assert not [name for name in response.headers if name.lower().startswith("x-ratelimit")]


@pytest.mark.parametrize(
    ("path", "allow"),
    [("/v1/chat/completions", "OPTIONS, POST"), ("/v1/models", "GET, HEAD, OPTIONS"),
     ("/models/quickset", "GET, HEAD, OPTIONS"), ("/health", "GET, HEAD, OPTIONS")],
)  # fmt: skip
async def test_options_tell_the_methods(api: Api, path: str, allow: str) -> None:
    """OPTIONS is answered wherever something is; elsewhere it is a 404."""
    response = await api.client.options(path)
    assert (response.status, response.headers["Allow"]) == (204, allow)
    assert (await api.client.options(f"/no{path}")).status == 404


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/v1/models/quickset", "/health", "/"])
async def test_head_is_get_without_a_body(api: Api, path: str) -> None:
    """Whatever can be read can be looked for."""
    looked, read = await api.client.head(path), await api.client.get(path)
    assert (looked.status, read.status) == (200, 200)
    assert looked.headers["Content-Type"] == read.headers["Content-Type"]
    assert await looked.read() == b""


async def test_paths_are_there_without_v1(api: Api) -> None:
    """A client whose base URL lacks /v1 is answered alike."""
    body = {"model": "quickset", "messages": [{"role": "user", "content": "Hi"}]}
    response = await api.client.post("/chat/completions", json=body)
    assert (await response.json())["choices"][0]["message"]["content"] == "Hello, world!"
    assert (await (await api.client.get("/models")).json())["data"][0]["id"] == "quickset"
    feedback = await api.client.put(f"/feedback/{(await response.json())['id']}", json={"score": 1})
    assert feedback.status == 200


@pytest.mark.parametrize("expected", ["100-continue", "200-maybe", ""])
async def test_what_a_client_expects_is_met_or_passed_over(api: Api, expected: str) -> None:
    """No word of it ends in a text that is no API's."""
    response = await api.client.get("/v1/models", headers={"Expect": expected})
    assert (response.status, response.content_type) == (200, "application/json")


@pytest.mark.parametrize(("unsent", "reads_on"), [([9, 7, 4, 1], True), ([9, 7, 7], False)])
async def test_a_slow_reader_is_waited_for_and_a_stalled_one_cut(
    unsent: list[int], reads_on: bool
) -> None:
    """As long as it takes something all is well; whoever takes nothing is cut off."""
    left, taken, cut = iter(unsent), asyncio.Event(), asyncio.Event()

    def waiting() -> int:
        size = next(left, 0)
        if not size:
            taken.set()
        return size

    transport = SimpleNamespace(get_write_buffer_size=waiting, abort=cut.set)
    request: Any = SimpleNamespace(transport=transport)

    async def writing() -> None:
        await taken.wait()

    if reads_on:
        await until_taken(request, writing(), stalled_s=0.001)
    else:
        with pytest.raises(TimeoutError):
            await until_taken(request, writing(), stalled_s=0.001)
    assert (taken.is_set(), cut.is_set()) == (reads_on, not reads_on)
