"""Finds replies that may be asked for again, and feedback on any; lets go of what is deleted.

Both are found as soon as they are recorded: until the log has given them back they are in memory. A
thread of its own reads the log, from where it came to before; what another replica recorded is
found when it has been read, so a question for it waits a little, also where the other replica is
only recording it.

Knows nothing of HTTP, nor of any API's JSON.
"""

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Final, TypeVar

from agent.errors import DamagedError, NotFoundError, UnavailableError
from agent.stored.arrivals import Arrivals
from agent.stored.projection import TOPICS, Projection
from agent.turn.response_ids import ResponseIds
from streams.backoff import Backoff
from streams.errors import LogUnavailableError
from streams.keeping import forgotten
from streams.log.contract import Log, Partition, Subscription
from streams.log.mark import other_log
from streams.records import Feedback, Forgotten, Turn

REMEMBERED: Final = 1000  # replies, and feedback, that the log has not given back yet
POLL_S: Final = 0.1
BATCH: Final = 256
# What is recorded so soon after each other is read together, unless somebody asks for it: a reading
# takes the interpreter from the replies some dozens of times.
GATHER_S: Final = 0.5
WAIT_S: Final = 2.0  # how long a question waits for what the log may still hold
RETRY_S: Final = (0.2, 5.0)  # between two tries while the log is away, growing

