"""kill −9 of the learner at every boundary: what remains equals an uninterrupted run."""

from collections.abc import Callable

import pytest

from tests.flow.conftest import Fate, KilledError, Workshop

Homes = Callable[[str], Workshop]


def test_uninterrupted_run_learns(workshop: Homes) -> None:
    """The run that the others are compared with makes versions from the corrections."""
    shop = workshop("whole")
    assert shop.learn() >= 2
    state = shop.state()
    assert len(state["log of recipes"]) >= 3  # the mask and two versions
    assert {row["state"] for row in state["generations"]} <= {"released", "held", "void"}
    assert any(row["state"] == "released" for row in state["generations"])


@pytest.mark.fault("crash of the learner at each boundary")
def test_a_crash_at_any_boundary_changes_nothing(workshop: Homes) -> None:
    """However a process ends around a commit or an append, the next one reaches the same state."""
    whole, count = workshop("whole"), Fate()
    whole.learn(count)
    expected = whole.state()
    for place in range(1, count.passed + 1):
        shop = workshop(f"killed-{place}")
        with pytest.raises(KilledError):
            shop.learn(Fate(dies_at=place))
        shop.learn()
        assert shop.state() == expected, f"killed at {place}: {count.names[place - 1]}"


def test_a_process_that_keeps_dying_still_gets_through(workshop: Homes) -> None:
    """Killed again and again, each time a little later, the learner ends in the same state."""
    whole = workshop("whole")
    whole.learn()
    shop, lives = workshop("mortal"), 0
    for span in range(3, 200):
        try:
            shop.learn(Fate(dies_at=span))
            break
        except KilledError:
            lives += 1
    assert lives > 2
    assert shop.state() == whole.state()
