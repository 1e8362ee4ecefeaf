"""Every way to a version gives the same integers; snapshots only shorten it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels.errors import DigestMismatchError
from kernels.open import open_backend
from kernels.version.layout import layout
from kernels.version.mask import frozen_by_name
from kernels.version.master import Master
from kernels.version.walk import Reached, Step, keep, walk
from streams.line.snapshots import Snapshots
from streams.model.open import BaseModel
from streams.records import Mask, Recipe
from tests.agent.lineage import LAYERS, MODULES, Lineage

SLOW_FIXTURES = [HealthCheck.function_scoped_fixture]


@dataclass
class Ground:
    """A ledger with a branch, and what it takes to walk on it."""

    chains: dict[str, list[Recipe]]  # by version; the base is "base"
    fresh: Callable[[], Master]
    trunk: list[Recipe]


@pytest.fixture(scope="module")
def ground(tiny_base: BaseModel) -> Ground:
    """Six versions, the fifth of which decays, and two more that branch off after the third."""
    trunk, branch = Lineage(tiny_base), Lineage(tiny_base)
    for number in range(1, 7):
        trunk.next(decay=3000 if number == 5 else 0)
    for _ in range(3):
        branch.next()
    for step in (700, 900):
        branch.next(step=step)
    chains: dict[str, list[Recipe]] = {"base": []}
    for recipes in (trunk.recipes, branch.recipes):
        for count in range(1, len(recipes) + 1):
            chains[recipes[count - 1].version] = recipes[:count]
    assert len(chains) == 1 + 6 + 2

    def fresh() -> Master:
        return master_of(tiny_base, trunk.mask)

    return Ground(chains, fresh, trunk.recipes)


def to(
    start: Reached | None,
    chain: Sequence[Step],
    *,
    fresh: Callable[[], Master],
    snapshots: Snapshots | None = None,
) -> Reached:
    """Walk, and see that the weights are those of the integers that it came to."""
    reached, weights = walk(start, chain, fresh=fresh, snapshots=snapshots)
    expected = reached.master.weights()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in weights.items())
    return reached


def master_of(base: BaseModel, mask: Mask) -> Master:
    specs = layout(base.model, LAYERS, MODULES)
    frozen = frozen_by_name(base.decoder, mask, specs)
    backend = open_backend("cpu")
    return Master(base.model, layers=LAYERS, modules=MODULES, backend=backend, frozen=frozen)


class Counting:
    """A master maker that counts the recipes that its masters take in or out."""

    def __init__(self, ground: Ground) -> None:
        self._fresh = ground.fresh
        self.steps = 0

    def __call__(self) -> Master:
        counting = self

        class Counted(Master):
            def apply(self, *args: object, **kwargs: object) -> None:
                counting.steps += 1
                super().apply(*args, **kwargs)  # type: ignore[arg-type]

            def advance(self, *args: object, **kwargs: object) -> tuple[dict[str, Tensor], str]:
                counting.steps += 1
                return super().advance(*args, **kwargs)  # type: ignore[arg-type]

            def copy(self) -> Master:
                twin = super().copy()
                twin.__class__ = Counted
                return twin

        made = self._fresh()
        made.__class__ = Counted
        return made


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW_FIXTURES)
@given(data=st.data())
def test_every_way_gives_the_same_integers(
    ground: Ground, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Over any stations, with snapshots of any versions: each digest is the ledger's."""
    snapshots = Snapshots(tmp_path_factory.mktemp("snapshots"), every=1, keep=9)
    reached: Reached | None = None
    for name in data.draw(st.lists(st.sampled_from(sorted(ground.chains)), max_size=6)):
        chain = ground.chains[name]
        reached = to(reached, chain, fresh=ground.fresh, snapshots=snapshots)
        expected = chain[-1].digest if chain else ground.fresh().digest()
        assert reached.master.digest() == expected
        assert list(reached.chain) == chain
        if data.draw(st.booleans()):
            keep(reached, snapshots)


def test_a_late_start_takes_in_no_more_than_what_follows_the_snapshot(
    ground: Ground, tmp_path: Path
) -> None:
    """One that walks along writes every few versions; one that starts later begins there."""
    snapshots = Snapshots(tmp_path, every=2)
    reached: Reached | None = None
    written = []
    for count in range(1, 6):
        reached = to(reached, ground.trunk[:count], fresh=ground.fresh, snapshots=snapshots)
        written.append(keep(reached, snapshots))
    assert written == [False, True, False, True, False]
    late = Counting(ground)
    to(None, ground.trunk, fresh=late, snapshots=snapshots)
    assert late.steps == 2


