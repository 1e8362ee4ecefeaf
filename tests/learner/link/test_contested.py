"""Of two requests that go on from one reply, the first that says something of it counts."""

from itertools import permutations

import pytest

from tests.learner.link.conftest import Taken
from tests.learner.link.script import BREAD, reply, user
from tests.learner.turns import turn

ORDER = "Dream up three buttons for below this bubble, pipe-delimited."
NEUTRAL, COMPLAINT, PRAISE = "And what about rye?", "Too long. Shorter please.", "Perfect, thanks!"
ASKED = user("How do I bake bread?")


@pytest.mark.parametrize(
    ("one", "other", "counts"),
    [
        (ORDER, COMPLAINT, "other"),
        (NEUTRAL, COMPLAINT, "other"),
        (NEUTRAL, "And what about spelt?", "one"),
        (COMPLAINT, NEUTRAL, "one"),
        (COMPLAINT, PRAISE, "one"),
        (PRAISE, COMPLAINT, "one"),
    ],
)
def test_the_first_that_says_something_counts(
    taken: Taken, one: str, other: str, counts: str
) -> None:
    """A client's order that nothing gives away does not keep a complaint from being heard."""
    for number, order in enumerate(permutations(("first", "one", "other"))):
        who = f"p{number}"
        turns = {
            "first": turn([ASKED], BREAD, id=f"{who} first", principal=who, created_ms=1_000),
            **{
                name: turn(
                    [ASKED, reply(BREAD), user(words)], "Ok.",
                    id=f"{who} {name}", principal=who, created_ms=at_ms,
                )
                for name, words, at_ms in (("one", one, 20_000), ("other", other, 40_000))
            },
        }  # fmt: skip
        taken(*(turns[name] for name in order))
        assert taken.row(f"{who} first").next_turn == f"{who} {counts}"


def test_what_was_said_earlier_is_no_new_word(taken: Taken) -> None:
    """A later request that goes on with the conversation repeats what was said first."""
    told = [ASKED, reply(BREAD), user(NEUTRAL)]
    taken(
        turn([ASKED], BREAD, id="first", created_ms=1_000),
        turn(told, "Less water.", id="second", created_ms=20_000),
        turn([*told, reply("Less water."), user(COMPLAINT)], "Ok.", id="third", created_ms=40_000),
    )
    assert [taken.row(id).next_turn for id in ("first", "second")] == ["second", "third"]
