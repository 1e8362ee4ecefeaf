"""What answers is decided by the ask and the line alone."""

from hypothesis import given
from hypothesis import strategies as st

from agent.turn.assign import assign
from streams.line.line import Line
from streams.line.variant import Variant
from tests.agent.turn.test_reply import ask

NAMES = st.text("abcdef", min_size=1, max_size=4)


@given(st.lists(NAMES, min_size=1), NAMES)
def test_the_serving_version_answers(served: list[str], name: str) -> None:
    """Whatever served before: what serves now, of this line, and no member."""
    assert assign(ask(), Line(name, tuple(served))) == Variant(name, served[-1])
