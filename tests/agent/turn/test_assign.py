"""What answers is decided by the ask and the line alone."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.turn.assign import STABLE, assign
from streams.line.line import Line, Trial
from streams.line.variant import Variant
from tests.agent.turn.test_reply import ask

NAMES = st.text("abcdef", min_size=1, max_size=4)


@given(st.lists(NAMES, min_size=1), NAMES)
def test_the_serving_version_answers(served: list[str], name: str) -> None:
    """Whatever served before: what serves now, of this line, and no member."""
    assert assign(ask(), Line(name, tuple(served))) == Variant(name, served[-1])


def on_trial(share: float, candidate: str = "new") -> Line:
    """A line with a candidate beside the version that serves."""
    return Line("main", ("base", "old"), trial=Trial(candidate, "running", 0, share))


def candidates(line: Line, sessions: int = 2000) -> set[int]:
    """Return which of many sessions the candidate answers."""
    asked = (replace(ask(), session=f"session {number}") for number in range(sessions))
    return {number for number, each in enumerate(asked) if assign(each, line).version != "old"}


def test_a_candidate_answers_its_share_and_keeps_its_sessions_as_it_grows() -> None:
    """Sticky by session; the next candidate begins with others; nothing is left to chance."""
    small, large = candidates(on_trial(0.05)), candidates(on_trial(0.25))
    assert small < large
    assert 60 < len(small) < 140
    assert 420 < len(large) < 580
    assert candidates(on_trial(0.05)) == small
    assert len(candidates(on_trial(0.05, "newer")) & small) < 30
    assert candidates(on_trial(0.0)) == set()


def test_a_client_that_names_a_version_is_no_part_of_a_trial() -> None:
    """`stable` is what serves, a version's name that version, in whichever session."""
    line = on_trial(0.999)
    assert assign(replace(ask(), wanted=STABLE), line) == Variant("main", "old")
    assert assign(replace(ask(), wanted="base"), line) == Variant("main", "base")
