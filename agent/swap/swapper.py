"""Takes into service what a line decided: a version, and a candidate on trial beside it.

What cannot be built, or fails a check, leaves the serving version as it is, and is counted, told as
an event and shown by /health/ready; the sessions of a candidate that this agent lacks are answered
by what serves.

Knows nothing of the log.
"""

import logging
import time
from collections.abc import Callable, Collection
from typing import Protocol

from agent.swap.ahead import Told
from agent.swap.book import Book
from agent.swap.residents import Stands
from agent.swap.spans import Spans
from agent.watch.events import Events
from agent.watch.metrics import Metrics
from streams.line.line import Line, Trial
from streams.records import Recipe

_LOG = logging.getLogger(__name__)


class SupportsPromote(Protocol):
    """What versions are taken into service on: agent.swap.residents.Residents."""

    @property
    def serving(self) -> str: ...

    @property
    def served(self) -> Collection[str]:
        """What has served here and was not taken back, what serves too."""

    @property
    def resident(self) -> Collection[str]:
        """What is in memory."""

    @property
    def trial(self) -> Trial | None: ...

    @property
    def book(self) -> Book:
        """What versions are made of."""

    def promote(self, version: str, *, back: bool = False, stands: Stands) -> bool:
        """Build a version aside if it is not resident, prove it, flip. Raises: any failed check.

        back: it is gone back to, and not promoted again
        stands: asked at the flip whether it is decided still; else nothing changes
        returns: whether it was flipped to
        """

    def try_out(self, trial: Trial | None, *, stands: Stands) -> bool:
        """Let a candidate answer its share, built and proved likewise; None: none does.

        stands: as of `promote`
        returns: whether it does so
        """

    def prepare(self, recipe: Recipe | None, told: Told) -> None:
        """Build what may be decided for next, without waiting for it; None: nothing may."""


class Swapper:
    """Drives the resident versions of one line. The follower's thread's, but for what is read."""

    def __init__(
        self,
        residents: SupportsPromote,
        decided: Callable[[], Line],
        *,
        spans: Spans,
        events: Events,
        metrics: Metrics,
    ) -> None:
        """Take what is driven.

        decided: returns the line as it is decided now, which operators change at any moment
        spans, events, metrics: told what was taken, and what failed
        """
        self._residents, self._decided = residents, decided
        self._spans, self._events, self._metrics = spans, events, metrics
        # The change that could not be taken, and the reason: another of the same seq may take its
        # place, as where a rollback passes a version over.
        self._failed: tuple[str, str] | None = None
        self._lacking: str | None = None  # why the candidate on trial answers nobody here
        self._failed_trial = ("", "")  # the candidate that failed a check, and the reason

    def failed(self, line: Line) -> str | None:
        """Return the version that should serve and failed a check, with the reason; or None."""
        failed = self._failed
        return failed[1] if failed and failed[0] == line.change else None

    def lacking(self, line: Line) -> str | None:
        """Return why the candidate on trial answers nobody here, if it should."""
        return self._lacking if line.trial else None

    def is_due(self, line: Line) -> bool:
        """Whether what a line decided is to be taken now: it is whole, and has not failed yet."""
        if self.failed(line) is not None or self._residents.serving == line.version:
            return False
        return self._residents.book.is_whole(line.version)

    def swap(self, line: Line) -> None:
        """Build the version that a line decided aside, prove it, flip; or note why not.

        Where the line has changed meanwhile, nothing is done, and nothing told.
        """
        before, began_s = self._residents.serving, time.monotonic()
        try:
            self._keep_previous(line)
            flipped = self._residents.promote(
                line.version, back=self._is_taken_back(line), stands=self._stands(line)
            )
        except Exception as cause:
            # Whatever went wrong while building aside, the version that served serves on.
            if not self._stands(line)():
                return
            self.count_failure(line.version, cause)
            self._spans.swap(line, time.monotonic() - began_s, failed=str(cause))
            self._failed = (line.change, f"{line.version}: {cause!r}")
            return
        if not flipped:
            return
        took_s = time.monotonic() - began_s
        self._spans.swap(line, took_s)
        self._metrics.swaps.labels(line.verb).inc()
        self._metrics.swap_s.observe(took_s)
        self._events.add("swap", f"{line.version} serves after {before}, ready in {took_s:.2f} s")

    def try_out(self, line: Line) -> None:
        """Let the candidate on trial answer its share beside what should serve, or nobody.

        Where the line has changed meanwhile, nothing is done, and nothing told.
        """
        trial, stands = line.trial, self._stands(line)
        if trial and not trial.share and not trial.unseen:
            trial = None
        why_not = self._why_not(line, trial) if trial else None
        wanted = None if why_not else trial
        if wanted != self._residents.trial:
            try:
                taken = self._residents.try_out(wanted, stands=stands)
            except Exception as cause:
                # What serves answers its sessions, and the learner sees that it does.
                self._residents.try_out(None, stands=stands)
                why_not = repr(cause)
                self._failed_trial = (trial.version if trial else "", why_not)
            else:
                if wanted is not None and taken:
                    share = f"{wanted.share:.0%} of the sessions" if wanted.share else "unseen"
                    self._events.add("trial", f"{wanted.version} answers {share}")
        if why_not != self._lacking and stands():
            self._lacking = why_not
            if why_not is not None and trial is not None:
                self._metrics.failed_swaps.labels("CandidateLacking").inc()
                told = f"{trial.version} is on trial, and answers nobody here: {why_not}"
                self._events.add("trial-lacking", told)

    def count_failure(self, version: str, cause: Exception) -> None:
        """Tell that a version could not be taken into service."""
        self._metrics.failed_swaps.labels(type(cause).__name__).inc()
        serving = self._residents.serving
        self._events.add("swap-failed", f"{serving} serves on, {version} failed: {cause!r}")

    def _why_not(self, line: Line, trial: Trial) -> str | None:
        """Return why a candidate cannot answer here; None: it can, as far as is known."""
        if self._residents.serving != line.version:
            return f"{line.version}, which it is compared with, does not serve here (yet)"
        if self._failed_trial[0] == trial.version:
            return self._failed_trial[1]
        if not self._residents.book.is_whole(trial.version):
            return "its recipe or mask is missing"
        return None

    def _stands(self, line: Line) -> Stands:
        """Return what tells whether a line is what is decided still."""
        return lambda: self._decided() == line

    def _is_taken_back(self, line: Line) -> bool:
        """Whether what serves here has been taken back: another change may have come since."""
        return self._residents.serving not in line.served

    def _keep_previous(self, line: Line) -> None:
        """Take the previous version on the way, so that a rollback finds it in memory.

        It is there already, unless this agent leaps: at its start, or after it was away. Whatever
        is gone back to, or is in memory, serves at once.
        """
        residents, previous = self._residents, line.previous
        if previous in (None, residents.serving) or line.version in residents.resident:
            return
        back = self._is_taken_back(line)
        if back and (line.version in residents.served or previous not in residents.resident):
            return
        try:
            residents.promote(previous, back=back, stands=self._stands(line))
        except Exception:
            # What serves is another question; a rollback will say this again.
            _LOG.warning("the previous version %s cannot be built", previous)
