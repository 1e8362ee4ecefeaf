"""The bytes of a recipe on the wire, against the bytes of the weights that it stands for.

A generation moves the layers and modules of the settings' defaults in the bundled model; its
recipe is made and its child built, so that the digest in it is a real one. The child is then built
again from the recipe's bytes, checked, and timed.
"""

import statistics
import time
from collections.abc import Sequence

import torch
from safetensors.torch import save
from torch import Tensor

from kernels.open import open_backend
from learner.serving import Serving
from learner.settings import LearnerSettings
from learner.update.candidate import draft
from learner.update.strategies import Update
from streams.model.open import BaseModel, load_base
from streams.records import Mask, Recipe, decode, encode
from streams.settings import ModelSettings

PAIRS = (8, 32, 128)
ROUNDS = 3


def main() -> None:
    """Print the table."""
    base, settings = load_base(ModelSettings()), LearnerSettings()
    serving = _serving(base, settings)
    moved = [base.model.get_parameter(spec.name) for spec in serving.specs]
    whole = sum(base.model.get_parameter(name).nbytes for name in base.model.names)
    print(
        f"{len(moved)} tensors of the last {settings.last_layers} layers move: "
        f"{sum(weight.numel() for weight in moved) / 1e6:.1f} million parameters, "
        f"{_saved(moved) / 1e6:.0f} MB as safetensors; the whole model {whole / 1e6:.0f} MB"
    )
    print(
        f"{'':<12}{'recipe':>14}{'an average pair':>17}{'weights ÷ recipe':>18}{'rebuilt in':>12}"
    )
    for pairs in PAIRS:
        recipe = _child(serving, settings, pairs)
        wire = encode(recipe)
        ratio = _saved(moved) / len(wire)
        print(
            f"{pairs:>4} pairs  {len(wire):>8,} bytes{len(wire) / pairs:>11.0f} bytes"
            f"{ratio:>18,.0f}{_rebuilt_s(base, settings, wire):>10.2f} s"
        )


def _serving(base: BaseModel, settings: LearnerSettings) -> Serving:
    last = range(base.decoder.num_layers - settings.last_layers, base.decoder.num_layers)
    mask = Mask(base=base.name, neurons={}, groups={})
    return Serving(base, open_backend("cpu"), mask, layers=last, modules=settings.modules)


def _child(serving: Serving, settings: LearnerSettings, pairs: int) -> Recipe:
    """Make a recipe with coefficients as wide as real ones, up to three digits and a sign."""
    chance = torch.Generator().manual_seed(pairs)
    coefficients = torch.randint(-255, 256, (pairs,), generator=chance).tolist()
    update = Update(tuple(coefficients), step=9)
    described = draft(serving, f"{pairs:016x}", update, sigma_log2=settings.sigma_log2)
    return serving.child(described).recipe


def _rebuilt_s(base: BaseModel, settings: LearnerSettings, wire: bytes) -> float:
    """Follow the recipe from the base, its digest checked: the median seconds."""
    recipe, seconds = decode(wire), []
    assert isinstance(recipe, Recipe)
    for _ in range(ROUNDS):
        serving = _serving(base, settings)
        began = time.perf_counter()
        serving.follow(recipe.version, [recipe])
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _saved(weights: Sequence[Tensor]) -> int:
    return len(save({str(place): weight.detach() for place, weight in enumerate(weights)}))


if __name__ == "__main__":
    main()
