"""The running agent's console, called as a program calls it: JSON over its own port.

Knows the routes of agent.console.app; nothing of stores and logs.
"""

import asyncio
import os
from typing import Any

import aiohttp

from agent.settings import AgentSettings
from deploy.errors import NoAnswerError, NotRunningError, RefusedError
from deploy.up.ports import url

# A digest is read over all served tensors, and a rollback may have to build a version again.
ANSWER_S = 300.0
CONNECT_S = 5.0
CHANGES = "/operator/lines/"  # what is asked below it changes a line, answered or not
KEY_VARIABLE = "QUICKSET_OPERATOR_KEY"  # the key itself; settings hold only hashes


def call(
    settings: AgentSettings,
    method: str,
    path: str,
    body: Any = None,
    *,
    answer_s: float = ANSWER_S,
) -> Any:
    """Ask the agent's console and give its JSON answer.

    raises: NotRunningError when nothing answers there; RefusedError with the agent's own reason;
        NoAnswerError when it was asked and said nothing, in time or at all
    """
    return asyncio.run(_call(settings, method, path, body, answer_s))


async def _call(settings: AgentSettings, method: str, path: str, body: Any, answer_s: float) -> Any:
    address = url(settings.console_host, settings.console_port)
    key = os.environ.get(KEY_VARIABLE)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = aiohttp.ClientTimeout(total=answer_s, connect=CONNECT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as client,
            client.request(method, f"{address}{path}", json=body) as answer,
        ):
            told = await answer.json(content_type=None)
            if answer.status < 400:
                return told
            raise RefusedError(_reason(told, answer.status, address), status=answer.status)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as cause:
        raise NotRunningError(f"no agent answers at {address}") from cause
    except (aiohttp.ClientResponseError, ValueError) as cause:
        raise RefusedError(f"what answers at {address} is no Quickset console: {cause}") from cause
    except TimeoutError as cause:
        told = f"the agent at {address} did not answer within {answer_s:g} s"
        raise NoAnswerError(told + _perhaps(path)) from cause
    except aiohttp.ClientError as cause:
        told = f"the agent at {address} broke off before it had answered ({cause})"
        raise NoAnswerError(told + _perhaps(path)) from cause


def _perhaps(path: str) -> str:
    """What of a question that nobody answered may hold all the same."""
    changes = path.startswith(CHANGES)
    return "; it may have been done: `quickset rollouts list` tells every change" if changes else ""


def _reason(told: Any, status: int, address: str) -> str:
    error = told.get("error") if isinstance(told, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    hint = f"; put the operator key into {KEY_VARIABLE}" if status == 401 else ""
    if status == 404 and str(message).startswith("there is nothing at"):
        hint = ": is it the console's port? --console-port names that"
    return f"the agent at {address} refused ({status}): {message or told}{hint}"
