"""A master rebuilds versions from recipes, to the bit, or stays as it was."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.change import NOISES, ROWS, Address, Frozen, Noise, Span
from kernels.contract import Backend
from kernels.errors import DigestMismatchError, ExplodedError, FrozenMovedError
from kernels.model.model import with_weights
from kernels.open import open_backend
from kernels.version import digits
from kernels.version.factors import rank1_factors
from kernels.version.layout import layout
from kernels.version.mask import frozen_by_name
from kernels.version.master import QUANTUM_LOG2, Master
from streams.model.open import BaseModel
from streams.records import Mask

LAYERS, MODULES = [2, 3], ["q_proj", "k_proj", "o_proj", "up_proj", "down_proj"]


def told(*sizes: int) -> list[str]:
    """Return repeatable factors of so many units each, as a recipe writes them."""
    draw = torch.Generator().manual_seed(len(sizes))
    return [digits.write(torch.randint(-31, 32, (1, size), generator=draw))[0] for size in sizes]


@dataclass
class Draft:
    """A recipe as far as the arithmetic reads it."""

    scales: list[int]
    key: str = "00000000000000aa"
    coefficients: list[int] = field(default_factory=lambda: [200, -31, 7])
    step: int = 9
    noise: Noise = "rank1"
    layers: list[int] = field(default_factory=lambda: LAYERS)
    modules: list[str] = field(default_factory=lambda: MODULES)
    digest: str = ""
    decay: int = 0
    # read of searched noise alone: three pairs, in two of the tensors
    tensors: list[int] = field(default_factory=lambda: [1, 8, 1])
    rows: list[int] = field(default_factory=lambda: [16383, 5, 0])
    columns: list[int] = field(default_factory=lambda: [2, 9999, 2])
    left: list[str] = field(default_factory=lambda: told(32, 96, 32))
    right: list[str] = field(default_factory=lambda: told(64, 64, 64))


def frozen_in(base: BaseModel) -> dict[str, Frozen]:
    """Freeze three neurons of layer 2 and a group of layer 3."""
    units = Mask(base=base.name, neurons={2: [0, 5, 95]}, groups={3: [1]})
    return frozen_by_name(base.decoder, units, layout(base.model, LAYERS, MODULES))


def master_of(base: BaseModel, backend: Backend, **changes: Any) -> Master:
    """Return the base version's master."""
    arguments: dict[str, Any] = {
        "layers": LAYERS, "modules": MODULES, "backend": backend, "frozen": frozen_in(base),
    }  # fmt: skip
    return Master(base.model, **arguments | changes)


def finished(master: Master, draft: Draft) -> Draft:
    """Return the draft with the digest that it leads to."""
    twin = master.copy()
    twin.apply(draft, verify=False)
    return replace(draft, digest=twin.digest())


def test_a_master_of_no_recipes_is_the_base(tiny_base: BaseModel, backend: Backend) -> None:
    """Its weights are the base's, byte for byte, and its digest that of nothing moved."""
    master = master_of(tiny_base, backend)
    for name, weight in master.weights().items():
        assert torch.equal(weight.cpu(), tiny_base.model.get_parameter(name))
    assert master.digest() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("noise", NOISES)
def test_every_backend_gives_the_same_version(
    tiny_base: BaseModel, backend: Backend, reference: Backend, noise: Noise
) -> None:
    """A recipe made by the reference is verified by every backend, to the same weights."""
    theirs = master_of(tiny_base, reference)
    recipe = finished(theirs, Draft(theirs.scales, noise=noise))
    theirs.apply(recipe)
    ours = master_of(tiny_base, backend)
    ours.apply(recipe)
    weights = ours.weights()
    ours.prove_frozen(weights)
    for name, weight in theirs.weights().items():
        assert torch.equal(weights[name].cpu(), weight)


