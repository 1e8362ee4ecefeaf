"""Clocks that nobody sets, and that go on while the machine sleeps."""

import time

import pytest

from streams.clock import passed


def test_what_has_passed_counts_the_machines_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the kernel's count from its start, where it has one that no sleep stops."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        pytest.skip("this system has no clock that a sleep does not stop")
    monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_BOOTTIME: 7.0}.__getitem__)
    assert passed() == 7.0
