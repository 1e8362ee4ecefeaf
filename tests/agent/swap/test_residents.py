"""Versions in memory: built aside and proved, flipped to, gone back from, let go."""

import threading

import pytest
import torch

from agent.engine.contract import serving
from agent.errors import NoPreviousError, SwapError, UnknownVersionError
from agent.swap.residents import Residents, Stands
from agent.swap.spans import Spans
from agent.swap.swapper import Swapper
from agent.watch.events import Events
from agent.watch.metrics import Metrics
from kernels.open import open_backend
from streams.line import verbs
from streams.line.line import Line, Trial
from streams.line.variant import Variant
from streams.line.verbs import Audit
from streams.model.open import BaseModel
from streams.model.weights import weights_digest
from streams.records import Mask, Recipe
from streams.trace.contract import NO_TRACER
from tests.agent.lineage import LAYERS, MODULES, Lineage


@pytest.fixture
def lineage(tiny_base: BaseModel) -> Lineage:
    """A line of four versions."""
    line = Lineage(tiny_base)
    for _ in range(4):
        line.next()
    return line


@pytest.fixture
def residents(tiny_base: BaseModel, lineage: Lineage) -> Residents:
    """The base serving; the four versions are known."""
    return knowing(tiny_base, lineage)


def knowing(base: BaseModel, lineage: Lineage) -> Residents:
    """Return residents that know a line's recipes and mask."""
    made = Residents(base, open_backend("cpu"))
    made.book.add_mask(lineage.mask)
    for recipe in lineage.recipes:
        made.book.add_recipe(recipe)
    return made


def names(lineage: Lineage) -> list[str]:
    """Return the versions of a line, oldest first."""
    return [recipe.version for recipe in lineage.recipes]


def changed(recipe: Recipe, **changes: object) -> Recipe:
    """Return another recipe that differs in some fields."""
    return Recipe.model_validate(recipe.model_dump() | changes)


def test_a_version_is_the_same_bits_by_every_way(
    tiny_base: BaseModel, lineage: Lineage, residents: Residents
) -> None:
    """Step by step, at once, and by way of another version and back, the digest is one."""
    versions = names(lineage)
    for version in versions:
        residents.promote(version)
    direct = knowing(tiny_base, lineage)
    direct.promote(versions[3])
    assert direct.digest_of(versions[3]) == residents.digest_of(versions[3])
    back = knowing(tiny_base, lineage)
    back.promote(versions[3])
    back.promote(versions[1])
    direct.promote(versions[1])
    residents.promote(versions[1])
    digests = {each.digest_of(versions[1]) for each in (direct, back, residents)}
    assert len(digests) == 1
    residents.promote(tiny_base.name)
    assert residents.digest_of(tiny_base.name) == weights_digest(tiny_base.model)


def test_only_what_moves_is_new(
    tiny_base: BaseModel, lineage: Lineage, residents: Residents
) -> None:
    """A version shares every tensor that its chain leaves alone; its frozen rows are the base's."""
    residents.promote(names(lineage)[0])
    model = residents.hold(serving).decoder.model
    for name in tiny_base.model.names:
        moved = any(f"layers.{n}." in name for n in LAYERS) and any(m in name for m in MODULES)
        stored, before = (each.layers.get(name) for each in (model, tiny_base.model))
        assert (stored is before) is not moved
        ours, base = model.get_parameter(name), tiny_base.model.get_parameter(name)
        assert moved is not torch.equal(ours, base)
    name = "model.layers.2.mlp.up_proj.weight"
    frozen = lineage.mask.neurons[2]
    base, ours = tiny_base.model.get_parameter(name), model.get_parameter(name)
    assert torch.equal(base[frozen], ours[frozen])


def test_what_is_lent_stays_until_it_is_given_back(lineage: Lineage, residents: Residents) -> None:
    """Built beside what serves, to the same bits as when it serves, and let go at the end."""
    first, second, third, _ = names(lineage)
    residents.promote(third)
    digest = residents.digest_of(third)
    lent, again = residents.lend(first), residents.lend(first)
    assert again is lent
    assert residents.serving == third
    residents.promote(second)
    residents.promote(third)
    assert residents.digest_of(third) == digest
    assert first in residents.resident
    residents.release(lent)
    assert first in residents.resident
    residents.release(again)
    assert first not in residents.resident
    residents.promote(first)
    assert residents.digest_of(first) == weights_digest(lent.decoder.model)
    with pytest.raises(UnknownVersionError):
        residents.lend("no such version")


