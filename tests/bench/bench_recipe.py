"""The bytes of a recipe on the wire, against the bytes of the weights that it stands for.

Once as the settings' defaults have it: directed noise, whose factors a recipe writes out, in what
that moves of the bundled model; and by signs of rank 1, which the key tells, in the last layers.
The recipe is made and its child built, so that the digest in it is a real one. The child is then
built again from the recipe's bytes, checked, and timed.
"""

import statistics
import time
from collections.abc import Sequence

import torch
from safetensors.torch import save
from torch import Tensor

from kernels.change import LARGEST_FACTOR
from kernels.open import open_backend
from kernels.version import digits
from learner.population.noise import Lines
from learner.serving import Serving
from learner.settings import LearnerSettings
from learner.update.candidate import draft
from learner.update.strategies import Update
from streams.model.open import BaseModel, load_base
from streams.records import Mask, Recipe, decode, encode
from streams.settings import ModelSettings

DEFAULTS = LearnerSettings()
MEASURED = (
    (DEFAULTS, (DEFAULTS.pairs, 32)),
    (DEFAULTS.model_copy(update={"noise": "rank1"}), (8, 32, 128)),
)
ROUNDS = 3


def main() -> None:
    """Print a table a kind of noise."""
    base = load_base(ModelSettings())
    whole = sum(base.model.get_parameter(name).nbytes for name in base.model.names)
    print(f"the whole model {whole / 1e6:.0f} MB")
    for settings, counts in MEASURED:
        _table(base, settings, counts)


def _table(base: BaseModel, settings: LearnerSettings, counts: Sequence[int]) -> None:
    serving = _serving(base, settings)
    moved = [base.model.get_parameter(spec.name) for spec in serving.specs]
    print(
        f"{settings.noise}: {len(moved)} tensors of the last {len(serving.layers)} layers move: "
        f"{sum(weight.numel() for weight in moved) / 1e6:.1f} million parameters, "
        f"{_saved(moved) / 1e6:.0f} MB as safetensors"
    )
    print(
        f"{'':<12}{'recipe':>14}{'an average pair':>17}{'weights ÷ recipe':>18}{'rebuilt in':>12}"
    )
    for pairs in counts:
        recipe = _child(serving, settings, pairs)
        wire = encode(recipe)
        ratio = _saved(moved) / len(wire)
        print(
            f"{pairs:>4} pairs  {len(wire):>8,} bytes{len(wire) / pairs:>11.0f} bytes"
            f"{ratio:>18,.0f}{_rebuilt_s(base, settings, wire):>10.2f} s"
        )


def _serving(base: BaseModel, settings: LearnerSettings) -> Serving:
    layers, modules = settings.moving(base.decoder.num_layers)
    mask = Mask(base=base.name, neurons={}, groups={})
    return Serving(base, open_backend("cpu"), mask, layers=layers, modules=modules)


def _child(serving: Serving, settings: LearnerSettings, pairs: int) -> Recipe:
    """Make a recipe with coefficients as wide as real ones, up to three digits and a sign."""
    chance = torch.Generator().manual_seed(pairs)
    coefficients = torch.randint(-255, 256, (pairs,), generator=chance).tolist()
    described = draft(
        serving,
        f"{pairs:016x}",
        Update(tuple(coefficients), step=9),
        sigma_log2=settings.sigma_log2,
        noise=settings.noise,
        where=_lines(serving, pairs, chance) if settings.noise == "directed" else None,
    )
    return serving.child(described).recipe


def _lines(serving: Serving, pairs: int, chance: torch.Generator) -> Lines:
    """Make factors as wide as real ones, of each tensor in turn."""
    places = [pair % len(serving.specs) for pair in range(pairs)]

    def factors(side: int) -> tuple[str, ...]:
        sizes = [serving.specs[place].shape[side] for place in places]
        drawn = (
            torch.randint(-LARGEST_FACTOR, LARGEST_FACTOR + 1, (1, size), generator=chance)
            for size in sizes
        )
        return tuple(digits.write(each)[0] for each in drawn)

    return Lines(tuple(places), factors(0), factors(1))


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