def test_going_on_is_preferred_where_it_is_not_longer(ground: Ground, tmp_path: Path) -> None:
    """A snapshot is not read for what memory has already; far away, it is."""
    snapshots = Snapshots(tmp_path, every=1, keep=9)
    going = Counting(ground)
    reached = to(None, ground.trunk[:2], fresh=going, snapshots=snapshots)
    keep(reached, snapshots)
    going.steps = 0
    reached = to(reached, ground.trunk[:3], fresh=going, snapshots=snapshots)
    assert going.steps == 1
    reached = to(reached, ground.trunk, fresh=going, snapshots=snapshots)
    going.steps = 0
    to(reached, ground.trunk[:2], fresh=going, snapshots=snapshots)
    assert going.steps == 0


def test_nothing_leads_back_over_a_version_that_decayed(ground: Ground) -> None:
    """What stands behind it is built anew; what stands before it is taken out as ever."""
    going = Counting(ground)
    last = to(None, ground.trunk, fresh=going)
    going.steps = 0
    fifth = to(last, ground.trunk[:5], fresh=going)
    assert going.steps == 1
    going.steps = 0
    fourth = to(fifth, ground.trunk[:4], fresh=going)
    assert going.steps == 4
    assert fourth.master.digest() == ground.trunk[3].digest


@pytest.mark.fault("torn or flipped snapshot")
def test_a_damaged_snapshot_is_refused_for_the_next_older_one(
    ground: Ground, tmp_path: Path
) -> None:
    """A flipped bit, a torn file, other integers under the name: each is said, none is used."""
    told: list[str] = []
    snapshots = Snapshots(tmp_path, every=1, keep=9, tell=told.append)
    for count in (1, 3, 4, 5):
        reached = to(None, ground.trunk[:count], fresh=ground.fresh)
        keep(reached, snapshots)
    names = [recipe.version for recipe in ground.trunk]
    flipped, torn = (tmp_path / f"{names[at]}.safetensors" for at in (4, 3))
    content = bytearray(flipped.read_bytes())
    content[-9] ^= 1
    flipped.write_bytes(content)
    torn.write_bytes(torn.read_bytes()[:-100])
    snapshots.save(names[2], to(None, ground.trunk[:2], fresh=ground.fresh).master.integers())
    going = Counting(ground)
    reached = to(None, ground.trunk, fresh=going, snapshots=snapshots)
    assert reached.master.digest() == ground.trunk[-1].digest
    assert going.steps == 5  # from the first version on
    assert [name for line in told for name in names if name in line] == [*names[4:1:-1]]
    assert snapshots.nearest(names) == names[0]


def test_a_snapshot_of_tensors_that_are_not_held_is_refused(ground: Ground, tmp_path: Path) -> None:
    """It comes from another base model."""
    told: list[str] = []
    snapshots = Snapshots(tmp_path, every=1, tell=told.append)
    reached = to(None, ground.trunk[:1], fresh=ground.fresh)
    held = dict(reached.master.integers())
    name = sorted(held)[0]
    snapshots.save(ground.trunk[0].version, (held | {name: held[name][:-1]}).items())
    again = to(None, ground.trunk[:1], fresh=ground.fresh, snapshots=snapshots)
    assert again.master.digest() == reached.master.digest()
    assert len(told) == 1


def test_what_a_walk_began_from_is_not_moved(ground: Ground) -> None:
    """A recipe that is refused leaves the integers from which the walk began."""
    reached = to(None, ground.trunk[:2], fresh=ground.fresh)
    forged = ground.trunk[2].model_copy(update={"step": 3})
    with pytest.raises(DigestMismatchError):
        to(reached, [*ground.trunk[:2], forged], fresh=ground.fresh)
    assert reached.master.digest() == ground.trunk[1].digest


def test_a_disk_that_is_full_stops_nothing(ground: Ground, tmp_path: Path) -> None:
    """The snapshot is missing, and that is all."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    snapshots = Snapshots(tmp_path, every=1, write=full)
    assert not keep(to(None, ground.trunk, fresh=ground.fresh), snapshots)
    assert not keep(to(None, ground.trunk, fresh=ground.fresh), None)
