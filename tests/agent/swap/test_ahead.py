"""What may be decided for next is built before it is, serves nobody, and is let go when it must."""

import gc
import weakref
from queue import SimpleQueue

import pytest

from agent.engine.contract import serving
from agent.errors import SwapError, UnknownVersionError
from agent.swap.residents import Residents
from kernels.model.forward import Decoder
from kernels.open import open_backend
from streams.line.line import Trial
from streams.model.open import BaseModel
from streams.records import Recipe
from tests.agent.lineage import Lineage

Told = SimpleQueue[tuple[str, BaseException | None]]
LIMIT_S = 60.0


@pytest.fixture
def lineage(tiny_base: BaseModel) -> Lineage:
    """Two versions, the second one of them the first one's child."""
    line = Lineage(tiny_base)
    line.next()
    line.next()
    return line


@pytest.fixture
def residents(tiny_base: BaseModel, lineage: Lineage) -> Residents:
    """The base serving; no recipe is known, but the mask is."""
    made = Residents(tiny_base, open_backend("cpu"))
    made.book.add_mask(lineage.mask)
    return made


@pytest.fixture
def told() -> Told:
    """What was said of versions built ahead."""
    return SimpleQueue()


def prepare(residents: Residents, told: Told, recipe: Recipe) -> BaseException | None:
    """Let a version be built ahead, wait until that is told, and return what went wrong."""
    residents.prepare(recipe, lambda *said: told.put(said))
    version, failed = told.get(timeout=LIMIT_S)
    assert version == recipe.version
    return failed


def built_ahead(residents: Residents) -> Decoder:
    """Return what was built ahead."""
    building = residents._ahead._building
    assert building is not None
    return building[1].result().decoder


def test_a_decision_finds_what_was_built_ahead(
    residents: Residents, lineage: Lineage, told: Told, tiny_base: BaseModel
) -> None:
    """The very weights serve, as a version or on trial; until then no request can name them."""
    first, second = lineage.recipes
    assert prepare(residents, told, first) is None
    assert residents.resident == [tiny_base.name]
    with pytest.raises(UnknownVersionError):
        residents.lend(first.version)
    built = built_ahead(residents)
    residents.book.add_recipe(first)
    residents.promote(first.version)
    assert residents.hold(serving).decoder is built
    assert prepare(residents, told, second) is None
    built = built_ahead(residents)
    residents.book.add_recipe(second)
    residents.try_out(Trial(second.version, "running", 0, 0.1))
    assert residents.lend(second.version).decoder is built
    direct = Residents(tiny_base, open_backend("cpu"))
    direct.book.add_mask(lineage.mask)
    for recipe in lineage.recipes:
        direct.book.add_recipe(recipe)
    direct.promote(second.version)
    assert direct.digest_of(second.version) == residents.digest_of(second.version)


def test_it_is_built_once_and_one_at_a_time(
    residents: Residents, lineage: Lineage, told: Told
) -> None:
    """Asked for again nothing happens; what is withdrawn, or replaced, leaves memory."""
    first, second = lineage.recipes
    assert prepare(residents, told, first) is None
    residents.prepare(first, lambda *said: told.put(said))
    held = weakref.ref(built_ahead(residents))
    residents.book.add_recipe(first)
    assert prepare(residents, told, second) is None
    other = weakref.ref(built_ahead(residents))
    residents.prepare(None, lambda *said: told.put(said))
    gc.collect()
    assert (held(), other()) == (None, None)
    assert told.empty()


def test_what_cannot_be_built_ahead_is_said_and_hurts_nothing(
    residents: Residents, lineage: Lineage, told: Told, tiny_base: BaseModel
) -> None:
    """What serves, serves on; decided for all the same it fails then, and its sibling serves."""
    first, _ = lineage.recipes
    broken = Recipe.model_validate(first.model_dump() | {"digest": "0" * 64})
    failed = prepare(residents, told, broken)
    assert isinstance(failed, SwapError)
    assert "promises" in str(failed)
    assert residents.serving == tiny_base.name
    residents.book.add_recipe(broken)
    with pytest.raises(SwapError):
        residents.promote(broken.version)
    assert residents.serving == tiny_base.name
    residents.book.add_recipe(first)
    residents.promote(first.version)
    assert residents.serving == first.version
