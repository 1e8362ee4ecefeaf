"""A line of real versions of the tiny model: recipes whose digests are right, without a learner."""

from collections.abc import Sequence

from kernels.open import open_backend
from kernels.version.build import Source, master_at_base
from streams.model.open import BaseModel
from streams.records import Mask, Recipe, Rollout

LAYERS, MODULES = [2, 3], ["up_proj", "down_proj"]
STEP = 2000  # with coefficients of some 100, weights move by about their own size: replies differ


class Lineage:
    """Makes one version after another."""

    def __init__(
        self,
        base: BaseModel,
        layers: Sequence[int] = LAYERS,
        modules: Sequence[str] = MODULES,
    ) -> None:
        self.mask = Mask(base=base.name, neurons={layers[0]: [0, 5], layers[-1]: [7]}, groups={})
        self.recipes: list[Recipe] = []
        self._base, self._layers, self._modules = base, list(layers), list(modules)
        masks, backend = {self.mask.digest: self.mask}, open_backend("cpu")
        source = Source(base.decoder, backend, masks, layers=layers, modules=modules)
        self._master = master_at_base(source, ())

    def next(self, *, step: int = STEP, decay: int = 0) -> Recipe:
        """Return the next version's recipe."""
        number = len(self.recipes) + 1
        recipe = Recipe(
            line="main",
            number=number,
            parent=self.recipes[-1].version if self.recipes else self._base.name,
            strategy="es",
            noise="rank1",
            key=f"{number:016x}",
            coefficients=[100, -80, 60, 40],
            step=step,
            sigma_log2=-4,
            layers=self._layers,
            modules=self._modules,
            scales=self._master.scales,
            mask=self.mask.digest,
            digest="",
            decay=decay,
        )
        self._master.apply(recipe, verify=False)
        self.recipes.append(recipe.model_copy(update={"digest": self._master.digest()}))
        return self.recipes[-1]


def promotion(seq: int, version: str, previous: str) -> Rollout:
    """Return the rollout that takes a version into service."""
    return Rollout(
        id=f"promote-{seq}",
        line="main",
        seq=seq,
        version=version,
        previous=previous,
        state="completed",
        verb="promote",
        reason="a test says so",
        who="test",
        created_ms=seq,
    )
