"""What should serve, as the log decides it, and as operators have decided ahead of the log.

What goes back, a rollback or a reset, is in force from the moment it is intended: until the log has
it, it stands on top of whatever the log says. If somebody else's change reached the log first, it
is made again behind that change, because the version it took back may be what the change stands on.
So is what an earlier process intended, as long as it waits on this machine's disk.

Any thread may ask. Knows nothing of weights or recipes (agent.swap.book), or of how records are
read and written.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from agent.errors import NoPreviousError, SwapError
from streams.line import verbs
from streams.line.line import Line
from streams.line.offer import prove_seen
from streams.line.verbs import Audit
from streams.records import Rollout, Verb

GOING_BACK: Final[frozenset[Verb]] = frozenset({"rollback", "reset"})  # in force ahead of the log
CHANGES: Final = 50  # the last ones that are kept: two screens of an audit


class Decisions:
    """The line that this agent serves."""

    def __init__(
        self,
        line: str,
        *,
        base: str,
        left: Sequence[Rollout] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin with the base.

        left: what an earlier process intended and the log may not have, oldest first
        clock: Unix seconds
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._line, self._base = Line(line, (base,)), base
        self._unwritten = list(left)  # what the log does not have yet
        self._changes: deque[Rollout] = deque(maxlen=CHANGES)  # that counted, oldest first

    @property
    def unwritten(self) -> int:
        """How many rollbacks and resets the log does not have yet."""
        return len(self._unwritten)

    def line(self) -> Line:
        """Return the line as it is decided now."""
        with self._lock:
            return self._decided()

    def changes(self) -> tuple[Rollout, ...]:
        """Return the last changes that count, newest first: those intended here, too."""
        with self._lock:
            return (*self._changes, *self._unwritten)[::-1]

    def take(self, rollout: Rollout) -> Rollout | None:
        """Take a rollout of the log into account.

        returns: ours to be written down again, because this rollout came before it; else None
        """
        with self._lock:
            self._line, before = self._line.take(rollout), self._line
            if self._line is before:
                return None
            self._changes.append(rollout)
            if not self._unwritten or rollout.seq < min(each.seq for each in self._unwritten):
                return None  # nothing is ours, or it is from before what was left to us
            if rollout.id == self._unwritten[0].id:
                del self._unwritten[0]
                return None
            last = self._unwritten[-1]
            self._unwritten.clear()
            line = self._line
            if last.verb == "reset":
                return self._reset(line, last.who, last.reason)
            if last.version == line.version or last.version not in line.served:
                return None  # it serves again, or the other change went back further
            audit = self._audit(last.who, last.reason)
            again = verbs.rollback(line, audit, to=last.version)
            self._unwritten.append(again)
            return again

    def intend(
        self,
        who: str,
        reason: str,
        *,
        expected_seq: int | None = None,
        without: Mapping[str, str] = MappingProxyType({}),
    ) -> Rollout:
        """Put a rollback in force, to the newest earlier version.

        expected_seq: the line's seq that the operator saw; None: whatever it is
        without: versions that cannot be taken, and why
        raises: ConflictError when the line has changed since; NoPreviousError; SwapError when
            every earlier version is without
        """
        with self._lock:
            line = self._decided()
            prove_seen(line, expected_seq)
            if line.previous is None:
                raise NoPreviousError(f"the line {line.name} is at its base already")
            earlier = [version for version in line.served[:-1] if version not in without]
            if not earlier:
                reasons = "; ".join(f"{version}: {why}" for version, why in without.items())
                raise SwapError(f"no earlier version of {line.name} can be taken: {reasons}")
            rollout = verbs.rollback(line, self._audit(who, reason), to=earlier[-1])
            self._unwritten.append(rollout)
            return rollout

    def intend_reset(self, who: str, reason: str, *, expected_seq: int | None = None) -> Rollout:
        """Put the base in force, and stop learning.

        expected_seq: the line's seq that the operator saw; None: whatever it is
        raises: ConflictError when the line has changed since; VerbRefusedError when it is done
        """
        with self._lock:
            line = self._decided()
            prove_seen(line, expected_seq)
            rollout = verbs.reset(line, self._base, self._audit(who, reason))
            self._unwritten.append(rollout)
            return rollout

    def withdraw(self, rollout: Rollout) -> None:
        """Take back the intention of what could not be carried out."""
        with self._lock:
            if rollout in self._unwritten:
                self._unwritten.remove(rollout)

    def _reset(self, line: Line, who: str, reason: str) -> Rollout | None:
        """Reset the line again, as it is now; None: it is reset."""
        if "reset" not in verbs.valid(line):
            return None
        again = verbs.reset(line, self._base, self._audit(who, reason))
        self._unwritten.append(again)
        return again

    def _decided(self) -> Line:
        line = self._line
        for rollout in self._unwritten:
            line = line.take(rollout)
        return line

    def _audit(self, who: str, reason: str) -> Audit:
        return Audit.new(who, reason, int(self._clock() * 1000))
