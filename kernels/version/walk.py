"""Walks from one version's integers to another's along their recipes, by the shortest way.

Three ways lead to a version: on from one that is at hand (what differs is taken out and put in;
what decays cannot be taken out, so nothing leads back over it), on from a snapshot of an earlier
version, or up from the base. All give the same integers, and every recipe and snapshot is proved
by its digest. Whoever catches up writes snapshots as they go, so that the next start's way stays
short however long the ledger is.

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

from kernels.errors import DigestMismatchError
from kernels.version.master import Master
from kernels.version.recipe import Recipe

_LOG = logging.getLogger(__name__)


class Step(Recipe, Protocol):
    """A recipe in its place in a chain (streams.records.Recipe is one)."""

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
        """Return the version furthest along a chain that there is a snapshot of."""

    def load(self, version: str) -> Mapping[str, NDArray[np.int32]] | None:
        """Read a version's integers; None when they cannot be trusted."""

    def refuse(self, version: str, why: str) -> None:
        """Put a snapshot aside that is not what its name says."""

    def save(self, version: str, integers: Iterable[tuple[str, NDArray[np.int32]]]) -> object:
        """Keep a version's integers. Raises: OSError."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A version that a walk has come to: the recipes from the base on, and its integers."""

    chain: tuple[Step, ...]
    master: Master


def walk(
    start: Reached | None,
    chain: Sequence[Step],
    *,
    fresh: Callable[[], Master],
    snapshots: Snapshots | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[Reached, dict[str, Tensor]]:
    """Go to the version that a chain of recipes leads to.

    start: where to go on from; it is not changed; None: from nowhere
    chain: recipes from the base on
    fresh: returns a master at the base that holds what the chain moves
    progress: told how many recipes of the chain have been applied
    returns: what was reached, and its weights, made in the same pass as the last step
    raises: ValueError when the recipes name different masks; as Master.advance
    """
    if len({step.mask for step in chain}) > 1:
        raise ValueError("its recipes name different masks, and a line keeps one")
    shared = _shared(start, chain)
    steps_back = len(start.chain) - shared if start else 0
    steps = steps_back + len(chain) - shared
    if start is not None and (steps > len(chain) or not _leads(start, chain, shared)):
        start = None
    if start is None:
        shared, steps = 0, len(chain)
    found = _from_snapshot(chain, fresh, snapshots, within=steps) if snapshots else None
    if found is not None:
        master, shared = found
    elif start is not None:
        master = start.master.copy()
        for step in reversed(start.chain[shared:]):
            master.apply(step, sign=-1)
    else:
        master = fresh()
    for done, step in enumerate(chain[shared:-1], start=shared + 1):
        master.apply(step)
        progress(done)
    weights = master.advance(chain[-1])[0] if shared < len(chain) else master.weights()
    progress(len(chain))
    return Reached(tuple(chain), master), weights


def keep(reached: Reached, snapshots: Snapshots | None) -> bool:
    """Write a snapshot of what was reached, if the nearest one is far enough behind.

    returns: whether one was written; a disk that does not take it is said, and nothing else
    """
    if snapshots is None or not snapshots.every:
        return False
    names = _names(reached.chain)
    nearest = snapshots.nearest(names)
    behind = len(names) - (names.index(nearest) + 1 if nearest is not None else 0)
    if behind < snapshots.every:
        return False
    try:
        snapshots.save(names[-1], reached.master.integers())
    except OSError as cause:
        _LOG.warning("no snapshot of %s could be written: %s", names[-1], cause)
        return False
    return True


def _from_snapshot(
    chain: Sequence[Step],
    fresh: Callable[[], Master],
    snapshots: Snapshots,
    *,
    within: int,
) -> tuple[Master, int] | None:
    """Return the integers and the place of the newest good snapshot under `within` steps away.

    `snapshots` tells of one that is refused; the next older one is tried.
    """
    names = _names(chain)
    while (name := snapshots.nearest(names)) is not None:
        place = names.index(name) + 1
        if len(chain) - place >= within:
            return None
        integers = snapshots.load(name)
        if integers is not None:
            master = fresh()
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


def _shared(start: Reached | None, chain: Sequence[Step]) -> int:
    pairs = zip(start.chain if start else (), chain, strict=False)
    # Most are the same objects, which costs less to see than that they are equal.
    return sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1] or pair[0] == pair[1], pairs))


def _leads(start: Reached, chain: Sequence[Step], shared: int) -> bool:
    """Whether recipes can be taken out and put in from here: what decays cannot be taken out."""
    return _fits(start, chain) and not any(step.decay for step in start.chain[shared:])


def _fits(start: Reached, chain: Sequence[Step]) -> bool:
    """Whether this master can hold a chain: the same frozen units, and every tensor it moves."""
    held = {(spec.layer, spec.module) for spec in start.master.specs}
    wanted = {(layer, module) for s in chain for layer in s.layers for module in s.modules}
    same_mask = not (start.chain and chain) or start.chain[0].mask == chain[0].mask
    return same_mask and wanted <= held
