"""Spans of what an agent does to a line: a swap, and a change that an operator made here."""

import secrets
import time
from collections.abc import Callable

from streams.line.line import Line
from streams.records import Rollout
from streams.trace import places
from streams.trace.changes import tell_rollout
from streams.trace.contract import Tracer


class Spans:
    """The spans of one agent."""

    def __init__(self, tracer: Tracer, *, clock: Callable[[], float] = time.time) -> None:
        """Begin. clock: Unix seconds."""
        self._tracer, self._clock = tracer, clock
        self._agent = secrets.token_hex(4)  # one of several replicas, each of which swaps

    def swap(self, line: Line, took_s: float, *, failed: str | None = None) -> None:
        """Tell that the version which a line decided was taken into service here, or not."""
        if not self._tracer.on:
            return
        now_s = self._clock()
        self._tracer.span(
            "swap",
            places.swap(line.version, line.change, self._agent),
            began_s=now_s - took_s,
            ended_s=now_s,
            parent=places.rollout(line.version, line.change),
            failed=failed,
            attributes={
                "line": line.name, "version": line.version, "seq": line.seq, "verb": line.verb,
                "agent": self._agent,
            },
        )  # fmt: skip

    def change(self, made: Rollout) -> None:
        """Tell a change that was made here."""
        tell_rollout(self._tracer, made, now_s=self._clock())