@pytest.mark.parametrize("noise", NOISES)
def test_advancing_is_applying_and_weighing_in_one(
    tiny_base: BaseModel, backend: Backend, noise: Noise
) -> None:
    """Weights and digest of the one pass are those of the steps, of tensors that stay as well."""
    master = master_of(tiny_base, backend)
    recipe = finished(master, Draft(master.scales[:5], noise=noise, layers=LAYERS[:1]))
    twin = master.copy()
    weights, digest = master.advance(recipe)
    twin.apply(recipe)
    assert digest == recipe.digest == master.digest()
    expected = twin.weights()
    assert weights.keys() == expected.keys()
    for name, weight in expected.items():
        assert torch.equal(weights[name], weight)


def test_advancing_to_another_digest_changes_nothing(tiny_base: BaseModel) -> None:
    """A broken promise or an explosion leaves the master as it was."""
    master = master_of(tiny_base, open_backend("cpu"))
    before = master.digest()
    with pytest.raises(DigestMismatchError):
        master.advance(Draft(master.scales, digest="00" * 32))
    assert master.digest() == before
    huge = Draft(master.scales, coefficients=[255, 255], step=2**22)
    master.apply(huge, verify=False)
    before = master.digest()
    with pytest.raises(ExplodedError, match=r"model\.layers"):
        master.advance(huge, verify=False)
    assert master.digest() == before


@pytest.mark.parametrize("noise", NOISES)
def test_decay_comes_before_the_step(tiny_base: BaseModel, backend: Backend, noise: Noise) -> None:
    """K is the parent's after its decay, plus the step; in one pass as in several."""
    master = master_of(tiny_base, backend)
    first = Draft(master.scales, noise=noise, step=30)
    master.apply(first, verify=False)
    before = dict(master.integers())
    second = Draft(master.scales, noise=noise, key="00000000000000bb", decay=4000)
    alone = master_of(tiny_base, backend)
    alone.apply(replace(second, decay=0), verify=False)
    steps = dict(alone.integers())
    twin = master.copy()
    twin.apply(second, verify=False)
    digest = master.advance(second, verify=False)[1]
    assert digest == twin.digest() == master.digest()
    assert before.keys() == steps.keys()
    for name, held in before.items():
        wide = held.astype(np.int64)
        less = np.sign(wide) * (np.abs(wide) * 4000 >> 16)
        assert np.array_equal(dict(master.integers())[name], wide - less + steps[name])


def test_a_decaying_recipe_that_fails_changes_nothing(tiny_base: BaseModel) -> None:
    """A broken promise and an explosion bring back what decay took; it cannot be taken out."""
    master = master_of(tiny_base, open_backend("cpu"))
    master.apply(Draft(master.scales, step=900), verify=False)
    before = master.digest()
    broken = Draft(master.scales, digest="00" * 32, decay=328)
    for applied in (master.apply, master.advance):
        with pytest.raises(DigestMismatchError):
            applied(broken)
        assert master.digest() == before
    huge = Draft(master.scales, coefficients=[255, 255], step=2**22, decay=1)
    master.apply(replace(huge, decay=0), verify=False)
    before = master.digest()
    for applied in (master.apply, master.advance):
        with pytest.raises(ExplodedError, match=r"model\.layers"):
            applied(huge, verify=False)
        assert master.digest() == before
    with pytest.raises(ValueError, match="build the parent anew"):
        master.apply(broken, sign=-1)


def test_an_update_moves_along_the_members_that_it_weighs(tiny_base: BaseModel) -> None:
    """Weights move by 2^(scale + quantum) · step · Σ c_p a_p b_pᵀ, the factors the members'."""
    backend = open_backend("cpu")
    master = master_of(tiny_base, backend)
    draft = Draft(master.scales)
    master.apply(draft, verify=False)
    for spec, scale in zip(master.specs, master.scales, strict=True):
        rows, columns = rank1_factors(
            backend, spec, key=int(draft.key, 16), members=[0, 2, 4],
            frozen=frozen_in(tiny_base)[spec.name],
        )  # fmt: skip
        weighted = rows.double() * torch.tensor(draft.coefficients)[:, None]
        change = draft.step * weighted.T @ columns.double() * 2.0 ** (scale + QUANTUM_LOG2)
        base = tiny_base.model.get_parameter(spec.name).detach()
        moved = (base.double() + change).float()
        assert torch.equal(master.weights()[spec.name], torch.where(change == 0, base, moved))


