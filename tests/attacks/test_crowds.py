"""Attacks by numbers move the undefended planner, and the one that ships less or not at all."""

import pytest

from tests.attacks.__main__ import DEFENDED, UNDEFENDED
from tests.attacks.crowds import (
    Attack,
    alternating,
    at_home,
    flood,
    fresh_keys,
    minority,
    quiet_flood,
    some,
    some_fresh,
)
from tests.attacks.town import Dose, run


def both(attack: Attack) -> tuple[Dose, Dose]:
    """Run an attack without the defence, and with it."""
    return run(attack.said, attack.days, UNDEFENDED), run(attack.said, attack.days, DEFENDED)


def test_a_flood_decides_nothing() -> None:
    """250 votes of one key decide nearly every generation without a quorum and a cap."""
    open_to_it, held = both(flood(250))
    assert open_to_it.decided > 300
    assert (held.decided, held.share <= 1 / 3 + 1e-6) == (0, True)


@pytest.mark.parametrize("votes", [10, 50, 250])
def test_a_larger_flood_never_has_more_than_its_cap(votes: int) -> None:
    """The share does not grow with the votes past a third."""
    assert run(flood(votes).said, flood(votes).days, DEFENDED).share <= 1 / 3 + 1e-6


def test_one_of_many_alone_teaches_nothing() -> None:
    """When all others are silent, one key of a hundred starts no generation."""
    open_to_it, held = both(quiet_flood())
    assert open_to_it.share == 1.0
    assert held.generations == 0


def test_twenty_fresh_keys_count_less_than_five_old_ones() -> None:
    """They neither decide nor crowd out: the old ones' generations still come."""
    open_to_it, held = both(fresh_keys())
    assert open_to_it.share > 0.5
    assert held.share < 0.2
    assert (held.decided, held.generations > 0) == (0, True)


def test_a_percent_of_the_people() -> None:
    """One of a hundred has no more than a voice among those who speak."""
    _, held = both(some(1))
    assert (held.decided, held.share < 0.2) == (0, True)


def test_five_percent_with_fresh_keys_decide_nothing() -> None:
    """Five who came today."""
    open_to_it, held = both(some_fresh(5))
    assert held.decided == 0
    assert held.share < open_to_it.share / 2


def test_five_percent_with_old_keys_are_heard() -> None:
    """What trust does not promise (docs/SECURITY.md): five who agree are a loud minority."""
    _, held = both(some(5))
    assert held.decided > 0
    assert held.share < 0.5


def test_good_words_buy_no_weight_for_bad_ones() -> None:
    """A principal who alternates has one voice, which his lies share with the rest."""
    open_to_it, held = both(alternating())
    assert (held.decided, held.share <= 1 / 6 + 1e-6) == (0, True)
    assert held.share < open_to_it.share


def test_an_honest_minority_of_three_is_heard() -> None:
    """And so is one person at home."""
    assert both(minority())[1].generations == 1
    assert both(at_home())[1].generations == 1
