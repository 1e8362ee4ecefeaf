"""Follows the log, and has what it decides taken into service: a version, a candidate beside it.

A thread of its own reads, and builds each version aside (swapper.py); the engine flips to it
between two decode steps. A rollback flips first and is written down afterwards, so it needs neither
log nor store.

Knows nothing of HTTP. What should serve is decided in decisions.py, weights are proved in
residents.py.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from agent.errors import SwapError
from agent.swap.ahead import telling
from agent.swap.decisions import GOING_BACK, Decisions
from agent.swap.spans import Spans
from agent.swap.swapper import SupportsPromote, Swapper
from agent.watch.events import Events, Kind
from agent.watch.metrics import Metrics
from streams.backoff import Backoff
from streams.errors import ConflictError, LogUnavailableError, RecordError
from streams.line.line import Line
from streams.log.contract import Entry, Log, Outgoing, Partition, Subscription, Topic, outgoing
from streams.records import Candidate, Forgotten, Mask, Note, Recipe, Rollout, decode
from streams.trace.contract import NO_TRACER, Tracer

TOPICS: tuple[Topic, ...] = ("recipes", "rollouts", "forgotten", "notes")
POLL_S = 0.1
_BEGIN_POLL_S = 0.01  # at the start, when requests wait for it
RETRY_S = (0.2, 5.0)  # between two tries while the log is away, growing from the first to the last
# What an operator took back before a start is made again behind what came first, if it is as young:
# a host that comes back after days knows nothing of what was decided meanwhile.
STANDS_S: Final = 3600.0

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Following:
    """How far this agent has come, for /health/ready and the console."""

    caught_up: bool  # everything that was in the log at the start has been read
    away: str | None  # why the log cannot be read now
    pending: str | None  # the version that should serve and whose chain is not known yet
    failed: str | None  # the version that should serve and failed a check, with the reason
    lacking: str | None  # why the candidate on trial answers nobody here, if it should
    line: Line


class Follower:
    """Drives the resident versions from the log; `start` and `stop` it once."""

    def __init__(
        self,
        log: Log,
        residents: SupportsPromote,
        *,
        line: str,
        base: str,
        put: Callable[[list[Outgoing]], Future[bool]],
        left: Sequence[Outgoing] = (),
        events: Events,
        metrics: Metrics,
        forget: Callable[[Forgotten], None] = lambda _: None,
        note: Callable[[Note], None] = lambda _: None,
        tracer: Tracer = NO_TRACER,
        clock: Callable[[], float] = time.time,
        poll_s: float = POLL_S,
    ) -> None:
        """Take what is driven and what is read.

        base: name of the base model, which serves before the first rollout
        put: hands records to the spool (streams.spool.spool.Spool.put)
        left: rollouts that earlier processes left in the spool
        forget: told whose words must be let go, at every start of all that were
        note: told what has become of each note
        clock: Unix seconds
        poll_s: how long a stop or an operator's change may go unnoticed in the thread
        """
        self._log, self._residents, self._put = log, residents, put
        self._forget, self._note = forget, note
        self._poll_s = poll_s
        self._events, self._metrics, self.spans = events, metrics, Spans(tracer)
        self._told_ahead = telling(events, metrics)
        gone_back = _gone_back(left, line)
        since_ms = int((clock() - STANDS_S) * 1000)
        stand = [each for each in gone_back if each.created_ms >= since_ms]
        self.decisions = Decisions(line, base=base, left=stand, clock=clock)
        self._swapper = Swapper(
            residents, self.decisions.line, spans=self.spans, events=events, metrics=metrics
        )
        for rollout in gone_back:
            told = f"{rollout.who} took {rollout.version} back into service"
            kind: Kind = "reset" if rollout.verb == "reset" else "rollback"
            ends = "it stands" if rollout in stand else "too long ago to be made again"
            events.add(kind, f"{told} before this start, and the log may not know: {ends}")
        self._positions: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}  # of the log, when it was begun to be read
        self._away: str | None = None
        self._caught_up = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follow", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following, and wait until a version in the making is done with."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def following(self) -> Following:
        """How far this agent has come. Any thread may ask."""
        line = self.decisions.line()
        return Following(
            caught_up=self._caught_up.is_set(),
            away=self._away,
            pending=None if self._residents.book.is_whole(line.version) else line.version,
            failed=self._swapper.failed(line),
            lacking=self._swapper.lacking(line),
            line=line,
        )

    @property
    def behind(self) -> bool:
        """Whether what the log held at the start is still being read. Any thread may ask."""
        return not self._caught_up.is_set() and self._away is None

    def rollback(self, who: str, reason: str, expected_seq: int | None = None) -> Rollout:
        """Take the previous version back into service now, then write it down.

        A version that cannot be taken is passed over for the one before it, unless the log has come
        to something else meanwhile.

        expected_seq: the line's seq that the operator saw; None: whatever it is
        raises: ConflictError when the line has changed since; NoPreviousError; SwapError when no
            earlier version can be taken (the one that served serves on)
        """
        failed: dict[str, str] = {}
        while True:
            rollout = self.decisions.intend(who, reason, expected_seq=expected_seq, without=failed)
            try:
                self._go_back(rollout)
                break
            except Exception as cause:
                self._swapper.count_failure(rollout.version, cause)
                if not self._stands(rollout):  # what serves by now is not what this operator saw
                    raise ConflictError(
                        f"{rollout.version} could not be taken, and the line {rollout.line} was "
                        "changed meanwhile: look again, then decide"
                    ) from cause
                self.decisions.withdraw(rollout)
                failed[rollout.version] = str(cause)
        self.spans.change(rollout)
        told = f"{who} took {rollout.version} back into service"
        if not self._stands(rollout):
            decided = self.decisions.line().version
            told = f"{who} went back to {rollout.version}, and by then the log to {decided}"
        self._events.add("rollback", f"{told}: {reason}")
        self._write_down(rollout)
        return rollout

    def reset(self, who: str, reason: str, expected_seq: int | None = None) -> Rollout:
        """Serve the base now, which is always in memory, then write it down; nothing is learned.

        expected_seq: the line's seq that the operator saw; None: whatever it is
        raises: ConflictError when the line has changed since; VerbRefusedError when it is done
        """
        rollout = self.decisions.intend_reset(who, reason, expected_seq=expected_seq)
        self._go_back(rollout)
        self.spans.change(rollout)
        self._events.add("reset", f"{who} went back to the base {rollout.version}: {reason}")
        self._write_down(rollout)
        return rollout

    def _go_back(self, back: Rollout) -> None:
        """Flip to an earlier version, unless the log took that back, too, while it was built."""
        stands = partial(self._stands, back)
        if self._residents.promote(back.version, back=True, stands=stands):
            self._metrics.swaps.labels(back.verb).inc()

    def _stands(self, back: Rollout) -> bool:
        """Whether the version that was gone back to is what should serve still."""
        return self.decisions.line().version == back.version

    def _write_down(self, rollout: Rollout) -> None:
        def told(done: Future[bool]) -> None:
            if done.cancelled() or not done.result():
                self._events.add(
                    "rollback-unwritten",
                    f"{rollout.version} serves, but the disk did not take the {rollout.verb}: "
                    "a restart forgets it",
                )

        self._put([outgoing("rollouts", rollout.line, rollout)]).add_done_callback(told)

    def _run(self) -> None:
        backoff = Backoff(*RETRY_S)
        while not self._stop.is_set():
            try:
                with closing(self._subscribe()) as subscription:
                    while not self._stop.is_set():
                        self._step(subscription)
                        backoff.succeeded()
            except LogUnavailableError as cause:
                self._note_log_away(str(cause))
            except Exception as cause:
                # A thread that died here would leave this agent behind for ever, unnoticed.
                _LOG.exception("following failed and begins again")
                self._note_log_away(repr(cause))
            backoff.wait(self._stop)

    def _subscribe(self) -> Subscription:
        if not self._caught_up.is_set():
            ends = [self._log.end_offsets(topic) for topic in TOPICS]
            self._ends = {p: end for each in ends for p, end in each.items()}
        return self._log.subscribe(TOPICS, group=None, positions=lambda _: dict(self._positions))

    def _step(self, subscription: Subscription) -> None:
        """Read what there is, to the end; then take what the last record decides into service."""
        waits_s = self._poll_s if self._caught_up.is_set() else min(self._poll_s, _BEGIN_POLL_S)
        entries = subscription.poll(wait_s=waits_s)
        while entries and not self._stop.is_set():
            for entry in entries:
                self._take(entry)
                self._positions[entry.partition] = entry.offset + 1
            entries = subscription.poll(wait_s=0)
        if self._away is not None:
            self._events.add("log-back", "the log can be read again")
            self._away = None
        self._carry_out()
        self._residents.prepare(self._residents.book.ahead(self.decisions.line()), self._told_ahead)
        if not self._caught_up.is_set() and self._reached_ends(subscription):
            self._caught_up.set()

    def _carry_out(self) -> None:
        """Serve what is decided; what is decided while a candidate is built for that, too."""
        while not self._stop.is_set():
            self._follow_decision()
            line = self.decisions.line()
            self._swapper.try_out(line)
            if line == self.decisions.line():
                return

    def _reached_ends(self, subscription: Subscription) -> bool:
        reached = subscription.reached()
        return all(reached.get(partition, 0) >= end for partition, end in self._ends.items())

    def _note_log_away(self, why: str) -> None:
        if self._away is None:
            self._events.add("log-away", f"the log cannot be read, serving on: {why}")
        self._away = why

    def _take(self, entry: Entry) -> None:
        try:
            record = decode(entry.value)
            match record:
                case Mask():
                    self._residents.book.add_mask(record)
                case Recipe():
                    self._residents.book.add_recipe(record)
                case Candidate():
                    self._residents.book.announce(record)
                case Rollout():
                    self._residents.book.decide(record)
                    again = self.decisions.take(record)
                    if again is not None:
                        self._write_down(again)
                case Forgotten():
                    self._forget(record)
                case Note():
                    self._note(record)
        except (RecordError, SwapError) as cause:
            self._metrics.unreadable.inc()
            place = f"{entry.partition.topic} {entry.partition.number} at {entry.offset}"
            self._events.add("unreadable", f"{place}: {cause}")

    def _follow_decision(self) -> None:
        while not self._stop.is_set():
            line = self.decisions.line()
            if not self._swapper.is_due(line):
                return
            self._swapper.swap(line)


def _gone_back(left: Sequence[Outgoing], line: str) -> list[Rollout]:
    """Return the rollbacks and resets of a line among rollouts that were left in the spool."""
    found: list[Rollout] = []
    for sent in left:
        with suppress(RecordError):  # the follower tells of it, when it comes with the log
            record = decode(sent.value)
            if isinstance(record, Rollout) and record.line == line and record.verb in GOING_BACK:
                found.append(record)
    return found
