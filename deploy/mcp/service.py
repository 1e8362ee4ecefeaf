"""A running agent, asked over HTTP: its API by an API key, its console by an operator's.

Each call brings the keys of whoever asks for it, so that nobody acts with somebody else's: over
stdio those of the environment, over HTTP those of the request. What cannot be had is said in a
sentence that tells what to do.

Knows the routes of agent and console; nothing of MCP.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from deploy.errors import NoAnswerError, NotRunningError, RefusedError

API_KEY, OPERATOR_KEY = "QUICKSET_API_KEY", "QUICKSET_OPERATOR_KEY"  # in the environment
STEP_UP_HEADER: Final = "X-Step-Up"  # the key once more, for what cannot be undone by one verb
STEPPED_UP: Final = ("promote-full",)
ASKS: Final = {"X-Server-Tools": "ask"}  # who calls can be asked whether a tool may be called
CLIENT: Final = "quickset-mcp"
ANSWER_S: Final = 300.0  # a long reply, or a version that is built again
CONNECT_S: Final = 5.0
EVENT_BYTES: Final = 2**22  # of one event: the last has the whole reply

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class HeldKeys:
    """The keys that a call may use; None: none is sent."""

    api: str | None = None
    operator: str | None = None


class Service:
    """The agent and its console, by their addresses.

    Beside what is named below, everything raises NoAnswerError where nothing is answered.
    """

    def __init__(self, url: str, console_url: str) -> None:
        """Take the addresses; nothing is asked yet. url: of the agent, with or without /v1"""
        self._url = url.rstrip("/").removesuffix("/v1")
        self._console = console_url.rstrip("/")

    async def models(self, keys: HeldKeys) -> list[str]:
        """What can be asked for. Raises: NotRunningError, RefusedError."""
        told = await self._api("GET", "/v1/models", keys)
        return [str(model["id"]) for model in told["data"]]

    async def complete(self, body: Json, keys: HeldKeys) -> Json:
        """A chat completion that nothing is learned from. Raises: NotRunningError, RefusedError."""
        apart = {"X-Learn": "off", "X-Turn-Type": "side"}
        return await self._api("POST", "/v1/chat/completions", keys, body, apart)

    async def rate(self, response_id: str, body: Json, keys: HeldKeys) -> Json:
        """Keep feedback on a reply. Raises: NotRunningError, RefusedError."""
        return await self._api("PUT", f"/v1/feedback/{_part(response_id)}", keys, body)

    async def response(self, response_id: str, keys: HeldKeys) -> Json:
        """A response that was stored. Raises: NotRunningError, RefusedError."""
        return await self._api("GET", f"/v1/responses/{_part(response_id)}", keys)

    async def respond(self, body: Json, keys: HeldKeys) -> AsyncIterator[Json]:
        """Yield the events of a response while it is made; closing it ends the reply.

        raises: NotRunningError, RefusedError
        """
        url, headers = f"{self._url}/v1/responses", _api_headers(keys) | ASKS
        async with _asked("POST", url, body | {"stream": True}, headers) as answer:
            async for line in answer.content:
                if line.startswith(b"data: {"):
                    event: Json = json.loads(line[len(b"data: ") :])
                    yield event

    async def state(self, keys: HeldKeys) -> Json:
        """All that the console shows. Raises: NotRunningError, RefusedError."""
        return await self._operator("GET", "/operator/state", keys)

    async def steer(self, verb: str, body: Json, keys: HeldKeys) -> Json:
        """Use a verb on the line that the agent serves. verb: "rollback", or one of a trial

        raises: NotRunningError, RefusedError
        """
        serving = (await self.state(keys))["serving"]
        line = _part(next(iter(serving)))
        where = "rollback" if verb == "rollback" else f"trial/{verb}"
        again = {STEP_UP_HEADER: keys.operator} if verb in STEPPED_UP and keys.operator else {}
        told = await self._operator("POST", f"/operator/lines/{line}/{where}", keys, body, again)
        change: Json = told["rollout"]
        return change

    async def _api(
        self,
        method: str,
        path: str,
        keys: HeldKeys,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        sent = _api_headers(keys) | dict(headers or {})
        async with _asked(method, f"{self._url}{path}", body, sent) as answer:
            return await _read(answer)

    async def _operator(
        self,
        method: str,
        path: str,
        keys: HeldKeys,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        sent = _bearer(keys.operator) | dict(headers or {})
        url = f"{self._console}{path}"
        async with _asked(method, url, body, sent, key=OPERATOR_KEY) as answer:
            return await _read(answer)


@asynccontextmanager
async def _asked(
    method: str, url: str, body: Json | None, headers: Mapping[str, str], *, key: str = API_KEY
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Ask, and translate what goes wrong. key: what to name where one is missing or wrong"""
    timeout = aiohttp.ClientTimeout(total=ANSWER_S, connect=CONNECT_S)
    try:
        async with (
            aiohttp.ClientSession(
                timeout=timeout, headers={"User-Agent": CLIENT}, read_bufsize=EVENT_BYTES
            ) as client,
            client.request(method, url, json=body, headers=dict(headers)) as answer,
        ):
            if answer.status >= 400:
                raise RefusedError(await _reason(answer, key), status=answer.status)
            yield answer
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as cause:
        raise NotRunningError(
            f"nothing answers at {url}: start it with `quickset up`, or name its address"
        ) from cause
    except (aiohttp.ClientError, TimeoutError) as cause:
        why = str(cause) or f"no answer within {ANSWER_S:.0f} seconds"
        # a rollback that is asked for twice goes back by two versions
        changes = method != "GET" and key == OPERATOR_KEY
        then = "it may have been done: look before you ask again" if changes else "ask again"
        raise NoAnswerError(f"{url} broke off: {why}; {then}") from cause


async def _read(answer: aiohttp.ClientResponse) -> Json:
    try:
        told = await answer.json(content_type=None)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise RefusedError(f"what answers at {answer.url} is no Quickset: check the address")
    return told


async def _reason(answer: aiohttp.ClientResponse, key: str) -> str:
    """Why something was refused, and what to do where a key is at fault."""
    try:
        told = await answer.json(content_type=None)
        message = told["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = f"{answer.method} {answer.url} was answered {answer.status}"
    if answer.status in (401, 403):
        return f"{message} (the key is {key} in the environment, or the request's own over HTTP)"
    return str(message)


def _api_headers(keys: HeldKeys) -> dict[str, str]:
    return _bearer(keys.api)


def _bearer(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def _part(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")
