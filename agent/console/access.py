"""Access to the console: operators with a key, or, where no key is set, whoever is at this machine.

A browser proves itself by a cookie that scripts cannot read and other sites cannot send, and proves
each write by its Origin and a token that only our own page knows. The chat page of the same machine
is another port of the same site, so the cookie alone proves nothing. A program proves itself by its
key as bearer; where no key is set, by not being a browser.
"""

import hmac
import math
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohttp import web

from agent.errors import BindError, BusyError, ForbiddenError, KeyRefusedError
from agent.http.auth import Keys
from agent.http.origins import is_loopback
from agent.settings import AgentSettings

COOKIE = "quickset_operator"
TOKEN_HEADER = "X-CSRF-Token"
SESSION_S = 12 * 3600.0  # one working day; then the key is asked for again
# A person mistypes a few times; a guess at 256 random bits needs far more than this lets through.
MAX_FAILURES = 10
FAILURES_WINDOW_S = 60.0
LOCAL = "local operator"


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator, and how they proved it."""

    name: str
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    until_s: float = float("inf")
    browser: bool = True  # False: a program with a bearer key


class Guesses:
    """Wrong keys by the address that sent them, so that a guesser locks out nobody else."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wrong: dict[str | None, deque[float]] = {}

    def prove_few(self, address: str | None) -> None:
        """Raises: BusyError while an address has sent too many wrong keys."""
        wrong = self._wrong.get(address)
        if wrong is None or len(wrong) < MAX_FAILURES:
            return
        wait_s = math.ceil(FAILURES_WINDOW_S - (self._clock() - wrong[0]))
        if wait_s > 0:
            raise BusyError(
                f"too many wrong keys: try again in {wait_s} seconds",
                headers={"Retry-After": str(wait_s)},
            )

    def count(self, address: str | None) -> None:
        """Note a wrong key, and forget the addresses that have been quiet since long."""
        now_s = self._clock()
        self._wrong.setdefault(address, deque(maxlen=MAX_FAILURES)).append(now_s)
        self._wrong = {
            who: wrong
            for who, wrong in self._wrong.items()
            if now_s - wrong[-1] < FAILURES_WINDOW_S
        }


class Access:
    """The operators' keys and the sessions opened with them, in memory only."""

    def __init__(
        self, settings: AgentSettings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the keys of the settings.

        raises: BindError when other machines could reach a console that asks for no key
        """
        self._keys = Keys(settings.operator_keys)
        self._clock = clock
        self._sessions: dict[str, Operator] = {}
        self._guesses = Guesses(clock)
        self._local = Operator(LOCAL)
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
        """Return the operator behind a request.

        raises: KeyRefusedError, BusyError (too many wrong keys), ForbiddenError (a page of another
            name that resolves to this machine)
        """
        if not self._keys:
            self._prove_local_name(request)
            return self._local
        bearer = request.headers.get("Authorization", "")
        if bearer.startswith("Bearer "):
            name = self._name_of(bearer.removeprefix("Bearer "), request.remote)
            return Operator(name, browser=False)
        operator = self._sessions.get(request.cookies.get(COOKIE, ""))
        if operator is None or operator.until_s < self._clock():
            raise KeyRefusedError("log in with an operator key, or send it as bearer")
        return operator

    def prove_write(self, request: web.Request, operator: Operator) -> None:
        """Prove that a write comes from our own page or from a program, not from another page.

        raises: ForbiddenError
        """
        if not operator.browser:
            return
        from_program = "Origin" not in request.headers and "Sec-Fetch-Site" not in request.headers
        if from_program and operator is self._local:
            return
        prove_same_origin(request)
        if not hmac.compare_digest(
            _octets(request.headers.get(TOKEN_HEADER, "")), _octets(operator.csrf)
        ):
            raise ForbiddenError(f"{TOKEN_HEADER} is missing or stale: reload the page")

    def log_in(self, key: str, address: str | None) -> str:
        """Open a session for a key sent from an address, and return its cookie's value.

        raises: KeyRefusedError, BusyError
        """
        now_s = self._clock()
        self._sessions = {c: o for c, o in self._sessions.items() if o.until_s >= now_s}
        cookie = secrets.token_urlsafe(32)
        self._sessions[cookie] = Operator(self._name_of(key, address), until_s=now_s + SESSION_S)
        return cookie

    def log_out(self, request: web.Request) -> None:
        """End the session of a request's cookie."""
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)

    def _name_of(self, key: str, address: str | None) -> str:
        self._guesses.prove_few(address)
        known = self._keys.known(key)
        if known is None:
            self._guesses.count(address)
            raise KeyRefusedError("this is no operator key")
        return known[0]

    def _prove_local_name(self, request: web.Request) -> None:
        """Refuse a page whose own name was made to resolve to this machine (DNS rebinding)."""
        name = urlsplit(f"//{request.host}").hostname or ""
        if not is_loopback(name) and name != self._host:
            raise ForbiddenError(f"open the console as http://{self._host}:PORT, not as {name}")


def _octets(text: str) -> bytes:
    """The bytes of a header, those that are no UTF-8 too."""
    return text.encode("utf-8", "surrogateescape")


def prove_same_origin(request: web.Request) -> None:
    """Prove that a browser's request comes from a page of this origin.

    raises: ForbiddenError
    """
    origin = urlsplit(request.headers.get("Origin", ""))
    if not origin.netloc or origin.netloc.lower() != request.host.lower():
        raise ForbiddenError("this request comes from another page")
