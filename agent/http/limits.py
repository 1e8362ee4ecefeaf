"""Keeps one key from taking what the others need: its requests a minute, and its replies at once.

Requests are metered by the generic cell rate algorithm (ITU-T I.371, "virtual scheduling"): one
moment a key, by a clock that nobody sets. Packages for this go by the wall clock, which, set back,
would have everybody wait.

Counts are this process's own, so that n replicas let n times as much pass. Where no keys are set
all are one principal, and nothing is limited.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from agent.errors import BusyError, InvalidError
from agent.settings import AgentSettings
from agent.watch.events import Events
from agent.watch.metrics import Metrics

MINUTE_S: Final = 60.0
RETRY_S: Final = 1  # a reply of the key's own may end at any time
PRINCIPAL: Final = web.RequestKey("principal", str)  # of a request that has been counted


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a key stands with the requests that it may send in a minute."""

    limit: int
    remaining: int  # may be sent at once now
    reset_s: float  # until all of them may be

    def headers(self) -> dict[str, str]:
        """The headers that OpenAI's clients read it from.

        >>> Standing(60, 59, 1.0).headers()["X-RateLimit-Reset-Requests"]
        '1.000s'
        """
        return {
            "X-RateLimit-Limit-Requests": str(self.limit),
            "X-RateLimit-Remaining-Requests": str(self.remaining),
            "X-RateLimit-Reset-Requests": f"{self.reset_s:.3f}s",
        }


class Limits:
    """What each principal has asked for lately. Used from the event loop only."""

    def __init__(
        self,
        settings: AgentSettings,
        *,
        events: Events,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start with nothing asked. clock: seconds since any moment."""
        self._per_minute = settings.requests_per_minute if settings.keys else 0
        self._at_once = settings.replies_per_key if settings.keys else 0
        self._events, self._metrics, self._clock = events, metrics, clock
        self._due_s: dict[str, float] = {}  # when a steady sender's next request would come
        self._replies: Counter[str] = Counter()
        self._noted_s: dict[str, float] = {}

    def count_request(self, principal: str) -> None:
        """Count a request against the minute; one that is refused does not count.

        raises: BusyError when the minute's requests are used up; it says when one is free again
        """
        if not self._per_minute:
            return
        apart_s, now_s = MINUTE_S / self._per_minute, self._clock()
        due_s = max(self._due_s.get(principal, now_s), now_s) + apart_s
        early_s = due_s - now_s - MINUTE_S
        # a rounding's worth of seconds must not refuse the last request of the minute
        if early_s > 1e-6:
            raise self._refused(
                principal,
                "requests_per_minute",
                f"this key may send {self._per_minute} requests a minute",
                retry_s=math.ceil(early_s),
            )
        self._due_s[principal] = due_s

    def standing(self, principal: str) -> Standing | None:
        """Where a principal stands; None where its requests are not limited."""
        if not self._per_minute:
            return None
        used_s = max(self._due_s.get(principal, 0.0) - self._clock(), 0.0)
        free = (MINUTE_S - used_s + 1e-6) * self._per_minute / MINUTE_S
        return Standing(self._per_minute, max(int(free), 0), used_s)

    async def tell_standing(self, request: web.Request, response: web.StreamResponse) -> None:
        """Put a key's standing into the response; for on_response_prepare."""
        principal = request.get(PRINCIPAL)
        if principal is not None and (standing := self.standing(principal)) is not None:
            response.headers.update(standing.headers())

    @contextmanager
    def hold_replies(self, principal: str, count: int) -> Iterator[None]:
        """Hold places for as many replies, until they have ended.

        raises: BusyError when the key would have more replies at once than it may; InvalidError
            when a request alone is more than that
        """
        if 0 < self._at_once < count:
            raise InvalidError(
                f"n: this key may have {self._at_once} replies at once",
                param="n",
                code="invalid_value",
            )
        if self._at_once and self._replies[principal] + count > self._at_once:
            raise self._refused(
                principal,
                "replies_per_key",
                f"this key may have {self._at_once} replies waiting and under way at once",
                retry_s=RETRY_S,
            )
        self._replies[principal] += count
        try:
            yield
        finally:
            self._replies[principal] -= count

    def _refused(self, principal: str, limit: str, message: str, *, retry_s: int) -> BusyError:
        self._metrics.limited.labels(limit).inc()
        now_s = self._clock()
        if now_s - self._noted_s.get(principal, -math.inf) >= MINUTE_S:
            self._noted_s[principal] = now_s
            self._events.add("limited", f"{principal} is over agent.{limit}")
        return BusyError(
            f"{message}: try again in {retry_s} s",
            code="rate_limit_exceeded",
            headers={"Retry-After": str(retry_s)},
        )
