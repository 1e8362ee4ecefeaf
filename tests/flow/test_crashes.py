"""kill −9 of the learner at every boundary: what remains equals an uninterrupted run."""

from collections.abc import Callable

import pytest

from tests.flow.conftest import LearnerHome
from tests.flow.crashes import Boundaries, KilledError

Homes = Callable[[str], LearnerHome]


def test_uninterrupted_run_learns(homes: Homes) -> None:
    """The run that the others are compared with makes versions from the corrections."""
    learner = homes("whole")
    assert learner.learn() >= 2
    state = learner.state()
    assert len(state["log of recipes"]) >= 3  # the mask and two versions
    assert {row["state"] for row in state["generations"]} <= {"released", "held", "void"}
    assert any(row["state"] == "released" for row in state["generations"])


@pytest.mark.slow
@pytest.mark.fault("crash of the learner at each boundary")
def test_a_crash_at_any_boundary_changes_nothing(homes: Homes) -> None:
    """However a process ends around a commit or an append, the next one reaches the same state."""
    whole, count = homes("whole"), Boundaries()
    whole.learn(count)
    expected = whole.state()
    for place in range(1, count.passed + 1):
        learner = homes(f"killed-{place}")
        with pytest.raises(KilledError):
            learner.learn(Boundaries(dies_at=place))
        learner.learn()
        assert learner.state() == expected, f"killed at {place}: {count.names[place - 1]}"


def test_a_process_that_keeps_dying_still_gets_through(homes: Homes) -> None:
    """Killed again and again, each time a little later, the learner ends in the same state."""
    whole = homes("whole")
    whole.learn()
    learner, lives = homes("mortal"), 0
    for span in range(3, 200):
        try:
            learner.learn(Boundaries(dies_at=span))
            break
        except KilledError:
            lives += 1
    assert lives > 2
    assert learner.state() == whole.state()
