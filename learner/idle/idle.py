"""What a learner does while nothing is due, a little at a step, and gives up when something is.

First the texts are read that generations leave alone, and the base is measured for the gate's
probes, one after the other (kept for every home of the machine: learner.safety.kept); then a
version that came to serve meanwhile is asked the probes that were left out; then what serves is
measured for ever (learner.idle.watching).

A generation that becomes due ends it within a piece of work, about a second; what was kept by then
is not done again.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from learner.guards.unasked import LookBack, SupportsLook
from learner.idle.pace import IdlePause
from learner.idle.watching import Watching
from learner.safety.anchors import Anchors
from learner.safety.gate import Gate
from learner.safety.watched import Watch
from learner.settings import LearnerSettings
from streams.line.line import Line
from streams.store.lease import Writing

_LOG = logging.getLogger(__name__)


class SupportsIdle(SupportsLook, Protocol):
    """The parts of a learner that are needed."""

    @property
    def anchors(self) -> Anchors | None: ...
    @property
    def settings(self) -> LearnerSettings: ...


class Idle:
    """The idle moments of one line's learner. Not shared between threads."""

    def __init__(
        self, gate: Gate, watching: Watching, look_back: LookBack, *, pause: IdlePause
    ) -> None:
        """Do nothing yet.

        gate: whose base is measured; pause: the one that it is measured with
        """
        self._gate, self._watching, self._look_back = gate, watching, look_back
        self._pause = pause
        self._told = 0

    @property
    def progress(self) -> tuple[int, int]:
        """For how many of the gate's probes the base has been measured, and how many there are."""
        return self._gate.progress

    @property
    def is_measured(self) -> bool:
        """Whether the base has been measured for all of them."""
        done, of = self.progress
        return done == of

    def step(
        self,
        parts: SupportsIdle,
        line: Line,
        writing: Writing,
        *,
        is_due: Callable[[], bool],
        now_ms: int,
    ) -> None:
        """Do one thing, or a part of it.

        writing: a transaction of the line's learner; the caller publishes
        is_due: whether something comes before; asked between pieces of work
        """
        with self._pause.until(is_due):
            if self._read_untaught(parts):
                return
            if self._gate.measure_base():
                return
            if self._look_back.look(parts, line, writing, now_ms=now_ms):
                return
            self._watching.step(parts, writing, now_ms=now_ms)

    def _read_untaught(self, parts: SupportsIdle) -> bool:
        """Read what a generation would have to read first; False where there is nothing."""
        settings, anchors = parts.settings, parts.anchors
        if anchors is None or settings.noise != "directed" or anchors.untaught.is_read(settings):
            return False
        anchors.untaught.spared(settings, pause=self._pause)
        return True

    def listening(self, hear: Callable[[], object]) -> AbstractContextManager[None]:
        """Hear what comes while something else is asked of a version, which goes on to its end."""

        def heard() -> bool:
            hear()
            return False

        return self._pause.until(heard)

    def tell(self) -> None:
        """Say in the log how far the measuring of the base is, when that has changed."""
        done, of = self.progress
        if done != self._told:
            _LOG.info("measuring the base: %d of %d probes", done, of)
        self._told = done


def open_idle(gate: Gate, settings: LearnerSettings, pause: IdlePause) -> Idle:
    """Return the idle moments of the settings' line.

    gate: whose base is measured, and whose questions are watched; pause: the one that it pauses by
    """
    watch = Watch(gate.questions) if settings.watch_every else None
    watching = Watching(watch, every=settings.watch_every, line=settings.line)
    return Idle(gate, watching, LookBack(settings), pause=pause)
