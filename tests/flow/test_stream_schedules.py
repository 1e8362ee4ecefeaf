"""Any schedule of appends, retries, crashes and takeovers keeps every promise of the streams."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import select

from streams.errors import LogUnavailableError
from streams.log.contract import Outgoing
from streams.log.sqlite import SqliteLog, SqliteSubscription
from streams.settings import StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import JudgementRow, OffsetRow, OutboxRow, SeenRow, TurnRow
from tests.flow.history import Appended
from tests.flow.listening import Listener, spoken, wrong

appends = st.tuples(st.just("append"), st.integers(1, 6))
# A retry of an append whose outcome its process never learned: all of it is there twice.
doubled = st.tuples(st.just("append twice"), st.integers(1, 6))
# Records that were spooled long ago and are drained late, again.
late = st.tuples(st.just("append late"), st.integers(1, 10))
steps = st.tuples(st.just("step"), st.integers(1, 8))
crashes = st.tuples(st.sampled_from(["read", "written", "committed"]), st.integers(1, 8))
takeovers = st.tuples(st.just("takeover"), st.integers(1, 8))
schedules = st.lists(st.one_of(appends, doubled, late, steps, crashes, takeovers), max_size=20)


class CrashError(Exception):
    """Stands for kill −9 at a boundary."""


class Run:
    """One run over an embedded log and store."""

    def __init__(self, folder: Path, store: Store) -> None:
        self._log = SqliteLog(folder / "log.db", clock=lambda: 1_000.0)
        self._store = store
        self._crash_at = ""
        self._listener = Listener(self._log, store, boundary=self._boundary)
        self._sent: list[Outgoing] = []
        self.history: list[Appended] = []

    def do(self, what: str, count: int) -> None:
        match what:
            case "append":
                self._append(self._fresh(count))
            case "append twice":
                records = self._fresh(count)
                self._append(records)
                self._append(records)
            case "append late":
                self._append(self._sent[:count])
            case "step":
                self._listener.step(wait_s=0, max_records=count)
            case "takeover":
                # A second reader of the group, as in another process.
                other = Listener(self._log, self._store)
                other.step(wait_s=0, max_records=count)
                self._listener.close()
                other.step(wait_s=0, max_records=count)
                other.close()
            case boundary:
                self._crash(boundary, count)

    def finish(self) -> None:
        while self._listener.step(wait_s=0):
            pass
        self._listener.close()
        self._log.close()

    def rows(self) -> dict[str, list[Any]]:
        """Return all that was made of the records, in a comparable form."""
        tables = (TurnRow, JudgementRow, OutboxRow, OffsetRow, SeenRow)
        with self._store.reading() as session:
            return {
                str(table.__tablename__): sorted(
                    (row.model_dump() for row in session.exec(select(table))), key=str
                )
                for table in tables
            }

    def _fresh(self, count: int) -> list[Outgoing]:
        start = len({attempt.id for attempt in self.history})
        return [spoken(start + n, keys=3) for n in range(count)]

    def _append(self, records: list[Outgoing]) -> None:
        self._log.append(records)
        self._sent += records
        self.history += [Appended(r.key, r.id, "acknowledged") for r in records]

    def _crash(self, boundary: str, count: int) -> None:
        self._crash_at = boundary
        try:
            self._listener.step(wait_s=0, max_records=count)
        except CrashError:
            self._listener.close()  # what the kernel does for a dead process
        self._crash_at = ""

    def _boundary(self, name: str) -> None:
        if name == self._crash_at:
            raise CrashError


@contextmanager
def running() -> Iterator[tuple[Run, Store]]:
    with TemporaryDirectory() as name:
        store = open_store(StreamsSettings(home=Path(name)))
        run = Run(Path(name), store)
        try:
            yield run, store
        finally:
            store.close()


@pytest.mark.fault("any schedule of appends, crashes, takeovers")
@settings(max_examples=20, deadline=None)
@given(schedules)
def test_any_schedule_uses_each_record_once_and_in_order(schedule: list[tuple[str, int]]) -> None:
    """Duplicates, late repeats, crashes at every boundary and takeovers change nothing."""
    with running() as (run, store):
        for what, count in schedule:
            run.do(what, count)
        run.finish()
        assert wrong(store, run.history) == []


def test_the_state_after_crashes_equals_the_uninterrupted_run() -> None:
    """Row for row: what a crash interrupted is derived again to the same."""

    def rows(crashes: list[str]) -> dict[str, list[Any]]:
        with running() as (run, _):
            run.do("append", 20)
            for boundary in crashes:
                run.do(boundary, 3)
            run.finish()
            return run.rows()

    undisturbed = rows([])
    assert len(undisturbed["turns"]) == 20
    assert len(undisturbed["judgements"]) == len(undisturbed["outbox"]) == 10
    assert rows(["read", "written", "committed", "written", "committed", "read"]) == undisturbed


def test_a_listener_waits_for_a_log_that_is_away(tmp_path: Path) -> None:
    """Its step reads nothing and raises nothing; the next one goes on."""

    class AwayLog(SqliteLog):
        away = True

        def subscribe(self, *args: Any, **kwargs: Any) -> SqliteSubscription:
            if self.away:
                raise LogUnavailableError("away")
            return super().subscribe(*args, **kwargs)

    log, store = AwayLog(tmp_path / "log.db"), open_store(StreamsSettings(home=tmp_path))
    log.append([spoken(0)])
    listener = Listener(log, store)
    assert listener.step(wait_s=0) == 0
    log.away = False
    assert listener.step(wait_s=0) == 1
    listener.close()
    log.close()
    store.close()
