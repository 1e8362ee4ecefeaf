"""Follows `recipes` and `rollouts`, and takes the version that the log decides on into service.

A thread of its own builds each version aside; the engine flips to it between two decode steps.
What cannot be built, or fails a check, leaves the serving version as it is, and is counted, told as
an event and shown by /health/ready. A rollback flips first and is written down afterwards, so it
needs neither log nor store; until the log has it, nothing else is taken into service.

Knows nothing of HTTP; the weights' own checks are in agent.weights.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from agent.errors import NoPreviousError, SwapError
from agent.events import Events
from agent.metrics import Metrics
from streams.errors import ConflictError, LogUnavailableError, RecordError
from streams.line import Line
from streams.log import Entry, Log, Outgoing, Partition, Subscription, Topic, outgoing
from streams.records import Mask, Recipe, Rollout, decode

TOPICS: tuple[Topic, ...] = ("recipes", "rollouts")
POLL_S = 0.1
RETRY_S = (0.2, 5.0)  # between two tries while the log is away, growing from the first to the last

_LOG = logging.getLogger(__name__)


class Versions(Protocol):
    """The resident versions: agent.weights.Residents."""

    @property
    def serving(self) -> str: ...

    def add_mask(self, mask: Mask) -> None: ...

    def add_recipe(self, recipe: Recipe) -> None: ...

    def promote(self, version: str) -> None:
        """Build a version aside if it is not resident, prove it, flip. Raises: any failed check."""
        ...


@dataclass(frozen=True, slots=True)
class Following:
    """How far this agent has come, for /health/ready and the console."""

    caught_up: bool  # everything that was in the log at the start has been read
    away: str | None  # why the log cannot be read now
    pending: str | None  # the version that should serve and whose chain is not known yet
    failed: str | None  # the version that should serve and failed a check, with the reason
    line: Line


class Follower:
    """Drives the resident versions from the log; `start` and `stop` it once."""

    def __init__(
        self,
        log: Log,
        versions: Versions,
        *,
        line: str,
        base: str,
        put: Callable[[list[Outgoing]], Future[bool]],
        events: Events,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
        poll_s: float = POLL_S,
    ) -> None:
        """Take what is driven and what is read.

        base: name of the base model, which serves before the first rollout
        put: hands records to the spool (streams.spool.Spool.put)
        clock: Unix seconds
        poll_s: how long a stop or an operator's change may go unnoticed in the thread
        """
        self._log, self._versions, self._put = log, versions, put
        self._poll_s = poll_s
        self._events, self._metrics, self._clock = events, metrics, clock
        self._lock = threading.Lock()
        self._line = Line(line, (base,))
        self._unwritten: Rollout | None = None  # a rollback that the log does not have yet
        self._masks: set[str] = set()
        self._recipes: dict[str, Recipe] = {}
        self._whole = {base}  # versions whose chain is known to be complete
        self._failed: tuple[int, str] | None = None  # seq, reason
        self._positions: dict[Partition, int] = {}
        self._ends: dict[Partition, int] | None = None
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
        """Say how far this agent has come. Any thread may ask."""
        with self._lock:
            line = self._decided()
            failed = self._failed[1] if self._failed and self._failed[0] == line.seq else None
            known = self._known(line.version)
        return Following(
            caught_up=self._caught_up.is_set(),
            away=self._away,
            pending=None if known else line.version,
            failed=failed,
            line=line,
        )

    def rollback(self, who: str, reason: str, expected_seq: int | None = None) -> Rollout:
        """Take the previous version back into service now, then write it down.

        expected_seq: the line's seq that the operator saw; None: whatever it is
        raises: ConflictError when the line has changed since; NoPreviousError; SwapError when the
            previous version cannot be taken (the one that served serves on)
        """
        with self._lock:
            line, before = self._decided(), self._unwritten
            if expected_seq not in (None, line.seq):
                raise ConflictError(
                    f"the line {line.name} was changed meanwhile (seq {line.seq}, not "
                    f"{expected_seq}): look again, then decide"
                )
            if line.previous is None:
                raise NoPreviousError(f"the line {line.name} is at its base already")
            rollout = self._make_rollback(line, line.previous, who, reason)
            self._unwritten = rollout
        try:
            self._versions.promote(rollout.version)
        except Exception as cause:
            with self._lock:
                self._unwritten = before
            self._metrics.failed_swaps.labels(type(cause).__name__).inc()
            raise SwapError(f"{rollout.version} cannot be taken back: {cause}") from cause
        self._metrics.swaps.labels("rollback").inc()
        self._events.add("rollback", f"{who} took {rollout.version} back: {reason}")
        self._write_down(rollout)
        return rollout

    def _decided(self) -> Line:
        """Give the line with an unwritten rollback in it. Holds: the lock."""
        return self._line.take(self._unwritten) if self._unwritten else self._line

    def _known(self, version: str) -> bool:
        """Tell whether a version's whole chain, masks too, is here. Holds: the lock."""
        walked: list[str] = []
        while version not in self._whole:
            recipe = self._recipes.get(version)
            if recipe is None or recipe.mask not in self._masks:
                return False
            walked.append(version)
            version = recipe.parent
        self._whole.update(walked)
        return True

    def _make_rollback(self, line: Line, version: str, who: str, reason: str) -> Rollout:
        return Rollout(
            id=uuid.uuid4().hex,
            line=line.name,
            seq=line.seq + 1,
            version=version,
            previous=line.version,
            state="aborted",
            verb="rollback",
            reason=reason,
            who=who,
            created_ms=int(self._clock() * 1000),
        )

    def _write_down(self, rollout: Rollout) -> None:
        def told(done: Future[bool]) -> None:
            if done.cancelled() or not done.result():
                self._events.add(
                    "rollback-unwritten",
                    f"{rollout.version} serves, but the disk did not take the rollback: "
                    "a restart forgets it",
                )

        self._put([outgoing("rollouts", rollout.line, rollout)]).add_done_callback(told)

    def _run(self) -> None:
        retry_s = RETRY_S[0]
        while not self._stop.is_set():
            try:
                subscription = self._subscribe()
                try:
                    while not self._stop.is_set():
                        self._step(subscription)
                        retry_s = RETRY_S[0]
                finally:
                    subscription.close()
            except LogUnavailableError as cause:
                self._lose_log(str(cause))
            except Exception as cause:
                # A thread that died here would leave this agent behind for ever, unnoticed.
                _LOG.exception("following failed and begins again")
                self._lose_log(repr(cause))
            self._stop.wait(retry_s)
            retry_s = min(retry_s * 2, RETRY_S[1])

    def _subscribe(self) -> Subscription:
        if self._ends is None:
            ends = [self._log.end_offsets(topic) for topic in TOPICS]
            self._ends = {p: end for each in ends for p, end in each.items() if end > 0}
        return self._log.subscribe(TOPICS, group=None, positions=lambda _: dict(self._positions))

    def _step(self, subscription: Subscription) -> None:
        """Read what there is, to the end; then take what the last record decides into service."""
        entries = subscription.poll(wait_s=self._poll_s)
        idle = not entries
        while entries and not self._stop.is_set():
            for entry in entries:
                self._take(entry)
                self._positions[entry.partition] = entry.offset + 1
            entries = subscription.poll(wait_s=0)
        if self._away is not None:
            self._events.add("log-back", "the log can be read again")
            self._away = None
        self._steer()
        # An idle poll says it too: on Kafka the last offsets may be marks that no reader sees.
        if idle or self._reached_ends():
            self._caught_up.set()

    def _reached_ends(self) -> bool:
        return all(self._positions.get(p, 0) >= end for p, end in (self._ends or {}).items())

    def _lose_log(self, why: str) -> None:
        if self._away is None:
            self._events.add("log-away", f"the log cannot be read, serving on: {why}")
        self._away = why

    def _take(self, entry: Entry) -> None:
        try:
            record = decode(entry.value)
            match record:
                case Mask():
                    self._versions.add_mask(record)
                    with self._lock:
                        self._masks.add(record.digest)
                case Recipe():
                    self._versions.add_recipe(record)
                    with self._lock:
                        self._recipes[record.version] = record
                case Rollout():
                    self._decide(record)
        except (RecordError, SwapError) as cause:
            self._metrics.unreadable.inc()
            place = f"{entry.partition.topic} {entry.partition.number} at {entry.offset}"
            self._events.add("unreadable", f"{place}: {cause}")

    def _decide(self, rollout: Rollout) -> None:
        """Take a rollout of the log into account; an operator's unwritten rollback outlives it."""
        again: Rollout | None = None
        with self._lock:
            self._line, before = self._line.take(rollout), self._line
            ours = self._unwritten
            if self._line is before or ours is None:
                return
            self._unwritten = None
            if rollout.id != ours.id and self._line.version != ours.version:
                # Somebody else's change came first. The operator saw the line before it, and
                # took a version back that it may stand on: the decision holds for it as well.
                again = self._make_rollback(self._line, ours.version, ours.who, ours.reason)
                self._unwritten = again
        if again is not None:
            self._write_down(again)

    def _steer(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                line = self._decided()
                failed = self._failed is not None and self._failed[0] == line.seq
                if failed or not self._known(line.version):
                    return
            if self._versions.serving == line.version:
                return
            self._swap(line)

    def _swap(self, line: Line) -> None:
        before, began_s = self._versions.serving, time.monotonic()
        try:
            self._versions.promote(line.version)
        except Exception as cause:
            # Whatever went wrong while building aside, the version that served serves on.
            _LOG.debug("swap failed", exc_info=True)
            with self._lock:
                self._failed = (line.seq, f"{line.version}: {cause or repr(cause)}")
            self._metrics.failed_swaps.labels(type(cause).__name__).inc()
            self._events.add("swap-failed", f"{before} serves on, {line.version} failed: {cause}")
            return
        took_s = time.monotonic() - began_s
        self._metrics.swaps.labels(line.verb).inc()
        self._metrics.swap_s.observe(took_s)
        self._events.add("swap", f"{line.version} serves after {before}, ready in {took_s:.2f} s")
