"""The book tells what a version is made of, or what is missing of it."""

import pytest

from agent.errors import UnknownVersionError
from agent.swap.book import Book
from streams.model.open import BaseModel
from tests.agent.lineage import Lineage


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