def test_factors_of_a_pair_are_opposite(tiny_base: BaseModel) -> None:
    """Members 2p and 2p+1 differ in the sign of a alone, whatever members are asked for."""
    backend, spec = open_backend("cpu"), layout(tiny_base.model, [2], ["up_proj"])[0]
    rows, columns = rank1_factors(backend, spec, key=5, members=[7, 6, 66])
    assert torch.equal(rows[0], -rows[1])
    assert torch.equal(columns[0], columns[1])
    expected = backend.signs(Address.of(5, spec.name), Span(ROWS, spec.shape[0]), pairs=34)
    assert torch.equal(rows[2], expected[33])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(range(3)),
    coefficients=st.lists(
        st.lists(st.integers(-255, 255), min_size=1, max_size=5), min_size=3, max_size=3
    ),
)
def test_any_order_of_recipes_in_and_out_again_is_exact(
    tiny_base: BaseModel, order: list[int], coefficients: list[list[int]]
) -> None:
    """Recipes commute, and taking all of them out gives the base's digest."""
    master = master_of(tiny_base, open_backend("cpu"))
    empty = master.digest()
    recipes = [
        Draft(
            master.scales,
            key=f"{index:016x}",
            coefficients=numbers,
            noise=NOISES[index],
            tensors=[1, 8, 1, 0, 3][: len(numbers)],
            rows=[16383, 5, 0, 7, 7][: len(numbers)],
            columns=[2, 9999, 2, 0, 1][: len(numbers)],
            left=told(32, 96, 32, 64, 96)[: len(numbers)],
            right=told(64, 64, 64, 64, 64)[: len(numbers)],
        )
        for index, numbers in enumerate(coefficients)
    ]
    twin = master.copy()
    for recipe in recipes:
        master.apply(recipe, verify=False)
    for index in order:
        twin.apply(recipes[index], verify=False)
    assert twin.digest() == master.digest()
    for index in order:
        master.apply(recipes[index], sign=-1)
    assert master.digest() == empty


def test_a_larger_master_gives_the_same_digests(tiny_base: BaseModel) -> None:
    """Tensors that no recipe moved do not count, so settings may grow between versions."""
    backend = open_backend("cpu")
    small = master_of(tiny_base, backend)
    recipe = finished(small, Draft(small.scales))
    large = master_of(tiny_base, backend, layers=[0, 1, 2, 3], modules=[*MODULES, "v_proj"])
    large.apply(recipe)
    small.apply(recipe)
    assert large.digest() == small.digest()


def test_a_recipe_of_another_digest_changes_nothing(tiny_base: BaseModel) -> None:
    """A wrong promise is an error and the master stays as it was."""
    master = master_of(tiny_base, open_backend("cpu"))
    before = master.digest()
    with pytest.raises(DigestMismatchError, match="promises"):
        master.apply(Draft(master.scales, digest="00" * 32))
    assert master.digest() == before


def test_a_recipe_under_another_mask_is_found_out(tiny_base: BaseModel) -> None:
    """Frozen units are part of the integers: a forgotten mask is a digest mismatch."""
    backend = open_backend("cpu")
    free = master_of(tiny_base, backend, frozen={})
    recipe = finished(free, Draft(free.scales))
    with pytest.raises(DigestMismatchError):
        master_of(tiny_base, backend).apply(recipe)


def test_a_recipe_of_another_base_is_refused(tiny_base: BaseModel) -> None:
    """Scales are the base's own, so others mean another base."""
    master = master_of(tiny_base, open_backend("cpu"))
    with pytest.raises(DigestMismatchError, match="another base"):
        master.apply(Draft([scale + 1 for scale in master.scales]))
    with pytest.raises(ValueError, match="layer 1"):
        master.apply(Draft(master.scales, layers=[1, 2]))


