"""The learner's own copy of the version that serves, and children of it.

It follows the line wherever the log takes it, rollbacks included: exactly, by taking recipes out
and adding others (kernels.version.master), every one checked against its digest.

Knows nothing of the log or of fitness.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kernels.contract import Backend
from kernels.memory import give_back
from kernels.model.forward import Decoder
from kernels.version.build import Source, build, build_child
from kernels.version.layout import layout
from kernels.version.mask import frozen_by_name
from kernels.version.walk import Snapshots, keep
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
        self.mask = mask
        self._source = Source(
            base.decoder, backend, {mask.digest: mask}, snapshots, self.layers, self.modules
        )
        self._chain: list[Recipe] = []
        self._built = build(self._source, [])

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
        return self._built.decoder

    @property
    def scales(self) -> list[int]:
        """log2 of each moving tensor's RMS at the base, in the order of specs."""
        master = self._built.reached.master
        held = zip(master.specs, master.scales, strict=True)
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
        self._built = build(self._source, chain, start=self._built.reached)
        self._chain = list(chain)
        keep(self._built.reached, self._source.snapshots)
        give_back()
        return True

    def beside(self, chain: Sequence[Recipe]) -> Decoder:
        """Build another version of the line, beside the serving one. Raises: as `follow`."""
        if any(recipe.mask != self.mask.digest for recipe in chain):
            raise LedgerError(f"{chain[-1].version} was grown under another mask")
        return build(self._source, chain, start=self._built.reached).decoder

    def child(self, draft: Recipe) -> Child:
        """Build the child that a recipe without a digest describes.

        raises: KernelError when K or a weight leaves its range, or a frozen unit moved
        """
        give_back()  # what scoring has freed, for the child
        digest, decoder = build_child(self._source, self._built.reached, draft)
        return Child(draft.model_copy(update={"digest": digest}), decoder)
