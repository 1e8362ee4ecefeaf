"""Attacks by numbers move the undefended planner, and the one that ships less or not at all."""

import pytest

from tests.attacks.__main__ import DEFENDED, UNDEFENDED
from tests.attacks.crowds import (
    Attack,
    alternating,
    at_home,
    correction,
    flatterer,
    flood,
    fresh_keys,
    hung_on,
    minority,
    quiet_flood,
    some,
    some_fresh,
    turned,
    with_two_old,
)
from tests.attacks.town import Dose, run


def both(attack: Attack) -> tuple[Dose, Dose]:
    """Run an attack without the defence, and with it."""
    return run(attack.said, attack.days, UNDEFENDED), run(attack.said, attack.days, DEFENDED)


def test_a_flood_decides_nothing() -> None:
    """250 votes of one key decide nearly every generation without a quorum and a cap."""
    open_to_it, held = both(flood(250))
    assert open_to_it.decided > 300
    assert (held.weight, held.generations > 0) == (0, True)


@pytest.mark.parametrize("votes", [10, 50, 250])
def test_votes_of_one_key_ride_along_with_nothing(votes: int) -> None:
    """However many, and whatever others teach meanwhile: nobody else wishes for the lie."""
    assert run(flood(votes).said, flood(votes).days, DEFENDED).weight == 0


@pytest.mark.parametrize("attack", [alternating(), flatterer(), hung_on(), turned()])
def test_one_of_many_finds_no_company_for_a_lie(attack: Attack) -> None:
    """Not by good words between, by praise alone, behind a common wish or in others' words."""
    open_to_it, held = both(attack)
    assert open_to_it.weight > 1
    assert (held.weight, held.generations > 0) == (0, True)


def test_newcomers_complete_no_quorum_of_two_old_keys() -> None:
    """Twenty of today are company for nobody; the others' generations still come."""
    open_to_it, held = both(with_two_old())
    assert open_to_it.share > 0.5
    assert (held.weight, held.generations > 0) == (0, True)


def test_one_of_many_alone_teaches_nothing() -> None:
    """When all others are silent, one key of a hundred starts no generation."""
    open_to_it, held = both(quiet_flood())
    assert open_to_it.share == 1.0
    assert held.generations == 0


def test_twenty_fresh_keys_count_less_than_five_old_ones() -> None:
    """They neither decide nor crowd out: the old ones' generations still come."""
    open_to_it, held = both(fresh_keys())
    assert open_to_it.share > 0.5
    assert (held.weight, held.generations > 0) == (0, True)


def test_a_percent_of_the_people() -> None:
    """One of a hundred has no say of its own, as loud as it may be."""
    _, held = both(some(1))
    assert (held.weight, held.generations > 0) == (0, True)


def test_five_percent_with_fresh_keys_decide_nothing() -> None:
    """Five who came today."""
    open_to_it, held = both(some_fresh(5))
    assert open_to_it.decided > 0
    assert (held.weight, held.generations > 0) == (0, True)


def test_five_percent_with_old_keys_state_nothing() -> None:
    """However loud, and of one mind: what may be a lie needs more than five of a hundred."""
    open_to_it, held = both(some(5))
    assert open_to_it.decided > 0
    assert (held.weight, held.generations > 0) == (0, True)


def test_more_than_five_percent_are_heard() -> None:
    """What trust does not promise (docs/SECURITY.md): six who agree are a loud minority."""
    assert 0 < both(some(6))[1].share < 0.5


@pytest.mark.parametrize(("count", "of", "heard"), [(3, 50, True), (3, 100, False), (6, 100, True)])
def test_who_corrects_a_fact_needs_the_company_that_a_lie_does(
    count: int, of: int, heard: bool
) -> None:
    """The price: of a hundred, six must say so; of fifty, three."""
    assert (both(correction(count, of=of))[1].generations > 0) == heard


def test_an_honest_minority_of_three_is_heard() -> None:
    """And so is one person at home."""
    assert both(minority())[1].generations == 1
    assert both(at_home())[1].generations == 1