def test_an_exploding_recipe_changes_no_tensor(tiny_base: BaseModel) -> None:
    """When a later tensor leaves int32, the earlier ones are brought back."""
    master = master_of(tiny_base, open_backend("cpu"))
    huge = Draft(master.scales, coefficients=[255, 255], step=2**22)
    master.apply(huge, verify=False)
    before = master.digest()
    with pytest.raises(ExplodedError, match=r"model\.layers"):
        master.apply(huge, verify=False)
    assert master.digest() == before


def test_a_moved_frozen_byte_is_found(tiny_base: BaseModel) -> None:
    """One changed bit in a frozen slice fails the proof; a change elsewhere does not."""
    master = master_of(tiny_base, open_backend("cpu"))
    weights = master.weights()
    name = "model.layers.2.mlp.up_proj.weight"
    weights[name][1, 7] += 1.0
    master.prove_frozen(weights)
    weights[name][5, 7] = torch.nextafter(weights[name][5, 7], torch.tensor(9.0))
    with pytest.raises(FrozenMovedError, match=r"up_proj"):
        master.prove_frozen(weights)


def test_a_copy_moves_on_its_own(tiny_base: BaseModel) -> None:
    """Applying to a copy leaves the original, which shares only the base."""
    master = master_of(tiny_base, open_backend("cpu"))
    before = master.digest()
    twin = master.copy()
    twin.apply(Draft(master.scales), verify=False)
    assert master.digest() == before != twin.digest()


def grown(base: BaseModel, recipes: int = 3, step: int = 9) -> Master:
    """Return a master some recipes away from the base."""
    master = master_of(base, open_backend("cpu"))
    for key in range(recipes):
        master.apply(Draft(master.scales, key=f"{key:016x}", step=step), verify=False)
    return master


def test_a_resting_master_is_the_same_master(tiny_base: BaseModel) -> None:
    """Its copies, integers, digest and weights are those that it had, and it moves on as before."""
    awake, resting = grown(tiny_base), grown(tiny_base)
    model = with_weights(tiny_base.model, awake.weights())
    expected, digest = dict(awake.integers()), awake.digest()
    asked: list[Callable[[Master], dict[str, NDArray[np.int32]]]] = [
        lambda master: dict(master.copy().integers()),
        lambda master: dict(master.integers()),
        lambda master: dict(master.integers()) if master.weights() else {},
    ]
    for ask in asked:
        resting.rest(model)
        assert not resting._integers
        found = ask(resting)
        assert list(found) == list(expected)
        assert all((found[name] == expected[name]).all() for name in expected)
    resting.rest(model)
    assert resting.digest() == digest
    resting.rest(model)
    draft = finished(awake, Draft(awake.scales))
    ours, _ = resting.advance(draft)
    theirs, _ = awake.advance(draft)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    resting.restore(expected, digest)
    assert resting.digest() == digest


def test_a_copy_of_a_resting_master_moves_on_its_own(tiny_base: BaseModel) -> None:
    """Moving the copy leaves the resting one where it was, and at rest."""
    master = grown(tiny_base)
    digest = master.digest()
    master.rest(with_weights(tiny_base.model, master.weights()))
    master.copy().apply(Draft(master.scales), verify=False)
    assert not master._integers
    assert master.digest() == digest


def test_a_weight_that_does_not_tell_its_integers_keeps_them(tiny_base: BaseModel) -> None:
    """Far outside the usual size of a weight a unit is rounded away: there K stays in memory."""
    name = "model.layers.2.mlp.up_proj.weight"
    weight = tiny_base.model.get_parameter(name).clone()
    weight[1, 1] = 2000 * weight.square().mean().sqrt()
    base = with_weights(tiny_base.model, {name: weight})
    master = Master(base, layers=[2], modules=["up_proj"], backend=open_backend("cpu"), frozen={})
    # odd sums of signs, so that half of K is lost where a weight holds even multiples only
    draft = Draft(master.scales, coefficients=[201, -30, 6], layers=[2], modules=["up_proj"])
    for _ in range(3):
        master.apply(draft, verify=False)
    before = dict(master.integers())
    master.rest(with_weights(base, master.weights()))
    assert list(master._integers) == [name]
    assert (dict(master.integers())[name] == before[name]).all()
