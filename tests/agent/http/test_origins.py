"""Pages of other origins stay out; those of named ones may call, and read what concerns them."""

from typing import Any

import pytest
from aiohttp import ClientResponse

from agent.turn.named import MESSAGE_HEADER
from agent.turn.origin import origin, sessions
from tests.agent.conftest import Api, StartApi

CHAT = {"model": "quickset", "messages": [{"role": "user", "content": "Hi"}]}
ALLOWED = "https://chat.example.org"


async def post(api: Api, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.client.post("/v1/chat/completions", json=CHAT, headers=named)


def own_origin(api: Api) -> str:
    return f"http://127.0.0.1:{api.client.port}"


async def test_our_own_page_may_chat(api: Api) -> None:
    """The chat page's requests carry our own origin; a program's carry none."""
    assert (await post(api, Origin=own_origin(api))).status == 200
    assert (await post(api)).status == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "", "//", "http://["]
)
async def test_other_pages_may_not(api: Api, origin: str) -> None:
    """A page of another origin can neither chat nor teach, however it dresses its request."""
    response = await post(api, Origin=origin)
    assert response.status == 403
    assert (await response.json())["error"]["code"] == "origin_not_allowed"
    assert api.turns() == []


async def test_a_name_that_was_made_to_resolve_here_gains_nothing(api: Api) -> None:
    """Without keys, a page of a foreign name is foreign, even when the name is this address."""
    response = await post(api, Host="evil.example:80", Origin="http://evil.example:80")
    assert response.status == 403


@pytest.mark.parametrize("path", ["/v1/notes", "/notes", "/v1/responses/resp_1", "/v1/feedback/a"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "[::1"])
async def test_nor_does_it_read_what_is_somebodys_own(api: Api, path: str, host: str) -> None:
    """To its page a GET is one of its own origin, and carries none; what is everybody's is told."""
    response = await api.client.get(path, headers={"Host": host})
    assert response.status == 403
    assert (await response.json())["error"]["code"] == "host_not_allowed"
    assert (await api.client.get("/v1/models", headers={"Host": "evil.example"})).status == 200
    assert (await api.client.get("/v1/notes", headers={"Host": "localhost:80"})).status == 200


async def test_cross_origin_requests_are_off(api: Api) -> None:
    """Nothing is allowed to a browser's preflight, and no response is readable elsewhere."""
    response = await api.client.options("/v1/chat/completions", headers={"Origin": ALLOWED})
    assert response.status == 403
    listed = await api.client.get("/v1/models", headers={"Origin": ALLOWED})
    assert "Access-Control-Allow-Origin" not in listed.headers


async def test_a_named_origin_may_call(start_api: StartApi) -> None:
    """An origin of the settings passes its preflight, and reads streams and their version."""
    api: Api = await start_api(origins=[ALLOWED])
    headers = {"Origin": ALLOWED, "Access-Control-Request-Method": "POST"}
    preflight = await api.client.options("/v1/chat/completions", headers=headers)
    assert preflight.status == 204
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    response = await api.client.post(
        "/v1/chat/completions", json=CHAT | {"stream": True}, headers={"Origin": ALLOWED}
    )
    assert response.headers["Access-Control-Allow-Origin"] == ALLOWED
    readable = response.headers["Access-Control-Expose-Headers"].lower()
    assert {"x-quickset-version", "x-request-id", "retry-after"} <= set(readable.split(", "))
    assert "[DONE]" in await response.text()
    assert (await post(api, Origin="https://evil.example")).status == 403


# What the SDKs send from a browser, dangerouslyAllowBrowser being set. They set User-Agent, and
# Firefox and Safari ask whether it may be sent; Chrome leaves it out.
SDK_HEADERS = {
    "openai": "authorization,content-type,user-agent,x-stainless-arch,x-stainless-lang,"
    "x-stainless-os,x-stainless-package-version,x-stainless-retry-count,x-stainless-runtime,"
    "x-stainless-runtime-version,x-stainless-timeout,openai-organization",
    "anthropic": "anthropic-dangerous-direct-browser-access,anthropic-version,anthropic-beta,"
    "content-type,user-agent,x-api-key,x-stainless-arch,x-stainless-helper-method,x-stainless-lang",
}


def allowed_by(preflight: ClientResponse) -> set[str]:
    """The headers that a page may send."""
    told = preflight.headers["Access-Control-Allow-Headers"].split(",")
    return {name.strip().lower() for name in told}


@pytest.mark.parametrize("sdk", SDK_HEADERS)
async def test_the_headers_of_sdks_pass_a_preflight(start_api: StartApi, sdk: str) -> None:
    """Everything that an SDK sends from a page of a named origin is allowed, and cached."""
    api: Api = await start_api(origins=[ALLOWED])
    headers = {
        "Origin": ALLOWED,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": SDK_HEADERS[sdk],
    }
    response = await api.client.options("/v1/chat/completions", headers=headers)
    assert set(SDK_HEADERS[sdk].split(",")) <= allowed_by(response)
    assert response.headers["Access-Control-Max-Age"] == "7200"
    assert response.headers["Access-Control-Allow-Origin"] == ALLOWED


async def test_what_we_read_of_a_request_passes_a_preflight(start_api: StartApi) -> None:
    """A page names its session, its purpose and its trace as any other client does."""
    api: Api = await start_api(origins=[ALLOWED])
    response = await api.client.options("/v1/chat/completions", headers={"Origin": ALLOWED})
    read = {*sessions.OURS, *sessions.CLIENT_HEADERS, MESSAGE_HEADER, "Tracestate",
            origin.CLIENT_HEADER, origin.TRACE_HEADER, origin.RESEND_HEADER}  # fmt: skip
    assert {name.lower() for name in read} <= allowed_by(response)


async def test_a_preflight_allows_nothing_else(start_api: StartApi) -> None:
    """A header that no SDK sends is not allowed, however it is named."""
    api: Api = await start_api(origins=[ALLOWED])
    asked = {"Origin": ALLOWED, "Access-Control-Request-Headers": "x-evil, x-stainless-ä"}
    response = await api.client.options("/v1/models", headers=asked)
    assert "x-evil" not in response.headers["Access-Control-Allow-Headers"]
    assert "ä" not in response.headers["Access-Control-Allow-Headers"]


async def test_expected_errors_can_be_read_by_the_page(start_api: StartApi) -> None:
    """A page of a named origin sees why it was refused, not a network error."""
    api: Api = await start_api(origins=[ALLOWED], keys={"ann": "0" * 64})
    for path in ("/v1/chat/completions", "/v1/nothing"):
        response = await api.client.post(path, json={}, headers={"Origin": ALLOWED})
        assert response.status in (401, 404)
        assert response.headers["Access-Control-Allow-Origin"] == ALLOWED