def test_an_unknown_version_is_said(lineage: Lineage, tiny_base: BaseModel) -> None:
    """A missing recipe, parent or mask is named, and what served serves on."""
    residents = Residents(tiny_base, open_backend("cpu"))
    first, second, *_ = lineage.recipes
    with pytest.raises(UnknownVersionError, match=f"no recipe of version {second.version}"):
        residents.promote(second.version)
    residents.book.add_recipe(second)
    with pytest.raises(UnknownVersionError, match="mask"):
        residents.promote(second.version)
    residents.book.add_mask(lineage.mask)
    with pytest.raises(UnknownVersionError, match=f"no recipe of version {first.version}"):
        residents.promote(second.version)
    assert residents.serving == tiny_base.name
    residents.book.add_recipe(first)
    residents.promote(second.version)
    assert residents.serving == second.version


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"digest": "0" * 64}, "promises integers"),
        ({"key": "00000000000000ff"}, "promises integers"),
        ({"step": 2**30}, "int32"),
        ({"scales": [1, 2, 3, 4]}, "another base"),
        ({"layers": [2, 9]}, "9"),
    ],
)
def test_a_recipe_that_fails_a_check_never_serves(
    residents: Residents, lineage: Lineage, changes: dict[str, object], says: str
) -> None:
    """False integers, an exploding update, another base's recipe: refused, nothing is harmed."""
    good = lineage.recipes[0]
    residents.promote(good.version)
    digest = residents.digest_of(good.version)
    bad = changed(lineage.recipes[1], **changes)
    residents.book.add_recipe(bad)
    with pytest.raises(SwapError, match=says):
        residents.promote(bad.version)
    assert residents.serving == good.version
    assert residents.digest_of(good.version) == digest
    residents.promote(lineage.recipes[1].version)
    assert residents.serving == lineage.recipes[1].version


def test_a_recipe_made_under_another_mask_never_serves(
    residents: Residents, lineage: Lineage, tiny_base: BaseModel
) -> None:
    """A learner that moved a frozen unit gives other integers than the mask allows."""
    other = Mask(base=tiny_base.name, neurons={2: [1], 3: [7]}, groups={})
    residents.book.add_mask(other)
    free = changed(lineage.recipes[0], mask=other.digest)
    residents.book.add_recipe(free)
    with pytest.raises(SwapError, match="promises integers"):
        residents.promote(free.version)
    mixed = changed(lineage.recipes[1], mask=other.digest)
    residents.book.add_recipe(mixed)
    with pytest.raises(SwapError, match="different masks"):
        residents.promote(mixed.version)


def test_going_back_is_one_step_each_time(
    tiny_base: BaseModel, residents: Residents, lineage: Lineage
) -> None:
    """Rollback takes the version before, then the one before that, down to the base."""
    for version in names(lineage):
        residents.promote(version)
    expected = [*reversed(names(lineage)[:-1]), tiny_base.name]
    assert [residents.rollback() for _ in range(4)] == expected
    assert residents.serving == tiny_base.name
    with pytest.raises(NoPreviousError):
        residents.rollback()


def test_an_earlier_version_that_is_promoted_again_has_the_one_before_it_in_memory(
    residents: Residents, lineage: Lineage
) -> None:
    """It is no step back: the version that it took the place of is the one to go back to."""
    first, second = names(lineage)[:2]
    for version in (first, second, first):
        residents.promote(version)
    assert second in residents.resident
    assert [residents.rollback() for _ in range(2)] == [second, first]


class Watched:
    """Residents that note which version was taken into service."""

    def __init__(self, residents: Residents) -> None:
        self.residents, self.taken = residents, list[str]()

    def promote(self, version: str, *, back: bool = False, stands: Stands) -> bool:
        flipped = self.residents.promote(version, back=back, stands=stands)
        self.taken.append(version)
        return flipped

    def __getattr__(self, name: str) -> object:
        return getattr(self.residents, name)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("later", ["nothing", "start", "promote"])
def test_a_rollback_is_followed_at_once_whatever_was_decided_after_it(
    residents: Residents, lineage: Lineage, steps: int, later: str
) -> None:
    """An agent that reads both together serves neither what was taken back nor what nobody chose.

    A version that was promoted since is built while the one before it serves, if that is in memory.
    """
    first, second, third, fourth = names(lineage)
    watched, audit = Watched(residents), Audit("ann", "worse", 1, "a")
    swapper = Swapper(
        watched,  # type: ignore[arg-type]  # residents by delegation
        lambda: line,
        spans=Spans(NO_TRACER),
        events=Events(),
        metrics=Metrics(),
    )
    line = residents._line
    for version in (first, second, third):
        line = line.take(verbs.promote(line, version, audit))
        swapper.swap(line)
    watched.taken.clear()
    for _ in range(steps):
        line = line.take(verbs.rollback(line, audit))
    back = line.version
    if later == "start":
        line = line.take(verbs.start(line, fourth, audit, share=0.1))
    elif later == "promote":
        line = line.take(verbs.promote(line, fourth, audit))
    swapper.swap(line)
    assert not swapper.is_due(line)
    if later != "promote":
        assert (watched.taken, residents.served) == ([back], line.served)
    else:
        assert watched.taken == ([back, fourth] if steps == 1 else [fourth])
    assert third not in residents.resident or (later, steps) == ("promote", 2)


