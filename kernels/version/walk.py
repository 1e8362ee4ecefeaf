"""Walks from one version's integers to another's along their recipes, by the shortest way.

Three ways lead to a version: on from where one stands (what differs is taken out and put in), on
from a snapshot of an earlier version, or up from the base. All give the same integers, and every
recipe and snapshot is proved by its digest. Who catches up writes a snapshot as it goes, so that
the next one's way stays short however long the ledger is.

Invariants: what a walk started from stays as it was, whatever fails; a snapshot is a short cut and
never a source, so one that is damaged costs time and nothing else.

Knows nothing of files, ledgers or what a version's weights are used for.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kernels.contract import Backend
from kernels.errors import DigestMismatchError
from kernels.model.forward import Decoder
from kernels.version.layout import layout
from kernels.version.mask import UnitMap, frozen_by_name
from kernels.version.master import Generation, Master

_LOG = logging.getLogger(__name__)


class Step(Generation, Protocol):
    """The part of a recipe that walking needs (streams.records.Recipe has it)."""

    @property
    def version(self) -> str:
        """Name of the version that it leads to."""

    @property
    def parent(self) -> str:
        """Name of the version that it starts from."""

    @property
    def mask(self) -> str:
        """Digest of the frozen units in force."""


class Snapshots(Protocol):
    """Kept integers (streams.line.snapshots.Snapshots)."""

    @property
    def every(self) -> int:
        """How many recipes may lie between a version and the snapshot before it."""

    def nearest(self, chain: Sequence[str]) -> str | None:
        """Give the version furthest along a chain that there is a snapshot of."""

    def load(self, version: str) -> Mapping[str, NDArray[np.int32]] | None:
        """Read a version's integers; None when they cannot be trusted."""

    def refuse(self, version: str, why: str) -> None:
        """Put a snapshot aside that is not what its name says."""

    def save(self, version: str, integers: Mapping[str, NDArray[np.int32]]) -> object:
        """Keep a version's integers. Raises: OSError."""


@dataclass(frozen=True, slots=True)
class Stand:
    """The integers of a version, and the recipes from the base that they came from."""

    chain: tuple[Step, ...]
    master: Master


def moved(chain: Iterable[Step]) -> tuple[list[int], list[str]]:
    """Give the layers and modules that any recipe of a chain moves, sorted."""
    steps = list(chain)
    layers = {layer for step in steps for layer in step.layers}
    return sorted(layers), sorted({module for step in steps for module in step.modules})


def master_at_base(
    base: Decoder,
    units: UnitMap,
    backend: Backend,
    chain: Iterable[Step],
    *,
    layers: Iterable[int] = (),
    modules: Iterable[str] = (),
) -> Master:
    """Give a master of zeros that can hold all that a chain moves, and what else is named.

    units: the frozen ones
    """
    of_chain = moved(chain)
    layers, modules = sorted({*layers, *of_chain[0]}), sorted({*modules, *of_chain[1]})
    frozen = frozen_by_name(base, units, layout(base.model, layers, modules))
    return Master(base.model, layers=layers, modules=modules, backend=backend, frozen=frozen)


def walk(
    stand: Stand | None,
    chain: Sequence[Step],
    *,
    fresh: Callable[[Sequence[Step]], Master],
    snapshots: Snapshots | None = None,
) -> tuple[Stand, dict[str, Tensor]]:
    """Go to the version that a chain of recipes leads to.

    stand: where to go on from; it is not changed; None: from nowhere
    chain: recipes from the base on
    fresh: gives a master at the base that holds what a chain moves
    returns: where one stands then, and its weights, made in the same pass as the last step
    raises: ValueError when the recipes name different masks; as Master.advance
    """
    if len({step.mask for step in chain}) > 1:
        raise ValueError("its recipes name different masks, and a line keeps one")
    shared = _shared(stand, chain)
    steps_back = len(stand.chain) - shared if stand else 0
    steps = steps_back + len(chain) - shared
    if stand is None or not _fits(stand, chain) or steps > len(chain):
        stand, shared, steps = None, 0, len(chain)
    found = _from_snapshot(chain, fresh, snapshots, within=steps) if snapshots else None
    if found is not None:
        master, shared = found
    elif stand is not None:
        master = stand.master.copy()
        for step in reversed(stand.chain[shared:]):
            master.apply(step, sign=-1)
    else:
        master = fresh(chain)
    for step in chain[shared:-1]:
        master.apply(step)
    weights = master.advance(chain[-1])[0] if shared < len(chain) else master.weights()
    return Stand(tuple(chain), master), weights


def keep(stand: Stand, snapshots: Snapshots | None) -> bool:
    """Write a snapshot of where one stands, if the nearest one is far enough behind.

    returns: whether one was written; a disk that does not take it is said, and nothing else
    """
    if snapshots is None or not snapshots.every:
        return False
    names = _names(stand.chain)
    nearest = snapshots.nearest(names)
    behind = len(names) - (names.index(nearest) + 1 if nearest is not None else 0)
    if behind < snapshots.every:
        return False
    try:
        snapshots.save(names[-1], stand.master.integers())
    except OSError as cause:
        _LOG.warning("no snapshot of %s could be written: %s", names[-1], cause)
        return False
    return True


def _from_snapshot(
    chain: Sequence[Step],
    fresh: Callable[[Sequence[Step]], Master],
    snapshots: Snapshots,
    *,
    within: int,
) -> tuple[Master, int] | None:
    """Give the integers of the newest good snapshot fewer than `within` steps away, and its place.

    One that is refused is told by `snapshots`; the next older one is tried.
    """
    names = _names(chain)
    while (name := snapshots.nearest(names)) is not None:
        place = names.index(name) + 1
        if len(chain) - place >= within:
            return None
        integers = snapshots.load(name)
        if integers is not None:
            master = fresh(chain)
            try:
                master.restore(integers, chain[place - 1].digest)
            except (DigestMismatchError, ValueError) as cause:
                snapshots.refuse(name, str(cause))
            else:
                return master, place
        names = names[: place - 1]
    return None


def _names(chain: Sequence[Step]) -> list[str]:
    # A child's recipe holds its parent's name: to compute a name is to hash a recipe.
    return [*(step.parent for step in chain[1:]), *(step.version for step in chain[-1:])]


def _shared(stand: Stand | None, chain: Sequence[Step]) -> int:
    pairs = zip(stand.chain if stand else (), chain, strict=False)
    # Most are the same objects, which costs less to see than that they are equal.
    return sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1] or pair[0] == pair[1], pairs))


def _fits(stand: Stand, chain: Sequence[Step]) -> bool:
    """Whether this master can hold a chain: the same frozen units, and every tensor it moves."""
    held = {(spec.layer, spec.module) for spec in stand.master.specs}
    wanted = {(layer, module) for s in chain for layer in s.layers for module in s.modules}
    same_mask = not (stand.chain and chain) or stand.chain[0].mask == chain[0].mask
    return same_mask and wanted <= held
