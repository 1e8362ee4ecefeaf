"""Learning keeps to its share of the machine."""

from dataclasses import replace

import pytest

from learner.idle.pace import BURST_S, Clocks, IdlePause, Pace


class Machine:
    """A clock that work and sleep move on."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.wall_s = self.cpu_s = self.slept_s = 0.0

    def work(self, cpu_s: float, *, threads: int = 1) -> None:
        """Compute for so much CPU time."""
        self.cpu_s += cpu_s
        self.wall_s += cpu_s / threads

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.wall_s += seconds
        self.slept_s += seconds

    @property
    def clocks(self) -> Clocks:
        """The clocks of this machine."""
        return Clocks(lambda: self.wall_s, lambda: self.cpu_s, self.sleep)


@pytest.mark.parametrize(("share", "threads"), [(0.5, 2), (0.25, 1), (0.1, 2)])
def test_cpu_time_stays_within_the_share(share: float, threads: int) -> None:
    """However the work is cut, CPU time is at most the share of the cores' time."""
    machine = Machine()
    pace = Pace(share, cores=2, clocks=machine.clocks)
    for piece in range(200):
        machine.work(0.02 + 0.1 * (piece % 3), threads=threads)
        pace()
    assert machine.cpu_s <= share * 2 * (machine.wall_s + BURST_S) + 1e-6
    assert machine.cpu_s >= 0.9 * share * 2 * machine.wall_s


def test_the_whole_machine_is_never_slowed() -> None:
    """With every core allowed, nobody sleeps."""
    machine = Machine()
    pace = Pace(1.0, cores=2, clocks=machine.clocks)
    for _ in range(50):
        machine.work(0.1, threads=2)
        pace()
    assert machine.slept_s == 0


def test_whoever_is_told_to_end_sleeps_nothing_off() -> None:
    """However much it owes: a sleep that is cut short is the last."""
    machine, slept = Machine(), []

    def cut(seconds: float) -> bool:
        slept.append(seconds)
        return True

    pace = Pace(0.1, cores=1, clocks=replace(machine.clocks, sleep=cut))
    machine.work(60)
    pace()
    assert len(slept) == 1


def test_idle_time_is_not_saved_up() -> None:
    """After an hour of waiting work is slowed as ever."""
    machine = Machine()
    pace = Pace(0.5, cores=2, clocks=machine.clocks)
    machine.sleep(3600)
    pace()
    before_s = machine.wall_s
    machine.work(10, threads=2)
    pace()
    assert machine.wall_s - before_s == pytest.approx(10, rel=0.02)


def test_work_of_an_idle_moment_ends_when_something_is_due() -> None:
    """At the next pause, and only within the moment; what looks may pause itself."""
    paused, looked = list[int](), list[int]()
    pause = IdlePause(lambda: paused.append(1))

    def is_due() -> bool:
        pause()
        looked.append(1)
        return len(looked) == 2

    pause()
    with pause.until(is_due):
        for _ in range(10):
            pause()
    assert (len(looked), len(paused)) == (2, 1 + 4)
    pause()
    assert len(looked) == 2


def test_what_goes_wrong_in_an_idle_moment_is_raised() -> None:
    """Only the interruption itself goes no further."""
    pause = IdlePause(lambda: None)
    with pytest.raises(ZeroDivisionError), pause.until(lambda: False):
        raise ZeroDivisionError
    pause()
