"""Traffic for the tests of faults: an agent that spools, a plain writer, and waiting for both."""

import threading
import time
from collections.abc import Callable

from streams.errors import LogUnavailableError
from streams.log.contract import Log
from streams.open import open_spool
from streams.settings import StreamsSettings
from streams.spool.spool import Spool
from streams.store.store import Store, open_store
from tests.flow.history import Appended
from tests.flow.listening import Listener, num_used, spoken, used, wrong

LIMIT_S = 100.0  # for whatever another process or thread does


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that another process or thread does."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {LIMIT_S:.0f} s until {what}"
        time.sleep(0.02)


class Working:
    """Runs a step again and again in a thread, until it is told to stop.

    A failed test does not stop it: the process may end nevertheless.
    """

    def __init__(self, step: Callable[[], object]) -> None:
        self._step = step
        self._stop = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive(), "the step hangs"
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._step()
        except BaseException as error:  # shown by stop()
            self.error = error


class SpooledLoad:
    """An agent's traffic: puts a turn every few milliseconds, whatever happens to the log."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._number = 0
        self.history: list[Appended] = []

    def step(self) -> None:
        record = spoken(self._number)
        self._number += 1
        kept = self._spool.put([record]).result(LIMIT_S)
        self.history.append(Appended(record.key, record.id, "acknowledged" if kept else "unknown"))
        time.sleep(0.02)  # about what the intake takes, so that it keeps up


class DirectLoad:
    """A writer without a spool: appends batches, and tries each again until it is taken."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._number = 0
        self.retries = 0
        self.history: list[Appended] = []

    def step(self) -> None:
        batch = [spoken(self._number + n, size=400) for n in range(20)]
        self._number += len(batch)
        while True:
            try:
                self._log.append(batch)
            except LogUnavailableError:
                self.retries += 1
                self.history += [Appended(r.key, r.id, "unknown") for r in batch]
            else:
                self.history += [Appended(r.key, r.id, "acknowledged") for r in batch]
                time.sleep(0.02)  # what is appended has to be used, too, in the end
                return


def use_all(listener: Listener, store: Store, history: list[Appended]) -> None:
    """Listen until everything that was acknowledged has been used; it may take long, not rest."""
    wanted = {attempt.id for attempt in history if attempt.outcome == "acknowledged"}
    deadline = time.monotonic() + LIMIT_S
    while num_used(store) < len(wanted) or not wanted <= {use.id for use in used(store)}:
        assert time.monotonic() < deadline, f"{num_used(store)} of {len(wanted)} were used"
        if listener.step():
            deadline = time.monotonic() + LIMIT_S
    listener.close()


class Traffic:
    """An agent that spools and a learner that uses what it says, at work until `settle`."""

    def __init__(
        self, settings: StreamsSettings, open_log: Callable[[StreamsSettings], Log]
    ) -> None:
        """Start both. open_log: called once for each of them."""
        self.store = open_store(settings)
        self.log = open_log(settings)
        self.spool = open_spool(settings, self.log)
        self.load = SpooledLoad(self.spool)
        self.listener = Listener(open_log(settings), self.store)
        self._agent = Working(self.load.step)
        self._reader = Working(self.listener.step)

    def used(self, more: int) -> Callable[[], bool]:
        """Return a condition: so many turns more than now have been used."""
        enough = num_used(self.store) + more
        return lambda: num_used(self.store) > enough

    def settle(self) -> list[str]:
        """Stop the agent, use all that it said, and say what is wrong with what came of it."""
        self._agent.stop()
        assert self.spool.wait_drained(LIMIT_S)
        self._reader.stop()
        use_all(self.listener, self.store, self.load.history)
        self.spool.close()
        self.log.close()
        found = wrong(self.store, self.load.history)
        self.store.close()
        return found
