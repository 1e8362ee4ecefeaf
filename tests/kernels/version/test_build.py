"""A version that was built is proved; whatever fails a check is not built."""

import pytest
import torch
from torch import Tensor

from kernels.change import Change
from kernels.cpu.backend import CpuBackend
from kernels.errors import DigestMismatchError, FrozenMovedError
from kernels.model.model import Model
from kernels.open import open_backend
from kernels.version.build import Source, build, build_child
from streams.model.open import BaseModel
from tests.agent.lineage import LAYERS, MODULES, Lineage


class Forgetful(CpuBackend):
    """Moves a bit of every weight after the last rounding, frozen or not."""

    def _advance(
        self, master: Tensor, base: Tensor, change: Change, exponent: int
    ) -> tuple[Tensor, int]:
        weights, digest = super()._advance(master, base, change, exponent)
        return weights.nextafter(weights + 1), digest


@pytest.fixture(scope="module")
def lineage(tiny_base: BaseModel) -> Lineage:
    """A line of three versions."""
    line = Lineage(tiny_base)
    for _ in range(3):
        line.next()
    return line


@pytest.fixture
def source(tiny_base: BaseModel, lineage: Lineage) -> Source:
    """The ledger alone."""
    masks = {lineage.mask.digest: lineage.mask}
    return Source(tiny_base.decoder, open_backend("cpu"), masks)


def same_weights(one: Model, other: Model) -> bool:
    """Compare every parameter."""
    return all(torch.equal(one.get_parameter(n), other.get_parameter(n)) for n in one.names)


def test_no_recipes_build_the_base_itself(source: Source) -> None:
    """Nothing is copied for it."""
    built = build(source, [])
    assert built.decoder is source.base
    assert built.reached.chain == ()


def test_a_version_is_the_same_from_the_base_and_from_another(
    source: Source, lineage: Lineage
) -> None:
    """Going on tells of what is left to do, and gives the weights of going all the way."""
    told: list[int] = []
    first = build(source, lineage.recipes[:1])
    on = build(source, lineage.recipes, start=first.reached, progress=told.append)
    whole = build(source, lineage.recipes, progress=told.append)
    assert told == [2, 3, 1, 2, 3]
    assert same_weights(whole.decoder.model, on.decoder.model)
    assert first.reached.master.digest() == lineage.recipes[0].digest


def test_a_child_is_the_version_that_its_recipe_builds(source: Source, lineage: Lineage) -> None:
    """A recipe without a digest gets the one that it will be held to."""
    parent, recipe = build(source, lineage.recipes[:2]).reached, lineage.recipes[2]
    digest, decoder = build_child(source, parent, recipe.model_copy(update={"digest": ""}))
    assert digest == recipe.digest
    built = build(source, lineage.recipes)
    assert same_weights(built.decoder.model, decoder.model)


def test_a_frozen_unit_that_moved_is_found(source: Source, lineage: Lineage) -> None:
    """Right integers do not help a backend that rounds a frozen weight to another one."""
    forgetful = Source(source.base, Forgetful(), source.masks, layers=LAYERS, modules=MODULES)
    with pytest.raises(FrozenMovedError):
        build(forgetful, lineage.recipes)
    with pytest.raises(FrozenMovedError):
        build_child(forgetful, build(forgetful, []).reached, lineage.recipes[0])


def test_what_does_not_fit_is_refused(source: Source, lineage: Lineage) -> None:
    """A false digest, a mask that is not known, a second mask: each is named."""
    first, second, _ = lineage.recipes
    forged = second.model_copy(update={"step": 3})
    with pytest.raises(DigestMismatchError):
        build(source, [first, forged])
    elsewhere = first.model_copy(update={"mask": "0" * 64})
    with pytest.raises(ValueError, match="mask 0000000000000000… is not known"):
        build(source, [elsewhere])
    with pytest.raises(ValueError, match="different masks"):
        build(source, [elsewhere, second])
