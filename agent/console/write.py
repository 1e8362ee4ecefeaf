"""What an operator may change: what serves a line, the trial on it, and their own session."""

import time
from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from typing import cast

from aiohttp import web

from agent.api.openai import ErrorBody
from agent.api.operation import ANY_ERROR, Handler, Method, Operation
from agent.console.access.access import Access, cookie_of
from agent.console.access.admit import OPERATOR
from agent.console.access.roles import Route, operations
from agent.console.forms import (
    MAX_BODY_BYTES,
    ChangeRequest,
    Compared,
    CompareRequest,
    Done,
    LoginRequest,
    Ordered,
    OrderRequest,
    Session,
    Told,
    read,
)
from agent.console.ports import Service
from agent.errors import ForbiddenError, NotFoundError, NotNowError, SwapError, UnavailableError
from streams.errors import (
    ConflictError,
    LastStepError,
    LogUnavailableError,
    NotAllowedError,
    VerbRefusedError,
)
from streams.line.offer import OPERATORS
from streams.records import Rollout, Verb


class Write:
    """The handlers that change something; whether they may is proved before (console.app.admit)."""

    def __init__(self, service: Service, access: Access, *, changed: Callable[[], None]) -> None:
        """Take what is changed, and whom to tell when it was."""
        self._service, self._access, self._changed = service, access, changed

    def routes(self) -> list[Route]:
        """The routes of what changes a line, of comparisons, and of the session."""
        # what serves everybody from then on is a path of its own, as it asks for the key again
        others = "|".join(verb for verb in OPERATORS if verb != "promote-full")
        line = "/operator/lines/{line}"
        return [
            *operations("operator", _change(f"{line}/rollback", self._rollback, ROLLBACK)),
            *operations(
                "operator", _change(f"{line}/trial/{{verb:{others}}}", self._operate, TRIAL)
            ),
            *operations(
                "operator",
                _change(f"{line}/trial/promote-full", self._operate, PROMOTE),
                step_up=True,
            ),
            *operations("operator", _change(f"{line}/learn", self._operate, LEARN)),
            *operations("operator", _order(f"{line}/generations", self._order)),
            *operations("admin", _change(f"{line}/reset", self._reset, RESET), step_up=True),
            *operations("operator", _compare(self._compare)),
            *operations("viewer", _session("GET", self._session, "Tell who is logged in")),
            *operations("viewer", _session("DELETE", self._log_out, "Log out")),
            *operations(None, _session("POST", self._log_in, "Open a session for a key")),
        ]

    async def _rollback(self, request: web.Request) -> web.Response:
        self._prove_served(request)
        asked = await read(request, ChangeRequest)
        operator = request[OPERATOR]
        try:
            rollout = await self._service.steering.rollback(
                operator.name, asked.reason, expected_seq=asked.expected_seq
            )
        except (ConflictError, SwapError) as cause:
            raise NotNowError(str(cause)) from cause
        finally:
            self._changed()
        return web.json_response({"rollout": rollout.model_dump(mode="json")})

    async def _reset(self, request: web.Request) -> web.Response:
        self._prove_served(request)
        asked = await read(request, ChangeRequest)
        try:
            rollout = await self._service.steering.reset(
                request[OPERATOR].name, asked.reason, expected_seq=asked.expected_seq
            )
        except (ConflictError, VerbRefusedError) as cause:
            raise NotNowError(str(cause)) from cause
        finally:
            self._changed()
        return web.json_response({"rollout": rollout.model_dump(mode="json")})

    async def _operate(self, request: web.Request) -> web.Response:
        self._prove_served(request)
        verb = cast(Verb, request.match_info.get("verb") or request.path.rpartition("/")[2])
        asked = await read(request, ChangeRequest)
        operator = request[OPERATOR]

        async def used(*, completes: bool) -> Rollout:
            return await self._service.steering.operate(
                verb,
                operator.name,
                asked.reason,
                expected_seq=asked.expected_seq,
                completes=completes,
            )

        try:
            # the log alone knows which step is the last: what this agent follows may be behind it
            try:
                change = await used(completes=verb == "promote-full")
            except LastStepError:
                self._access.prove_step_up(request, operator)
                change = await used(completes=True)
        except (ConflictError, VerbRefusedError) as cause:
            raise NotNowError(str(cause)) from cause
        except NotAllowedError as cause:
            raise ForbiddenError(str(cause)) from cause
        except LogUnavailableError as cause:
            raise UnavailableError(f"{cause}: a trial is changed by way of the log") from cause
        finally:
            self._changed()
        return web.json_response({"rollout": change.model_dump(mode="json")})

    async def _order(self, request: web.Request) -> web.Response:
        """Order a generation: it is no change of the line, so nothing can have come before it."""
        self._prove_served(request)
        asked = await read(request, OrderRequest)
        try:
            order = await self._service.steering.order_learning(
                request[OPERATOR].name, asked.reason
            )
        except VerbRefusedError as cause:
            raise NotNowError(str(cause)) from cause
        except LogUnavailableError as cause:
            raise UnavailableError(f"{cause}: an order goes by way of the log") from cause
        finally:
            self._changed()
        return web.json_response({"order": order.model_dump(mode="json")})

    async def _compare(self, request: web.Request) -> web.Response:
        """Answer the same prompts on two versions; nothing is recorded of it."""
        asked = await read(request, CompareRequest, most_bytes=MAX_BODY_BYTES)
        made = await self._service.comparisons.compare(
            asked.a, asked.b, asked.prompts, max_tokens=asked.max_tokens
        )
        answers = [
            {"prompt": prompt, "a": asdict(one), "b": asdict(other)}
            for prompt, one, other in made.answers
        ]
        return web.json_response({"a": made.a, "b": made.b, "answers": answers})

    def _prove_served(self, request: web.Request) -> None:
        line = request.match_info["line"]
        if line not in self._service.status().serving():
            raise NotFoundError(f"this agent serves no line {line!r}", param="line")

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
            self._access.prove_own_page(request)
        asked = await read(request, LoginRequest)
        cookie = self._access.log_in(request, asked.key.strip())
        response.set_cookie(
            cookie_of(request),
            cookie,
            max_age=int(self._service.settings.session_s),
            httponly=True,
            samesite="Strict",
            # a proxy in front may end TLS: the page's own origin tells
            secure=request.secure or request.headers.get("Origin", "").startswith("https://"),
        )
        return response

    async def _log_out(self, request: web.Request) -> web.Response:
        self._access.log_out(request)
        response = web.json_response({})
        response.del_cookie(cookie_of(request))
        return response


