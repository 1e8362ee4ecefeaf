"""The learner's own copy of the version that serves, and children of it.

It follows the line wherever the log takes it, rollbacks included: exactly, by taking recipes out
and adding others (kernels.version.master), every one checked against its digest.

Knows nothing of the log or of fitness.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from kernels.contract import Backend
from kernels.model.forward import Decoder, with_weights
from kernels.version.layout import layout
from kernels.version.mask import frozen_by_name
from kernels.version.master import Master
from kernels.version.walk import Snapshots, Stand, Step, keep, master_at_base, walk
from streams.errors import LedgerError
from streams.model.open import BaseModel
from streams.records import Mask, Recipe


@dataclass(frozen=True, slots=True)
class Child:
    """A child of the serving version: its recipe, digest in it, and its weights."""

    recipe: Recipe
    decoder: Decoder


class Serving:
    """The serving version of one line."""

    def __init__(
        self,
        base: BaseModel,
        backend: Backend,
        mask: Mask,
        *,
        layers: Sequence[int],
        modules: Sequence[str],
        snapshots: Snapshots | None = None,
    ) -> None:
        """Begin at the base.

        layers, modules: what generations move
        snapshots: short cuts along the ledger, read and written; None: the ledger alone
        """
        self.base = base
        self.layers, self.modules = list(layers), list(modules)
        self.frozen = frozen_by_name(base.decoder, mask, layout(base.model, layers, modules))
        self.specs = layout(base.model, layers, modules)
        self._backend, self.mask = backend, mask
        self._snapshots = snapshots
        self._chain: list[Recipe] = []
        self._stand = Stand((), self._new_master([]))
        self._decoder = base.decoder

    @property
    def name(self) -> str:
        """The serving version."""
        return self._chain[-1].version if self._chain else self.base.name

    @property
    def chain(self) -> Sequence[Recipe]:
        """The recipes of the serving version, from the base on."""
        return tuple(self._chain)

    @property
    def number(self) -> int:
        """How many recipes lie between the base and the serving version."""
        return len(self._chain)

    @property
    def decoder(self) -> Decoder:
        """The serving version's weights."""
        return self._decoder

    @property
    def scales(self) -> list[int]:
        """log2 of each moving tensor's RMS at the base, in the order of specs."""
        held = zip(self._stand.master.specs, self._stand.master.scales, strict=True)
        scales = {spec.name: scale for spec, scale in held}
        return [scales[spec.name] for spec in self.specs]

    def follow(self, version: str, chain: Sequence[Recipe]) -> bool:
        """Become another version; False when it serves already.

        chain: its recipes, from the base on
        raises: LedgerError when the chain does not lead from this base to the version,
            KernelError when the arithmetic refuses a recipe; the old version is then kept
        """
        if version == self.name:
            return False
        if (chain[-1].version if chain else self.base.name) != version:
            raise LedgerError(f"the ledger does not hold version {version}")
        if chain and chain[0].parent != self.base.name:
            raise LedgerError(
                f"version {version} was grown on the base {chain[0].parent}, and this base is "
                f"{self.base.name}: give the model that the line began with, or another home"
            )
        if any(recipe.mask != self.mask.digest for recipe in chain):
            raise LedgerError(
                f"version {version} was grown under another mask than {self.mask.digest[:16]}: a "
                "line keeps the frozen units that it began with"
            )
        stand, weights = walk(self._stand, chain, fresh=self._new_master, snapshots=self._snapshots)
        self._decoder = self._proved(stand.master, weights) if chain else self.base.decoder
        self._stand, self._chain = stand, list(chain)
        keep(stand, self._snapshots)
        return True

    def child(self, draft: Recipe) -> Child:
        """Build the child that a recipe without a digest describes.

        raises: KernelError when K or a weight leaves its range, or a frozen unit moved
        """
        master = self._stand.master.copy()
        weights, digest = master.advance(draft, verify=False)
        recipe = draft.model_copy(update={"digest": digest})
        return Child(recipe, self._proved(master, weights))

    def _new_master(self, chain: Sequence[Step]) -> Master:
        """A master at the base that holds what a chain moves, and what is to move next.

        An earlier part of the line may have been grown with other layers or modules.
        """
        return master_at_base(
            self.base.decoder,
            self.mask,
            self._backend,
            chain,
            layers=self.layers,
            modules=self.modules,
        )

    def _proved(self, master: Master, weights: Mapping[str, Tensor]) -> Decoder:
        master.prove_frozen(weights)
        model: Any = with_weights(self.base.model, weights)
        return Decoder(model)
