"""The book tells what a version is made of, or what is missing of it."""

import json
from dataclasses import replace

import pytest

from agent.errors import UnknownVersionError
from agent.swap.book import DECIDED, Book
from streams.errors import UnreadableRecordError
from streams.line import verbs
from streams.line.line import Line, Trial
from streams.line.verbs import Audit
from streams.model.open import BaseModel
from streams.records import Candidate, Recipe, encode
from tests.agent.lineage import Lineage, promotion


def test_a_chain_is_known_when_all_of_it_is(tiny_base: BaseModel) -> None:
    """Records may come in any order: a version can be built once nothing is missing."""
    line, book = Lineage(tiny_base), Book(tiny_base.name)
    first, second = line.next(), line.next()
    assert book.is_whole(tiny_base.name)
    assert book.chain(tiny_base.name) == []
    assert_missing(book, second.version, f"recipe of version {second.version}")
    book.add_recipe(second)
    assert_missing(book, second.version, "mask")
    book.add_mask(line.mask)
    assert_missing(book, second.version, f"recipe of version {first.version}")
    book.add_recipe(first)
    assert book.is_whole(second.version)
    assert book.chain(second.version) == [first, second]


def assert_missing(book: Book, version: str, what: str) -> None:
    """See that a version cannot be built yet, and why."""
    assert not book.is_whole(version)
    with pytest.raises(UnknownVersionError, match=what):
        book.chain(version)


def announced(recipe: Recipe | None, *, line: str = "main") -> Candidate:
    """Announce a candidate, or withdraw it."""
    body = json.loads(encode(recipe)) if recipe else {}
    return Candidate(id="c", line=line, recipe=body, created_ms=1)


def test_what_was_announced_may_be_decided_for_until_it_is_or_is_withdrawn(
    tiny_base: BaseModel,
) -> None:
    """It is no known version by that, and is ahead of what it is a child of, alone."""
    lineage, book = Lineage(tiny_base), Book(tiny_base.name)
    first, second = lineage.next(), lineage.next()
    at_base = Line("main", (tiny_base.name,))
    book.announce(announced(first))
    assert book.ahead(at_base) is None  # its mask is not known yet
    book.add_mask(lineage.mask)
    assert book.ahead(at_base) == first
    assert book.recipe(first.version) is None
    assert not book.is_whole(first.version)
    assert book.ahead(replace(at_base, name="other")) is None
    on_trial = Trial(second.version, "running", 0, 0.1)
    assert book.ahead(replace(at_base, trial=on_trial)) is None
    book.announce(announced(None))
    assert book.ahead(at_base) is None
    book.announce(announced(first))
    book.add_recipe(first)
    promoted = promotion(1, first.version, tiny_base.name)
    book.decide(promoted)
    assert book.ahead(at_base) is None  # as after a rollback
    book.announce(announced(second))
    assert book.ahead(at_base) is None
    assert book.ahead(at_base.take(promoted)) == second


def test_what_was_decided_on_before_it_was_announced_is_not_ahead(tiny_base: BaseModel) -> None:
    """An agent that starts may read a rollout first: what was rolled back is not built again."""
    lineage, book = Lineage(tiny_base), Book(tiny_base.name)
    first, second = lineage.next(), lineage.next()
    book.add_mask(lineage.mask)
    at_base, audit = Line("main", (tiny_base.name,)), Audit("ann", "worse", 1, "a")
    promoted = promotion(1, first.version, tiny_base.name)
    back = verbs.rollback(at_base.take(promoted), audit)
    for rollout in (promoted, back):
        book.decide(rollout)
    book.announce(announced(first))
    book.add_recipe(first)
    after = at_base.take(promoted).take(back)
    assert book.ahead(after) is None
    other = second.model_copy(update={"parent": tiny_base.name})
    book.announce(announced(other))
    assert book.ahead(after) == other
    for number in range(1, DECIDED + 1):
        book.decide(promotion(number, f"v{number}", tiny_base.name))
    assert book.ahead(after) == other
    book.announce(announced(first))
    assert book.ahead(after) == first  # so long ago is remembered no more


def test_another_lines_candidate_leaves_this_lines_as_it_is(tiny_base: BaseModel) -> None:
    """Whether the other is announced, decided for or withdrawn."""
    lineage, book = Lineage(tiny_base), Book(tiny_base.name)
    book.add_mask(lineage.mask)
    first = lineage.next()
    theirs = first.model_copy(update={"line": "other"})
    at_base = Line("main", (tiny_base.name,))
    book.announce(announced(first))
    book.announce(announced(theirs, line="other"))
    assert book.ahead(at_base) == first
    book.decide(promotion(1, theirs.version, tiny_base.name).model_copy(update={"line": "other"}))
    assert book.ahead(replace(at_base, name="other")) is None
    book.announce(announced(None, line="other"))
    assert book.ahead(at_base) == first


def test_a_candidate_that_waits_for_an_operator_may_be_decided_for(tiny_base: BaseModel) -> None:
    """One that runs is in memory by its trial, and needs nothing ahead."""
    lineage, book = Lineage(tiny_base), Book(tiny_base.name)
    recipe = lineage.next()
    book.add_mask(lineage.mask)
    book.add_recipe(recipe)
    pending = Line("main", (tiny_base.name,), trial=Trial(recipe.version, "pending", 0, 0.0))
    assert book.ahead(pending) == recipe
    assert book.ahead(replace(pending, trial=Trial(recipe.version, "running", 0, 0.1))) is None


def test_an_announcement_that_cannot_be_read_is_refused(tiny_base: BaseModel) -> None:
    """What was announced before it still may be decided for."""
    lineage, book = Lineage(tiny_base), Book(tiny_base.name)
    book.add_mask(lineage.mask)
    book.announce(announced(recipe := lineage.next()))
    with pytest.raises(UnreadableRecordError):
        book.announce(Candidate(id="c", line="main", recipe={"kind": "no such"}, created_ms=1))
    assert book.ahead(Line("main", (tiny_base.name,))) == recipe