def test_the_previous_version_is_flipped_to_without_building(
    residents: Residents, lineage: Lineage
) -> None:
    """The version before stays in memory: going back needs no recipe, log or arithmetic."""
    first, second = names(lineage)[:2]
    residents.promote(first)
    before = residents.hold(serving)
    residents.release(before)
    residents.promote(second)
    assert residents.rollback() == first
    assert residents.hold(serving) is before


def test_versions_are_let_go_when_nobody_uses_them(
    tiny_base: BaseModel, residents: Residents, lineage: Lineage
) -> None:
    """In memory: base, serving, previous, and those that a request still runs on."""
    first, second, third, fourth = names(lineage)
    residents.promote(first)
    held = [residents.hold(serving), residents.hold(serving)]
    for version in (second, third, fourth):
        residents.promote(version)
    assert set(residents.resident) == {tiny_base.name, first, third, fourth}
    residents.release(held[0])
    assert first in residents.resident
    residents.release(held[1])
    assert set(residents.resident) == {tiny_base.name, third, fourth}
    with pytest.raises(UnknownVersionError, match="not in memory"):
        residents.digest_of(first)


def test_a_candidate_is_held_beside_what_serves_and_let_go_when_its_trial_ends(
    tiny_base: BaseModel, residents: Residents, lineage: Lineage
) -> None:
    """Both answer meanwhile; a reply that it has begun it ends; promoting it builds nothing."""
    first, second, third, _ = names(lineage)
    residents.promote(first)

    def asks_candidate(line: Line) -> Variant:
        assert line.trial is not None
        return Variant(line.name, line.trial.version)

    residents.try_out(Trial(second, "running", 0, 0.1))
    held = residents.hold(asks_candidate)
    assert (held.variant.version, residents.hold(serving).variant.version) == (second, first)
    residents.try_out(None)
    assert residents.serving == first
    assert second in residents.resident
    residents.release(held)
    assert second not in residents.resident
    residents.try_out(Trial(third, "running", 0, 0.1))
    candidate = residents.hold(asks_candidate)
    residents.promote(third)
    assert residents.hold(serving) is candidate
    assert residents.trial is None
    assert tiny_base.name in residents.resident


def test_going_back_to_what_serves_ends_the_trial(
    residents: Residents, lineage: Lineage, tiny_base: BaseModel
) -> None:
    """As a reset where nothing has been released: the candidate answers nobody any more."""
    first = names(lineage)[0]
    residents.try_out(Trial(first, "running", 0, 0.5))
    residents.promote(tiny_base.name)
    on_trial = [residents.trial]
    residents.promote(tiny_base.name, back=True)
    on_trial.append(residents.trial)
    assert residents.serving == tiny_base.name
    assert on_trial == [Trial(first, "running", 0, 0.5), None]
    assert first not in residents.resident


def test_a_candidate_that_cannot_be_proved_leaves_everything_as_it_was(
    residents: Residents, lineage: Lineage
) -> None:
    """What serves, serves on, and the trial that was there is there."""
    residents.promote(names(lineage)[0])
    with pytest.raises(UnknownVersionError):
        residents.try_out(Trial("f" * 16, "running", 0, 0.1))
    assert (residents.serving, residents.trial) == (names(lineage)[0], None)


def test_it_knows_when_the_first_reply_of_what_serves_began(
    tiny_base: BaseModel, lineage: Lineage
) -> None:
    """Neither a later reply counts, nor one of another version; each flip begins anew."""
    now_s = iter((5.0, 7.0))
    residents = Residents(tiny_base, open_backend("cpu"), clock=lambda: next(now_s))
    residents.book.add_mask(lineage.mask)
    residents.book.add_recipe(lineage.recipes[0])
    residents.hold(serving)
    residents.hold(serving)
    assert residents.replies_ms == 5000
    residents.promote(lineage.recipes[0].version)
    residents.hold(lambda line: Variant(line.name, tiny_base.name))
    assert residents.replies_ms is None
    residents.hold(serving)
    assert residents.replies_ms == 7000


def test_many_threads_hold_and_flip(residents: Residents, lineage: Lineage) -> None:
    """What is held is always a whole version, and no use is lost, whoever flips meanwhile."""
    versions, stop = names(lineage), threading.Event()
    faults: list[Exception] = []

    def use() -> None:
        try:
            while not stop.is_set():
                held = residents.hold(serving)
                assert residents.digest_of(held.variant.version)
                residents.release(held)
        except Exception as fault:
            faults.append(fault)

    users = [threading.Thread(target=use) for _ in range(3)]
    for user in users:
        user.start()
    for turn in range(24):
        residents.promote(versions[turn % 4])
    stop.set()
    for user in users:
        user.join()
    assert faults == []
    assert {each.users for each in residents._residents.values()} == {0}
