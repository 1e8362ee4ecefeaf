"""What real clients do to a conversation is linked, and nothing is linked to the wrong reply."""

import random
from pathlib import Path

import pytest

from streams.settings import StreamsSettings
from streams.store.store import open_store
from tests.learner.link.behaviours import every
from tests.learner.link.played import Outcome, alone, crowded, outcome, play, turns_of


def share(found: list[Outcome]) -> float:
    return sum(x.linked for x in found) / sum(x.expected for x in found)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """How each behaviour is linked, in the order in which its turns were."""
    return alone(tmp_path_factory.mktemp("alone"))


def test_the_behaviours_of_clients_are_linked(found: list[Outcome]) -> None:
    """At least 95 % of what follows a reply, over twenty behaviours and more; none wrongly."""
    assert len(found) >= 20
    assert [x.name for x in found if x.wrong] == []
    assert share(found) >= 0.95
    whole = [x for x in found if x.linked == x.expected]
    assert len(whole) / len(found) >= 0.95


def test_people_without_keys_are_not_taken_for_each_other(tmp_path: Path) -> None:
    """All behaviours at once under one principal, with replies in common: none is linked wrongly.

    What then is missing are windows of a few messages that everybody could have sent.
    """
    found = crowded(tmp_path)
    assert [x.name for x in found if x.wrong] == []
    assert share(found) >= 0.85


@pytest.mark.slow
def test_turns_that_come_late_are_linked_all_the_same(found: list[Outcome], tmp_path: Path) -> None:
    """In whatever order a behaviour's turns arrive, each ends with what it would have had."""
    store = open_store(StreamsSettings(home=tmp_path))
    chance = random.Random(0)
    for place, behaviour in enumerate(every()):
        turns = turns_of(behaviour, principal=f"p{place}")
        late = turns[::-1] if place % 2 else chance.sample(turns, len(turns))
        play(store, late)
        assert outcome(store, behaviour, turns) == found[place]
    store.close()
