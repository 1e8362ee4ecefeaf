"""The learner's copy of the serving version follows the line exactly."""

import pytest
import torch

from kernels.contract import Backend
from kernels.errors import DigestMismatchError
from learner.serving import Serving
from learner.settings import MODULES
from streams.errors import LedgerError
from streams.records import Mask, Recipe


def draft(serving: Serving, *, key: str = "00000000000000aa", step: int = 40) -> Recipe:
    """Return a recipe on the serving version, without its digest."""
    return Recipe(
        line="main",
        number=serving.number + 1,
        parent=serving.name,
        strategy="es",
        noise="rank1",
        key=key,
        coefficients=[64, -80, 12],
        step=step,
        sigma_log2=-4,
        layers=serving.layers,
        modules=serving.modules,
        scales=serving.scales,
        mask=serving.mask.digest,
        digest="",
    )


def grow(serving: Serving, *keys: str) -> list[Recipe]:
    """Follow one child after another; give the chain."""
    chain: list[Recipe] = []
    for key in keys:
        chain.append(serving.child(draft(serving, key=key)).recipe)
        assert serving.follow(chain[-1].version, chain)
    return chain


KEYS = ("00000000000000aa", "00000000000000bb", "00000000000000cc")


def weights(serving: Serving) -> dict[str, torch.Tensor]:
    """Return the moving tensors of the serving version."""
    model = serving.decoder.model
    return {spec.name: model.get_parameter(spec.name) for spec in serving.specs}


def test_a_rollback_brings_the_same_bytes_back(serving: Serving) -> None:
    """Forward and back again is where it was, byte for byte."""
    chain = grow(serving, *KEYS)
    third = {name: tensor.clone() for name, tensor in weights(serving).items()}
    assert serving.follow(chain[0].version, chain[:1])
    assert serving.number == 1
    assert serving.follow(chain[2].version, chain)
    assert all(torch.equal(third[name], tensor) for name, tensor in weights(serving).items())
    assert serving.follow(serving.base.name, [])
    assert serving.decoder is serving.base.decoder


def test_a_side_branch_is_reached_over_the_common_ancestor(serving: Serving) -> None:
    """From one branch to another, only what differs is taken out and put in."""
    chain = grow(serving, *KEYS[:2])
    serving.follow(chain[0].version, chain[:1])
    branch = [chain[0], serving.child(draft(serving, key=KEYS[2])).recipe]
    serving.follow(chain[1].version, chain)
    assert serving.follow(branch[1].version, branch)
    assert serving.name == branch[1].version


def test_following_what_serves_already_does_nothing(serving: Serving) -> None:
    """The serving version is not built again."""
    assert not serving.follow(serving.base.name, [])


def test_frozen_units_do_not_move(serving: Serving) -> None:
    """Frozen rows and columns equal the base; others have moved."""
    grow(serving, KEYS[0])
    for name, tensor in weights(serving).items():
        base, units = serving.base.model.get_parameter(name), serving.frozen[name]
        assert not torch.equal(tensor, base)
        if units.rows is not None:
            assert torch.equal(tensor[units.rows == 0], base[units.rows == 0])
        if units.columns is not None:
            assert torch.equal(tensor[:, units.columns == 0], base[:, units.columns == 0])


def test_a_changed_recipe_is_refused_and_the_old_version_kept(serving: Serving) -> None:
    """A recipe that does not give its digest changes nothing."""
    recipe = serving.child(draft(serving)).recipe
    forged = recipe.model_copy(update={"step": 41})
    with pytest.raises(DigestMismatchError):
        serving.follow(forged.version, [forged])
    assert serving.name == serving.base.name


def test_a_line_of_another_base_or_mask_is_refused(serving: Serving) -> None:
    """What was grown elsewhere is named, and not applied."""
    recipe = serving.child(draft(serving)).recipe
    elsewhere = recipe.model_copy(update={"parent": "0" * 16})
    with pytest.raises(LedgerError, match="another home"):
        serving.follow(elsewhere.version, [elsewhere])
    masked = recipe.model_copy(update={"mask": Mask(base="b", neurons={}, groups={}).digest})
    with pytest.raises(LedgerError, match="another mask"):
        serving.follow(masked.version, [masked])
    with pytest.raises(LedgerError, match="does not hold"):
        serving.follow("f" * 16, [])


def test_a_line_grown_on_more_layers_is_followed(serving: Serving, backend: Backend) -> None:
    """Settings may move fewer layers than an earlier part of the line did."""
    chain = grow(serving, *KEYS[:2])
    fewer = Serving(serving.base, backend, serving.mask, layers=[3], modules=MODULES[:4])
    assert fewer.follow(chain[1].version, chain)
    for name, tensor in weights(serving).items():
        assert torch.equal(tensor, fewer.decoder.model.get_parameter(name))
    child = fewer.child(draft(fewer, key=KEYS[2])).recipe
    assert fewer.follow(child.version, [*chain, child])
    assert serving.follow(child.version, [*chain, child])
