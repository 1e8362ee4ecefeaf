"""Access to the console: operators with a key, or, where no key is set, whoever is at this machine.

A browser proves itself by a cookie that scripts cannot read and other sites cannot send, and proves
each write by its Origin and a token that only our own page knows. The chat page of the same machine
is another port of the same site, so the cookie alone proves nothing. A program proves itself by its
key as bearer; where no key is set, by not being a browser.

What is grave asks for the key again (a step up), so that a session that somebody left open is not
enough for it; a program's request carries the key anyway.
"""

import hmac
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from agent.console.access.guesses import Guesses, of_address, of_key, of_name
from agent.console.ports import Service
from agent.errors import BindError, BusyError, ForbiddenError, KeyRefusedError
from agent.http.auth import Keys
from agent.http.origins import name_in
from agent.settings import Role, is_loopback
from streams.clock import passed

COOKIE: Final = "quickset_operator"
TOKEN_HEADER: Final = "X-CSRF-Token"
STEP_UP_HEADER: Final = "X-Step-Up"
# A page says with it that it asks by itself, and nobody has done anything (static/live.js).
RENEWAL_HEADER: Final = "X-Renewal"
LISTENS: Final = "/live"  # where a page hears that something has changed; opened again by itself
MAX_SESSIONS: Final = 256  # of all operators; far more than have a browser open
LOCAL: Final = "local operator"


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator, what they may do, and how they proved who they are."""

    name: str
    role: Role
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    cookie: str = field(default="", repr=False)  # of their session; empty: none
    browser: bool = True  # False: a program with a bearer key


@dataclass(slots=True)
class _Session:
    operator: Operator
    until_s: float
    seen_s: float  # when somebody last asked for something with it


class Access:
    """The operators' keys and the sessions opened with them, in memory only."""

    def __init__(self, service: Service, *, clock: Callable[[], float] = passed) -> None:
        """Take the keys of the settings.

        clock: seconds since any moment; a session that sleeps with its machine goes idle, too
        raises: BindError when other machines could reach a console that asks for no key
        """
        settings = service.settings
        self._keys = Keys({name: key.hash for name, key in settings.operator_keys.items()})
        self._roles: Mapping[str, Role] = {n: key.role for n, key in settings.operator_keys.items()}
        self._events, self._refusals = service.events, service.metrics.operator_refusals
        self._clock = clock
        self._session_s, self._idle_s = settings.session_s, settings.session_idle_s
        self._sessions: dict[str, _Session] = {}
        self._guesses = Guesses(clock, told=self._tell_locked)
        # Whoever is at this machine can edit the settings and the log anyway.
        self._local = Operator(LOCAL, "admin")
        self._host = settings.console_host
        if not self._keys and not is_loopback(self._host):
            raise BindError(
                f"the console at {self._host} can be reached from other machines: set"
                " agent.operator_keys first, or agent.console_host = 127.0.0.1"
            )

    @property
    def asks_for_key(self) -> bool:
        """Whether operators must log in."""
        return bool(self._keys)

    def operator_of(self, request: web.Request) -> Operator:
        """Return the operator behind a request; their session is not idle from here on.

        What a page asks by itself, as long as it is open, is no use of the session.

        raises: KeyRefusedError, BusyError (too many wrong keys), ForbiddenError (a page of another
            name that resolves to this machine)
        """
        if not self._keys:
            self._prove_local_name(request)
            return self._local
        bearer = request.headers.get("Authorization", "")
        if bearer.startswith("Bearer "):
            name = self._name_of(bearer.removeprefix("Bearer "), of_address(request.remote))
            return Operator(name, self._roles[name], browser=False)
        session = self._open(request.cookies.get(cookie_of(request), ""))
        if session is None:
            raise KeyRefusedError("log in with an operator key, or send it as bearer")
        if RENEWAL_HEADER not in request.headers and request.path != LISTENS:
            session.seen_s = self._clock()
        return session.operator

    def lasts(self, operator: Operator) -> bool:
        """Whether an operator is still let in: their session has neither ended nor gone idle."""
        return not operator.cookie or self._open(operator.cookie) is not None

    def prove_write(self, request: web.Request, operator: Operator) -> None:
        """Prove that a write comes from our own page or from a program, not from another page.

        raises: ForbiddenError
        """
        if not operator.browser:
            return
        from_program = "Origin" not in request.headers and "Sec-Fetch-Site" not in request.headers
        if from_program and operator is self._local:
            return
        self.prove_own_page(request)
        if not _equal(request.headers.get(TOKEN_HEADER, ""), operator.csrf):
            self.count_refusal("csrf")
            raise ForbiddenError(f"{TOKEN_HEADER} is missing or stale: reload the page")

    def prove_own_page(self, request: web.Request) -> None:
        """Prove that a browser's request comes from a page of this origin, or count its refusal.

        raises: ForbiddenError
        """
        origin = request.headers.get("Origin", "").partition("://")[2]
        if not origin or origin.lower() != request.host.lower():
            self.count_refusal("origin")
            raise ForbiddenError("this request comes from another page")

    def prove_step_up(self, request: web.Request, operator: Operator) -> None:
        """Prove that the operator holds their key now, where a session opened it some time ago.

        Nothing is asked of a program, whose request has the key, or where no key is set.

        raises: ForbiddenError, with the code step_up; BusyError
        """
        if not operator.browser or operator is self._local:
            return
        key = request.headers.get(STEP_UP_HEADER, "").strip()
        if not key:
            self.count_refusal("step-up")
            raise ForbiddenError(f"give your key again, as {STEP_UP_HEADER}", code="step_up")
        sources = of_address(request.remote), of_name(operator.name)
        name = self._known(key, *sources)
        if name is not None and name != operator.name:
            self._count_wrong(sources)  # somebody else's key proves nothing of this session
        if name != operator.name:
            raise ForbiddenError(f"this is not the key of {operator.name}", code="step_up")

    def log_in(self, request: web.Request, key: str) -> str:
        """Open a session for a key, end the one that the browser had, return its cookie's value.

        raises: KeyRefusedError, BusyError
        """
        name = self._name_of(key, of_address(request.remote))
        self.log_out(request)
        self._sessions = {c: s for c, s in self._sessions.items() if self._lives(s)}
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]  # the oldest
        now_s, cookie = self._clock(), secrets.token_urlsafe(32)
        operator = Operator(name, self._roles[name], cookie=cookie)
        self._sessions[cookie] = _Session(operator, now_s + self._session_s, now_s)
        return cookie

    def log_out(self, request: web.Request) -> None:
        """End the session of a request's cookie."""
        self._sessions.pop(request.cookies.get(cookie_of(request), ""), None)

    def count_refusal(self, why: str) -> None:
        """Count a request that is not let in. why: a few words that are a label of the metric."""
        self._refusals.labels(why).inc()

    def _open(self, cookie: str) -> _Session | None:
        session = self._sessions.get(cookie)
        return session if session is not None and self._lives(session) else None

    def _lives(self, session: _Session) -> bool:
        now_s = self._clock()
        idle = self._idle_s and now_s - session.seen_s > self._idle_s
        return session.until_s >= now_s and not idle

    def _name_of(self, key: str, address: str) -> str:
        name = self._known(key, address)
        if name is None:
            raise KeyRefusedError("this is no operator key")
        return name

    def _known(self, key: str, *sources: str) -> str | None:
        """The name of a key; a wrong one is counted. Raises: BusyError after too many."""
        sources = (*sources, of_key(key))
        try:
            self._guesses.prove_few(sources)
        except BusyError:
            self.count_refusal("locked-out")
            raise
        known = self._keys.known(key)
        if known is None:
            self._count_wrong(sources)
            return None
        return known[0]

    def _count_wrong(self, sources: Sequence[str]) -> None:
        self.count_refusal("wrong-key")
        self._guesses.count(sources)

    def _tell_locked(self, source: str) -> None:
        self._events.add("locked-out", f"{source}: too many wrong operator keys")

    def _prove_local_name(self, request: web.Request) -> None:
        """Refuse a page whose own name was made to resolve to this machine (DNS rebinding)."""
        name = name_in(request.host) or ""
        if not is_loopback(name) and name != self._host:
            self.count_refusal("origin")
            raise ForbiddenError(f"open the console as http://{self._host}:PORT, not as {name}")


def cookie_of(request: web.Request) -> str:
    """Name the cookie of a console, by its port: a browser sends it to every port of a name."""
    port = re.search(r":([0-9]{1,5})$", request.host)
    return f"{COOKIE}_{port[1]}" if port else COOKIE


def _equal(given: str, known: str) -> bool:
    """Compare in constant time, also what is no UTF-8."""
    return hmac.compare_digest(
        given.encode("utf-8", "surrogateescape"), known.encode("utf-8", "surrogateescape")
    )
