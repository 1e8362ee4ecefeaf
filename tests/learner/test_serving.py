"""The learner's copy of the serving version follows the line exactly."""

import pytest
import torch

from kernels.contract import Backend
from kernels.errors import DigestMismatchError
from learner.serving import Versions
from learner.settings import MODULES
from streams.errors import LedgerError
from streams.records import Mask, Recipe


def draft(versions: Versions, *, key: str = "00000000000000aa", step: int = 40) -> Recipe:
    """Return a recipe on the serving version, without its digest."""
    return Recipe(
        line="main",
        number=versions.number + 1,
        parent=versions.name,
        strategy="es",
        noise="rank1",
        key=key,
        coefficients=[64, -80, 12],
        step=step,
        sigma_log2=-4,
        layers=versions.layers,
        modules=versions.modules,
        scales=versions.scales,
        mask=versions.mask.digest,
        digest="",
    )


def grow(versions: Versions, *keys: str) -> list[Recipe]:
    """Follow one child after another; give the chain."""
    chain: list[Recipe] = []
    for key in keys:
        chain.append(versions.child(draft(versions, key=key)).recipe)
        assert versions.follow(chain[-1].version, chain)
    return chain


KEYS = ("00000000000000aa", "00000000000000bb", "00000000000000cc")


def weights(versions: Versions) -> dict[str, torch.Tensor]:
    """Return the moving tensors of the serving version."""
    model = versions.decoder.model
    return {spec.name: model.get_parameter(spec.name) for spec in versions.specs}


def test_a_rollback_brings_the_same_bytes_back(versions: Versions) -> None:
    """Forward and back again is where it was, byte for byte."""
    chain = grow(versions, *KEYS)
    third = {name: tensor.clone() for name, tensor in weights(versions).items()}
    assert versions.follow(chain[0].version, chain[:1])
    assert versions.number == 1
    assert versions.follow(chain[2].version, chain)
    assert all(torch.equal(third[name], tensor) for name, tensor in weights(versions).items())
    assert versions.follow(versions.base.name, [])
    assert versions.decoder is versions.base.decoder


def test_a_side_branch_is_reached_over_the_common_ancestor(versions: Versions) -> None:
    """From one branch to another, only what differs is taken out and put in."""
    chain = grow(versions, *KEYS[:2])
    versions.follow(chain[0].version, chain[:1])
    branch = [chain[0], versions.child(draft(versions, key=KEYS[2])).recipe]
    versions.follow(chain[1].version, chain)
    assert versions.follow(branch[1].version, branch)
    assert versions.name == branch[1].version


def test_following_what_serves_already_does_nothing(versions: Versions) -> None:
    """The serving version is not built again."""
    assert not versions.follow(versions.base.name, [])


def test_frozen_units_do_not_move(versions: Versions) -> None:
    """Frozen rows and columns equal the base; others have moved."""
    grow(versions, KEYS[0])
    for name, tensor in weights(versions).items():
        base, units = versions.base.model.get_parameter(name), versions.frozen[name]
        assert not torch.equal(tensor, base)
        if units.rows is not None:
            assert torch.equal(tensor[units.rows == 0], base[units.rows == 0])
        if units.columns is not None:
            assert torch.equal(tensor[:, units.columns == 0], base[:, units.columns == 0])


def test_a_changed_recipe_is_refused_and_the_old_version_kept(versions: Versions) -> None:
    """A recipe that does not give its digest changes nothing."""
    recipe = versions.child(draft(versions)).recipe
    forged = recipe.model_copy(update={"step": 41})
    with pytest.raises(DigestMismatchError):
        versions.follow(forged.version, [forged])
    assert versions.name == versions.base.name


def test_a_line_of_another_base_or_mask_is_refused(versions: Versions) -> None:
    """What was grown elsewhere is named, and not applied."""
    recipe = versions.child(draft(versions)).recipe
    elsewhere = recipe.model_copy(update={"parent": "0" * 16})
    with pytest.raises(LedgerError, match="another home"):
        versions.follow(elsewhere.version, [elsewhere])
    masked = recipe.model_copy(update={"mask": Mask(base="b", neurons={}, groups={}).digest})
    with pytest.raises(LedgerError, match="another mask"):
        versions.follow(masked.version, [masked])
    with pytest.raises(LedgerError, match="does not hold"):
        versions.follow("f" * 16, [])


def test_a_line_grown_on_more_layers_is_followed(versions: Versions, backend: Backend) -> None:
    """Settings may move fewer layers than an earlier part of the line did."""
    chain = grow(versions, *KEYS[:2])
    fewer = Versions(versions.base, backend, versions.mask, layers=[3], modules=MODULES[:4])
    assert fewer.follow(chain[1].version, chain)
    for name, tensor in weights(versions).items():
        assert torch.equal(tensor, fewer.decoder.model.get_parameter(name))
    child = fewer.child(draft(fewer, key=KEYS[2])).recipe
    assert fewer.follow(child.version, [*chain, child])
    assert versions.follow(child.version, [*chain, child])
