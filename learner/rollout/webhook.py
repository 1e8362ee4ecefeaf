"""Tells a webhook when a trial was held, aborted or completed: signed, retried, each at least once.

The body is JSON; `X-Quickset-Signature: sha256=…` is its HMAC-SHA-256 under the secret, in hex, and
`X-Quickset-Delivery` the record's id, the same at every try, by which a receiver knows a second
one. How far it has been told is kept in the store, so that a restart tells what is owed; the first
start begins with what comes after it. Changes are told in order: one that fails is tried again,
more and more seldom, and given up after a day, as somebody who is told a day late is not helped.

A thread of its own does it; learning never waits for somebody else's server.
"""

import base64
import hashlib
import hmac
import json
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from sqlmodel import Session, col, func, select

from streams.errors import StoreUnavailableError
from streams.records import Json, State
from streams.settings import RolloutSettings, masked, secret_in
from streams.store.store import Store
from streams.store.tables import NoticeRow, RolloutRow

_LOG = logging.getLogger(__name__)

TOLD: Final[frozenset[State]] = frozenset({"held", "aborted", "completed"})
# Between two looks for changes, and between two tries, growing from the first to the last.
LOOK_S: Final = 1.0
RETRY_S: Final = (2.0, 600.0)
# 2 s doubled up to 600 s, then 600 s each: about a day.
TRIES: Final = 150
TIMEOUT_S: Final = 10.0

Send = Callable[[str, bytes, Mapping[str, str]], None]


class Webhook:
    """What is owed to one webhook about one line."""

    def __init__(
        self, store: Store, *, line: str, url: str, secret: bytes, send: Send | None = None
    ) -> None:
        """Tell nothing yet.

        send: POSTs a body with headers, and raises OSError or HTTPException when it fails
        """
        self._store, self._line, self._url, self._secret = store, line, url, secret
        self._name = masked(url)  # in our own log
        self._send = send or post
        self._failed = 0

    def step(self) -> float:
        """Tell what is owed, and return for how long nothing need be done, in seconds.

        raises: StoreUnavailableError
        """
        with self._store.reading() as session:
            owed = self._owed(session)
        for change in owed:
            if not self._tell(change):
                return min(RETRY_S[0] * 2.0 ** min(self._failed - 1, 10), RETRY_S[1])
            with self._store.transaction() as session:
                session.merge(NoticeRow(line=self._line, seq=change.seq))
        return LOOK_S

    def _owed(self, session: Session) -> list[RolloutRow]:
        notice = session.get(NoticeRow, self._line)
        if notice is None:
            newest = select(func.max(RolloutRow.seq)).where(RolloutRow.line == self._line)
            seq = session.exec(newest).one() or 0
            with self._store.transaction() as writing:
                writing.merge(NoticeRow(line=self._line, seq=seq))
            return []
        later = select(RolloutRow).where(RolloutRow.line == self._line, RolloutRow.seq > notice.seq)
        return list(session.exec(later.order_by(col(RolloutRow.seq))))

    def _tell(self, change: RolloutRow) -> bool:
        """Return whether a change was told, needed no telling, or is given up."""
        if change.state not in TOLD or change.candidate is None:
            return True
        body = json.dumps(body_of(change), ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Quickset-Delivery": change.id,
            "X-Quickset-Signature": signature(self._secret, body),
        }
        try:
            self._send(self._url, body, headers)
        except (OSError, HTTPException) as cause:
            self._failed += 1
            if self._failed < TRIES:
                _LOG.warning("%s could not be told of %s: %r", self._name, change.state, cause)
                return False
            _LOG.error("%s was not told that %s is %s", self._name, change.candidate, change.state)
        self._failed = 0
        return True


def body_of(change: RolloutRow) -> Json:
    """Return what is told of a change."""
    return {
        "event": f"rollout.{change.state}",
        "line": change.line,
        "seq": change.seq,
        "candidate": change.candidate,
        "serving": change.version,
        "step": change.step,
        "reason": change.reason,
        "who": change.who,
        "created_ms": change.created_ms,
    }


def signature(secret: bytes, body: bytes) -> str:
    """Sign a body: what a receiver compares with X-Quickset-Signature.

    >>> signature(b"secret", b"{}")[:16]
    'sha256=77325902c'
    """
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


class _Staying(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect an answer like any other: a POST that follows one has no body any more."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""


def post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """POST a body; any answer but 2xx is a failure.

    raises: OSError; HTTPException when the answer is not HTTP
    """
    url, allowed = apart(url)
    request = urllib.request.Request(url, body, {**headers, **allowed}, method="POST")
    with urllib.request.build_opener(_Staying).open(request, timeout=TIMEOUT_S):
        pass


def apart(url: str) -> tuple[str, dict[str, str]]:
    """Part a URL from its user and password, which urllib takes for a host: they are a header.

    >>> apart("https://bot:s3cret@host/hook")
    ('https://host/hook', {'Authorization': 'Basic Ym90OnMzY3JldA=='})
    """
    parts = urlsplit(url)
    told, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    user, _, password = told.partition(":")
    basic = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    return parts._replace(netloc=host).geturl(), {"Authorization": f"Basic {basic}"}


@contextmanager
def notifying(settings: RolloutSettings, store: Store, *, line: str) -> Iterator[None]:
    """Tell the webhook of the settings, if there is one, in a thread for as long as the block."""
    if settings.webhook is None or settings.webhook_secret is None:
        yield
        return
    secret = secret_in("rollout.webhook_secret", settings.webhook_secret)
    webhook = Webhook(store, line=line, url=settings.webhook, secret=secret)
    stop = threading.Event()

    def run() -> None:
        wait_s = 0.0
        while not stop.wait(wait_s):
            try:
                wait_s = webhook.step()
            except StoreUnavailableError as cause:
                _LOG.warning("%s; the webhook waits", cause)
                wait_s = RETRY_S[0]
            except Exception:
                _LOG.exception("the webhook could not be told")
                wait_s = RETRY_S[1]

    thread = threading.Thread(target=run, name="webhook", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(TIMEOUT_S)
