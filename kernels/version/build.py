"""Builds versions: from a chain of recipes to a decoder that is proved, in one place.

Proved means: every recipe and snapshot on the way has its digest, every weight is finite and of the
base's shape, and the frozen slices equal the base byte for byte. Whatever fails a check raises, and
what was built before stays as it was.

Knows nothing of lines or ledgers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from kernels.contract import Backend
from kernels.model.forward import Decoder
from kernels.model.model import with_weights
from kernels.version.layout import layout
from kernels.version.mask import UnitMap, frozen_by_name
from kernels.version.master import Master
from kernels.version.walk import Reached, Snapshots, Step, walk


@dataclass(frozen=True, slots=True)
class Source:
    """What versions are built from.

    base: never changed
    masks: frozen units by the digest that recipes name
    snapshots: short cuts, read on the way (kernels.version.walk.keep writes them); None: none
    layers, modules: what the integers must hold beside what a chain moves, for what comes next
    """

    base: Decoder
    backend: Backend
    masks: Mapping[str, UnitMap]
    snapshots: Snapshots | None = None
    layers: Sequence[int] = ()
    modules: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Built:
    """A version that is proved: its recipes and integers, to go on from, and its weights.

    The integers rest in the weights that tell them, so that a version is in memory once.
    """

    reached: Reached
    decoder: Decoder


def build(
    source: Source,
    chain: Sequence[Step],
    *,
    start: Reached | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Built:
    """Build the version that a chain of recipes leads to, and prove it.

    chain: from the base on; empty: the base itself
    start: another version to go on from, which is not changed; None: from a snapshot or the base
    progress: told how many recipes of the chain have been applied
    raises: DigestMismatchError, ExplodedError, FrozenMovedError, or ValueError for a recipe that
        does not fit the model or names another mask than the ones before it
    """
    if not chain:
        at_base = master_at_base(source, chain)
        at_base.rest(source.base.model)
        return Built(Reached((), at_base), source.base)
    reached, weights = walk(
        start,
        chain,
        fresh=lambda: master_at_base(source, chain),
        snapshots=source.snapshots,
        progress=progress,
    )
    decoder = _proved(source, reached.master, weights)
    reached.master.rest(decoder.model)
    return Built(reached, decoder)


def build_child(source: Source, parent: Reached, draft: Step) -> tuple[str, Decoder]:
    """Build the child that a recipe without a digest describes.

    returns: the digest of its integers, and its weights
    raises: as build, but for the digest
    """
    master = parent.master.copy()
    weights, digest = master.advance(draft, verify=False)
    return digest, _proved(source, master, weights)


def master_at_base(source: Source, chain: Sequence[Step]) -> Master:
    """Return a master of zeros that can hold all that a chain moves.

    chain: of one mask; empty: under the one mask of the source
    raises: ValueError when the mask is not known
    """
    mask = chain[0].mask if chain else next(iter(source.masks), "")
    if mask not in source.masks:
        raise ValueError(f"the mask {mask[:16]}… is not known here")
    layers, modules = moved(chain)
    layers, modules = sorted({*source.layers, *layers}), sorted({*source.modules, *modules})
    model = source.base.model
    frozen = frozen_by_name(source.base, source.masks[mask], layout(model, layers, modules))
    return Master(model, layers=layers, modules=modules, backend=source.backend, frozen=frozen)


def moved(chain: Iterable[Step]) -> tuple[list[int], list[str]]:
    """Return the layers and modules that any recipe of a chain moves, sorted."""
    steps = list(chain)
    layers = {layer for step in steps for layer in step.layers}
    return sorted(layers), sorted({module for step in steps for module in step.modules})


def _proved(source: Source, master: Master, weights: dict[str, Tensor]) -> Decoder:
    master.prove_frozen(weights)
    return Decoder(with_weights(source.base.model, weights))
