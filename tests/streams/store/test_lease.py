"""One writer for a line; the one that was replaced commits nothing, whatever its clock says."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.errors import LeaseLostError
from streams.settings import StreamsSettings
from streams.store.lease import Clocks, Lease, keep_waiting
from streams.store.store import Store, open_store
from streams.store.tables import ArtefactRow


class Clock:
    """Wall and monotonic time that only a test moves, seconds."""

    def __init__(self) -> None:
        self.wall_s = 1_700_000_000.0
        self.monotonic_s = 50.0

    def pass_s(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds

    @property
    def clocks(self) -> Clocks:
        return Clocks(wall=lambda: self.wall_s, monotonic=lambda: self.monotonic_s)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def second_store(database: str, tmp_path: Path) -> Iterator[Store]:
    """The same database, from another process."""
    opened = open_store(StreamsSettings(home=tmp_path, store=database))
    yield opened
    opened.close()


def lease(store: Store, holder: str, clock: Clock) -> Lease:
    return Lease(store, "learner/main", holder=holder, duration_s=10, clocks=clock.clocks)


def test_one_holder_at_a_time(store: Store, second_store: Store, clock: Clock) -> None:
    """A second one is refused while the first renews, and gets it when the first gives it back."""
    first, second = lease(store, "first", clock), lease(second_store, "second", clock)
    assert first.acquire()
    assert not second.acquire()
    for _ in range(5):
        clock.pass_s(4)
        first.renew()
        assert not second.acquire()
    first.release()
    assert second.acquire()
    assert (second.epoch, first.epoch) == (2, None)


def test_the_holder_may_ask_again(store: Store, clock: Clock) -> None:
    """Acquiring what one holds renews it and keeps the epoch."""
    held = lease(store, "first", clock)
    assert held.acquire()
    assert held.acquire()
    assert held.epoch == 1


def test_a_dead_holder_is_replaced_when_its_time_has_passed(store: Store, clock: Clock) -> None:
    """Nobody has to repair anything by hand."""
    assert lease(store, "dead", clock).acquire()
    second = lease(store, "second", clock)
    clock.pass_s(9)
    assert not second.acquire()
    clock.pass_s(2)
    assert second.acquire()


@pytest.mark.fault("zombie learner")
def test_a_zombie_commits_nothing(store: Store, second_store: Store, clock: Clock) -> None:
    """A holder that was paused past its time and replaced is stopped inside its own transaction."""
    zombie, second = lease(store, "zombie", clock), lease(second_store, "second", clock)
    assert zombie.acquire()
    clock.pass_s(60)
    assert second.acquire()

    def write(held: Lease, through: Store, digest: str) -> None:
        with through.transaction() as session:
            session.add(ArtefactRow(digest=digest, kind="test", body={}, created_ms=0))
            held.check(session)

    with pytest.raises(LeaseLostError, match=r"held by second \(epoch 2\)"):
        write(zombie, store, "zombie")
    with pytest.raises(LeaseLostError):
        zombie.renew()
    write(second, second_store, "second")
    zombie.release()
    write(second, second_store, "second again")
    with store.reading() as session:
        assert session.get(ArtefactRow, "zombie") is None


def test_nobody_takes_the_lease_between_check_and_commit(
    store: Store, second_store: Store, clock: Clock
) -> None:
    """The row is locked from the check to the end: a successor waits, so writes never cross."""
    held, second = lease(store, "held", clock), lease(second_store, "second", clock)
    assert held.acquire()
    clock.pass_s(60)
    events: list[str] = []

    def take() -> None:
        assert second.acquire()
        events.append("taken")

    taker = threading.Thread(target=take)
    with store.transaction() as session:
        held.check(session)
        taker.start()
        taker.join(0.3)
        events.append("committed")
    taker.join()
    assert events == ["committed", "taken"]


@pytest.mark.fault("clock jump")
def test_no_holder_writes_while_it_is_kept_waiting(
    store: Store, second_store: Store, clock: Clock
) -> None:
    """Who adds what rests on a line's rows sees all of them, and none changes before that is in."""
    holder, done = lease(second_store, "holder", clock), threading.Event()
    assert holder.acquire()

    def write() -> None:
        with second_store.transaction() as session:
            holder.check(session)
            session.add(ArtefactRow(digest="late", kind="k", body={}, created_ms=1))
        done.set()

    writer = threading.Thread(target=write)
    with store.transaction() as session:
        keep_waiting(session, {holder.name, "learner/nobody"})
        writer.start()
        assert not done.wait(0.2)
        assert session.get(ArtefactRow, "late") is None
    writer.join()
    assert done.is_set()


def test_a_clock_set_back_does_not_keep_a_dead_holder(store: Store, clock: Clock) -> None:
    """An expiry far in the future frees the lease once it has not moved for its duration."""
    assert lease(store, "dead", clock).acquire()
    clock.wall_s -= 100 * 24 * 3600
    second = lease(store, "second", clock)
    assert not second.acquire()
    clock.pass_s(9)
    assert not second.acquire()
    clock.pass_s(2)
    assert second.acquire()


@pytest.mark.fault("clock jump")
def test_a_clock_set_forward_costs_the_holder_its_lease_but_no_data(
    store: Store, second_store: Store, clock: Clock
) -> None:
    """The other process's clock jumped: it takes over early, and the first is fenced, not mixed."""
    fast = Clock()
    fast.wall_s += 3600
    first, second = lease(store, "first", clock), lease(second_store, "second", fast)
    assert first.acquire()
    assert second.acquire()
    with pytest.raises(LeaseLostError), store.transaction() as session:
        first.check(session)


@pytest.mark.fault("clock jump")
def test_a_holder_that_renews_under_a_wrong_clock_stays(store: Store, clock: Clock) -> None:
    """A renewal moves the row, whatever the wall clock says, so watchers see that it lives."""
    first, second = lease(store, "first", clock), lease(store, "second", clock)
    assert first.acquire()
    clock.wall_s -= 1_000_000
    for _ in range(6):
        first.renew()
        assert not second.acquire()
        clock.pass_s(5)


def test_of_many_that_ask_at_once_one_gets_it(store: Store, clock: Clock) -> None:
    """The first row of a lease is made once."""
    leases = [lease(store, f"holder {number}", clock) for number in range(6)]
    got: list[bool] = []
    threads = [
        threading.Thread(target=lambda asked=asked: got.append(asked.acquire())) for asked in leases
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 5 + [True]


def test_leases_of_two_names_do_not_meet(store: Store, clock: Clock) -> None:
    """Each line has its own."""
    assert lease(store, "first", clock).acquire()
    assert Lease(store, "learner/other", holder="x", clocks=clock.clocks).acquire()


def test_checking_a_lease_that_was_never_taken_fails(store: Store, clock: Clock) -> None:
    """A process that has not acquired the lease may not write."""
    with pytest.raises(LeaseLostError, match="held by nobody"), store.transaction() as session:
        lease(store, "first", clock).check(session)