_LOG = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class Stored:
    """The replies that may be asked for again; `start` and `stop` it once."""

    def __init__(
        self,
        projection: Projection,
        log: Log,
        ids: ResponseIds,
        *,
        poll_s: float = POLL_S,
        wait_s: float = WAIT_S,
        arrive_s: float = WAIT_S,
    ) -> None:
        """Take where they are kept and read from.

        poll_s: how long a stop may go unnoticed in the thread
        wait_s: how long a question waits for what the log may still hold
        arrive_s: how long, then, for what another replica may only be recording
        """
        self._projection, self._log, self._ids = projection, log, ids
        self._poll_s, self._wait_s = poll_s, wait_s
        self._recent: OrderedDict[str, Turn | None] = OrderedDict()  # None: deleted
        self._rated: OrderedDict[str, Feedback] = OrderedDict()  # by turn
        self._arrivals = Arrivals(arrive_s)
        self._reached: Mapping[Partition, int] = {}
        self._moved = threading.Condition()
        self._stop = threading.Event()
        self._hurry = threading.Event()  # somebody waits for what the log holds
        self._thread = threading.Thread(target=self._run, name="stored", daemon=True)

    @property
    def remembered(self) -> int:
        """How many replies wait in memory for the log to give them back."""
        return len(self._recent)

    def start(self) -> None:
        """Begin to read the log."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading, and close the file."""
        self._stop.set()
        self._hurry.set()
        if self._thread.is_alive():
            self._thread.join()
        self._projection.close()

    def add(self, record: Turn | Feedback) -> None:
        """Remember what is about to be recorded, until the log has given it back."""
        if isinstance(record, Feedback):
            self._rated[record.turn_id] = record
            self._rated.move_to_end(record.turn_id)
            while len(self._rated) > REMEMBERED:
                self._rated.popitem(last=False)
        elif record.response is not None:
            self._remember(record.id, record)
        else:
            self._arrivals.never_comes(record.id)

    def lose(self, record: Feedback) -> None:
        """Let go of feedback that could not be recorded."""
        if self._rated.get(record.turn_id) == record:
            self._rated.pop(record.turn_id, None)

    def drop(self, turn_id: str) -> None:
        """Forget a turn whose deletion has just been recorded, and the feedback on it."""
        self._remember(turn_id, None)
        self._rated.pop(turn_id, None)

    def forget(self, record: Forgotten) -> None:
        """Let go of what a principal said. Any thread may ask."""
        for turn_id, turn in list(self._recent.items()):
            if turn is None or turn.principal != record.principal:
                continue
            if turn.created_ms <= record.created_ms:
                self._recent.pop(turn_id, None)
        for turn_id, rated in list(self._rated.items()):
            if rated.principal == record.principal and rated.created_ms <= record.created_ms:
                self._rated.pop(turn_id, None)

    async def find(self, response_id: str, principal: str) -> Turn:
        """Return the turn of a response of this principal.

        raises: NotFoundError for what is none of its responses, was not stored, or is deleted,
            forgotten or expired; UnavailableError when the log cannot be read that far now
        """
        self._ids.session(response_id, principal=principal)
        turn = self._recent.get(response_id)
        if response_id not in self._recent:
            turn = await self._arriving(response_id)
        if turn is None or turn.principal != principal:
            raise NotFoundError(
                f"no response {response_id[:100]!r} is stored: it was not to be, or was deleted, "
                "or is older than what is kept; or it is not here yet, if it has just ended",
                param="response_id",
                code="response_not_found",
            )
        return turn

    async def feedback(self, response_id: str, principal: str) -> Feedback:
        """Return the last feedback, in the log's order, on a response of this principal.

        raises: NotFoundError for what is none of its responses, or was not rated, or not since
            that was taken back or forgotten; UnavailableError as `find`
        """
        self._ids.session(response_id, principal=principal)
        rated = self._rated.get(response_id)
        if rated is None:
            rated = await asyncio.to_thread(self._ask, self._look_for_feedback, response_id)
        if rated is None or rated.withdrawn or rated.principal != principal:
            raise NotFoundError(
                f"no feedback on {response_id[:100]!r} is kept: none was given, or it was taken"
                " back, or the response was deleted or forgotten",
                param="response_id",
                code="feedback_not_found",
            )
        return rated

    async def rated(self, response_id: str, principal: str) -> Feedback | None:
        """Return what is known here of the last feedback, without waiting for the log.

        raises: UnavailableError while the file is made anew
        """
        rated = self._rated.get(response_id)
        if rated is None:
            found = await asyncio.to_thread(self._ask, self._projection.feedback, response_id)
            rated = self._rated.get(response_id, found)  # given meanwhile, it may be
        return rated if rated is not None and rated.principal == principal else None

    async def prove_not_deleted(self, response_id: str) -> None:
        """Prove that no deletion of a response is known here.

        raises: NotFoundError where one is; UnavailableError while the file is made anew
        """
        turn = self._recent.get(response_id)
        known = response_id in self._recent
        if not known:
            known, turn = await asyncio.to_thread(self._ask, self._projection.find, response_id)
        if known and turn is None:
            raise NotFoundError(
                f"the response {response_id[:100]!r} was deleted: nothing is learned from it",
                param="response_id",
                code="response_deleted",
            )

    def _ask(self, question: Callable[[str], Answer], turn_id: str) -> Answer:
        """Ask the file; one that is damaged is read anew from the log, which takes a while."""
        try:
            return question(turn_id)
        except DamagedError:
            raise self._unread() from None

    async def _arriving(self, turn_id: str) -> Turn | None:
        """Ask the file, and again when the turn has come: its replica may only be recording it."""
        with self._arrivals.expected(turn_id) as came:
            known, turn = await asyncio.to_thread(self._ask, self._look, turn_id)
            if known or not await self._arrivals.wait(turn_id, came):
                return turn
        turn = self._recent.get(turn_id)
        if turn_id not in self._recent:
            _, turn = await asyncio.to_thread(self._ask, self._projection.find, turn_id)
        return turn

    def _look(self, turn_id: str) -> tuple[bool, Turn | None]:
        known, turn = self._projection.find(turn_id)
        if known:
            return known, turn
        self._prove_read()
        return self._projection.find(turn_id)

    def _look_for_feedback(self, turn_id: str) -> Feedback | None:
        self._prove_read()
        return self._projection.feedback(turn_id)

    def _prove_read(self) -> None:
        if not self._read_to_end():
            raise self._unread()

    def _unread(self) -> UnavailableError:
        return UnavailableError(
            "stored responses are still being read from the log: try again",
            headers={"Retry-After": str(int(self._wait_s))},
        )

    def _read_to_end(self) -> bool:
        """Wait until all that the log holds now has been read. Returns: whether it has."""
        try:
            ends = {**self._log.end_offsets("turns"), **self._log.end_offsets("feedback")}
        except LogUnavailableError:
            return False

        def read() -> bool:
            return all(self._reached.get(place, 0) >= end for place, end in ends.items())

        self._hurry.set()
        with self._moved:
            return self._moved.wait_for(read, timeout=self._wait_s)

    def _remember(self, turn_id: str, turn: Turn | None) -> None:
        self._recent[turn_id] = turn
        self._recent.move_to_end(turn_id)
        while len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)
        self._arrivals.come(turn_id)

    def _run(self) -> None:
        backoff = Backoff(*RETRY_S)
        while not self._stop.is_set():
            try:
                self._begin()
                self._projection.forget(forgotten.read_all(self._log))
                subscription = self._log.subscribe(
                    TOPICS, group=None, positions=lambda _: self._positions()
                )
                with closing(subscription):
                    while not self._stop.is_set() and not self._projection.is_damaged:
                        self._read(subscription)
                        backoff.succeeded()
            except (LogUnavailableError, DamagedError):
                pass  # the follower tells of the one, and `mend` of the other
            except Exception:
                _LOG.exception("reading stored responses failed and begins again")
            backoff.wait(self._stop)

    def _begin(self) -> None:
        """Begin anew where the file is damaged, or the log is another one than was read."""
        with self._moved:
            self._reached = {}  # before the file is empty: nobody shall take it for all there is
        self._projection.mend()
        if (difference := other_log(self._log, self._projection.marks())) is not None:
            _LOG.warning("stored responses are read anew from another log: %s", difference)
            self._projection.clear()

    def _positions(self) -> dict[Partition, int]:
        """Where to read on. Let go of what stands before: another process may have read it."""
        positions = self._projection.positions()
        for turn_id, turn in list(self._recent.items()):
            known, found = self._projection.find(turn_id)
            if known and (turn is not None or found is None) and self._recent.get(turn_id) is turn:
                self._recent.pop(turn_id, None)
        for turn_id, rated in list(self._rated.items()):
            if self._projection.has_read(rated.id) and self._rated.get(turn_id) is rated:
                self._rated.pop(turn_id, None)
        return positions

    def _read(self, subscription: Subscription) -> None:
        """Read once, and wait for more where little came: each reading holds up replies."""
        self._hurry.clear()
        if 0 < self._step(subscription) < BATCH and not self._arrivals.waiting:
            self._hurry.wait(GATHER_S)

    def _step(self, subscription: Subscription) -> int:
        """Read once. Returns: how many records."""
        entries = subscription.poll(wait_s=self._poll_s, max_records=BATCH)
        if entries:
            for turn_id, deleted in self._projection.take(entries):
                if deleted or self._recent.get(turn_id) is not None:
                    self._recent.pop(turn_id, None)
                self._arrivals.come(turn_id)
            given_back = {entry.id for entry in entries if entry.partition.topic == "feedback"}
            for turn_id, rated in list(self._rated.items()) if given_back else ():
                if rated.id in given_back:
                    self._rated.pop(turn_id, None)
        with self._moved:
            self._reached = dict(subscription.reached())
            self._moved.notify_all()
        return len(entries)