TAG = "Changes"
ROLLBACK = "Let the previous version serve again, at once, with log and store away too"
TRIAL = "Start, pause, resume, skip a step of, or abort the trial of a candidate"
PROMOTE = "Let the candidate serve everybody now"
LEARN = "Learn again, after a reset"
ORDER = "Make one generation now, in any mode of the learner"
RESET = "Let the base serve again, bit for bit, and learn nothing until told"
_ERRORS = (*ANY_ERROR, HTTPStatus.CONFLICT)


def _change(path: str, handler: Handler, summary: str) -> Operation:
    return Operation(
        "POST", path, handler, summary, TAG,
        answer=Told, error=ErrorBody, body=ChangeRequest, errors=_ERRORS, versioned=False,
        keyed=True,
    )  # fmt: skip


def _order(path: str, handler: Handler) -> Operation:
    return Operation(
        "POST", path, handler, ORDER, TAG,
        answer=Ordered, error=ErrorBody, body=OrderRequest, errors=_ERRORS, versioned=False,
        keyed=True,
    )  # fmt: skip


def _compare(handler: Handler) -> Operation:
    return Operation(
        "POST", "/api/versions/compare", handler, "Answer the same prompts on two versions",
        "Versions", answer=Compared, error=ErrorBody, body=CompareRequest, errors=_ERRORS,
        versioned=False, keyed=True,
    )  # fmt: skip


def _session(method: Method, handler: Handler, summary: str) -> Operation:
    return Operation(
        method, "/operator/session", handler, summary, "Session",
        answer=Session if method == "GET" else Done, error=ErrorBody,
        body=LoginRequest if method == "POST" else None, versioned=False, keyed=method != "POST",
    )  # fmt: skip
