"""How the console reads bodies and answers: JSON in one shape, failures too, and never a trace."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.console.live import Sections
from agent.errors import ApiError, BrokenError, InvalidError, NotFoundError
from agent.http import pages
from agent.http.body import read_json

_LOG = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024  # a reason, or a key

Body = TypeVar("Body", bound=BaseModel)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ChangedError(ApiError):
    """409: somebody changed the line first, or there is nothing to take back."""

    status = 409
    type = "conflict_error"


class RollbackRequest(BaseModel):
    """The body of a rollback: why, and which state of the line the operator was looking at."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", str_strip_whitespace=True)

    reason: str = Field(min_length=1, max_length=500)
    expected_seq: int | None = Field(None, ge=0)


class LoginRequest(BaseModel):
    """The body of a login."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    key: str = Field(min_length=1, max_length=1000)


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failure in one JSON shape, and never with a trace."""
    try:
        return await handler(request)
    except ApiError as error:
        return _error(error)
    except web.HTTPRedirection:
        raise
    except web.HTTPException as error:
        if error.status == 404:
            return _error(NotFoundError(f"there is nothing at {request.path}"))
        return _error(InvalidError(error.reason), error.status)
    except Exception:
        _LOG.exception("%s %s failed", request.method, request.path)
        return _error(BrokenError("the console failed; its log has the reason"))


async def set_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in pages.HEADERS.items():
        response.headers.setdefault(name, value)


async def read_body(request: web.Request, form: type[Body]) -> Body:
    """Read a JSON body. Raises: InvalidError, which names the parameter."""
    if request.content_type != "application/json":
        raise InvalidError("send the body as application/json")
    try:
        return form.model_validate(read_json(await request.read()))
    except ValidationError as cause:
        error = cause.errors()[0]
        param = ".".join(str(part) for part in error["loc"])
        raise InvalidError(f"{param}: {error['msg']}", param=param) from None


def limit(request: web.Request) -> int | None:
    text = request.query.get("limit")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= 10_000:
        raise InvalidError("limit must be a whole number from 1 to 10000", param="limit")
    return int(text)


def json_of(value: Mapping[str, Any]) -> web.Response:
    return web.json_response(dict(value), headers={"Cache-Control": "no-store"})


def json_text(sections: Sections) -> web.Response:
    body = ",".join(f'"{name}":{text}' for name, text in sections.items())
    return web.Response(
        text=f"{{{body}}}",
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _error(error: ApiError, status: int | None = None) -> web.Response:
    headers = {"Cache-Control": "no-store"} | error.headers
    return web.json_response(error.body(), status=status or error.status, headers=headers)
