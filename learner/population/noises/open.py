"""Opens a population with the noise that the settings name; a further kind is a file and a name."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from learner.population.noise import Perturbation, Population
from learner.population.noises.full import FullRank
from learner.population.noises.rank1 import Rank1
from learner.population.noises.screened import Screened
from streams.records import Noise

NOISES: Final[Mapping[Noise, Callable[[Perturbation], Population]]] = {
    "rank1": Rank1,
    "full": partial(FullRank, kind="full"),
    "normal": partial(FullRank, kind="normal"),
    "screened": Screened,
    "directed": Screened,
}


def open_population(noise: Noise, perturbation: Perturbation) -> Population:
    """Draw the members of a generation."""
    return NOISES[noise](perturbation)
