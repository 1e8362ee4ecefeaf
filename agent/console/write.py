"""What an operator may change: what serves a line, the trial on it, and their own session."""

import time
from collections.abc import Callable
from typing import TypeVar, cast

from aiohttp import web
from pydantic import ConfigDict, Field

from agent.console.access import COOKIE, Access, prove_same_origin
from agent.console.admit import OPERATOR
from agent.console.ports import Service
from agent.console.roles import Route, for_role
from agent.errors import ApiError, InvalidError, NotFoundError, SwapError, UnavailableError
from agent.http import edge
from agent.http.form import Form, read_form
from streams.errors import (
    ConflictError,
    LogUnavailableError,
    NotAllowedError,
    VerbRefusedError,
)
from streams.line.offer import OPERATORS
from streams.records import Verb

MAX_BODY_BYTES = 16 * 1024  # a reason, or a key


class ChangedError(ApiError):
    """409: somebody changed the line first, or there is nothing to take back."""

    status = 409
    type = "conflict_error"


class ForbiddenError(ApiError):
    """403: the policy leaves this change to somebody else."""

    status = 403
    type = "permission_error"


class ChangeRequest(Form):
    """The body of a change: why, and which state of the line the operator was looking at."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    reason: str = Field(min_length=1, max_length=500)
    expected_seq: int | None = Field(None, ge=0)


class LoginRequest(Form):
    """The body of a login."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=1000)


Body = TypeVar("Body", bound=Form)


class Write:
    """The handlers that change something; whether they may is proved before (console.app.admit)."""

    def __init__(self, service: Service, access: Access, *, changed: Callable[[], None]) -> None:
        """Take what is changed, and whom to tell when it was."""
        self._service, self._access, self._changed = service, access, changed

    def routes(self) -> list[Route]:
        """The routes of rollback, trial and session."""
        # what serves everybody from then on is a path of its own, as it asks for the key again
        others = "|".join(verb for verb in OPERATORS if verb != "promote-full")
        changes = [
            web.post("/operator/lines/{line}/rollback", self._rollback),
            web.post(f"/operator/lines/{{line}}/trial/{{verb:{others}}}", self._operate),
        ]
        whole = web.post("/operator/lines/{line}/trial/promote-full", self._operate)
        own = [
            web.get("/operator/session", self._session),
            web.delete("/operator/session", self._log_out),
        ]
        return [
            *for_role("operator", changes),
            Route(whole, "operator", step_up=True),
            *for_role("viewer", own),
            *for_role(None, [web.post("/operator/session", self._log_in)]),
        ]

    async def _rollback(self, request: web.Request) -> web.Response:
        self._prove_served(request)
        asked = await _read(request, ChangeRequest)
        operator = request[OPERATOR]
        try:
            rollout = await self._service.rollback(
                operator.name, asked.reason, expected_seq=asked.expected_seq
            )
        except (ConflictError, SwapError) as cause:
            raise ChangedError(str(cause)) from cause
        finally:
            self._changed()
        return web.json_response({"rollout": rollout.model_dump(mode="json")})

    async def _operate(self, request: web.Request) -> web.Response:
        self._prove_served(request)
        verb = cast(Verb, request.match_info.get("verb", "promote-full"))
        asked = await _read(request, ChangeRequest)
        operator = request[OPERATOR]
        if verb == "skip-step" and self._is_last_step(request):
            self._access.prove_step_up(request, operator)
        try:
            change = await self._service.operate(
                verb, operator.name, asked.reason, expected_seq=asked.expected_seq
            )
        except (ConflictError, VerbRefusedError) as cause:
            raise ChangedError(str(cause)) from cause
        except NotAllowedError as cause:
            raise ForbiddenError(str(cause)) from cause
        except LogUnavailableError as cause:
            raise UnavailableError(f"{cause}: a trial is changed by way of the log") from cause
        finally:
            self._changed()
        return web.json_response({"rollout": change.model_dump(mode="json")})

    def _prove_served(self, request: web.Request) -> None:
        line = request.match_info["line"]
        if line not in self._service.status().serving():
            raise NotFoundError(f"this agent serves no line {line!r}", param="line")

    def _is_last_step(self, request: web.Request) -> bool:
        """Whether the next step of the trial is that everybody is served by the candidate."""
        trial = self._service.status().serving()[request.match_info["line"]]["trial"]
        return trial is not None and trial["step"] + 1 >= trial["steps"]

    async def _session(self, request: web.Request) -> web.Response:
        operator = request[OPERATOR]
        return web.json_response(
            {
                "operator": operator.name,
                "role": operator.role,
                "csrf": operator.csrf,
                "can_log_out": self._access.asks_for_key,
                "now_ms": int(time.time() * 1000),
            }
        )

    async def _log_in(self, request: web.Request) -> web.Response:
        response = web.json_response({})
        if not self._access.asks_for_key:
            return response
        if "Origin" in request.headers:
            prove_same_origin(request)
        asked = await _read(request, LoginRequest)
        cookie = self._access.log_in(request, asked.key.strip())
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=int(self._service.settings.session_s),
            httponly=True,
            samesite="Strict",
            secure=request.secure,
        )
        return response

    async def _log_out(self, request: web.Request) -> web.Response:
        self._access.log_out(request)
        response = web.json_response({})
        response.del_cookie(COOKIE)
        return response


async def _read(request: web.Request, form: type[Body]) -> Body:
    """Check a JSON body. Raises: InvalidError, which names the parameter; TooLargeError."""
    if request.content_type != "application/json":
        raise InvalidError("send the body as application/json")
    return read_form(form, await edge.read_body(request))
