"""What real clients do to a conversation is linked, and nothing is linked to the wrong reply."""

import random
from pathlib import Path

import pytest

from streams.settings import StreamsSettings
from streams.store.store import open_store
from tests.learner.link.behaviours import twenty
from tests.learner.link.played import Outcome, alone, crowded, outcome, play, turns_of
from tests.learner.link.script import Behaviour


def share(found: list[Outcome]) -> float:
    return sum(x.linked for x in found) / sum(x.expected for x in found)


def test_the_behaviours_of_clients_are_linked(tmp_path: Path) -> None:
    """At least 95 % of what follows a reply, over twenty behaviours and more; none wrongly."""
    found = alone(tmp_path)
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


@pytest.mark.parametrize("behaviour", twenty(), ids=lambda each: each.name)
def test_turns_that_come_late_are_linked_all_the_same(behaviour: Behaviour, tmp_path: Path) -> None:
    """In whatever order a behaviour's turns arrive, each ends with what it would have had."""
    store = open_store(StreamsSettings(home=tmp_path))
    outcomes = []
    for place in range(4):
        turns = turns_of(behaviour, principal=f"p{place}")
        mixed = list(turns)
        if place:
            random.Random(place).shuffle(mixed)
        play(store, mixed)
        found = outcome(store, behaviour, turns)
        outcomes.append((found.linked, found.wrong))
    store.close()
    assert outcomes == [outcomes[0]] * 4
