"""The four classes of units: what each has to do with refusing, and with being of use.

Named after SSAH (Li & Kim 2024, sec. 4), each unit in one of them, claimed in this order:

1. *exclusive safety*: the highest I_S − I_U, as many as the paper found;
2. *complex*, the critical ones: the highest I_S + I_U of the others. A unit that does so much of
   both is exclusive to neither, however much more it does of the one;
3. *redundant*: the lowest I_S + I_U, the paper's alignment budget;
4. *exclusive utility*: what every set shows above its layer's mean on useful replies, and none on
   refusals;
5. *complex*, the rest.

Units stand by their worst rank over the calibration sets (learner.safety.units.orders), so the
sizes of the first three are set, and which units they are is measured; the size of exclusive
utility is measured, too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kernels.model.forward import Decoder
from kernels.version.layout import ATTENTION, MLP, parameter_name
from learner.safety.units.measured import Measured, Scores
from learner.safety.units.orders import complex_first, exclusive_first, redundant_first

# Of the 7.5 % that the paper freezes 1.3 % are exclusive safety units (Li & Kim 2024, table 2).
CRITICAL_SHARE: Final = 0.075
EXCLUSIVE_PART: Final = 1.3 / 7.5
REDUNDANT_SHARE: Final = 0.2

SAFETY, UTILITY, COMPLEX, REDUNDANT = range(4)
NAMES: Final = ("exclusive safety", "exclusive utility", "complex", "redundant")
# How classes are written down, a letter a unit.
LETTERS: Final = "sucr"

Kind = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Classes:
    """The class of every unit: neurons (layers, neurons), groups (layers, KV groups)."""

    neurons: Kind
    groups: Kind

    def texts(self) -> dict[str, list[str]]:
        """Return the classes by kind, a text of LETTERS a layer."""
        letters = np.array(list(LETTERS))
        return {
            name: ["".join(letters[layer]) for layer in kind]
            for name, kind in (("neurons", self.neurons), ("groups", self.groups))
        }

    def parameters(self, sizes: "UnitSizes") -> dict[str, int]:
        """Count the parameters of each class."""
        return {
            name: sizes.neuron * int((self.neurons == number).sum())
            + sizes.group * int((self.groups == number).sum())
            for number, name in enumerate(NAMES)
        }


@dataclass(frozen=True, slots=True)
class UnitSizes:
    """Parameters of one unit of each kind: the rows and columns that it owns."""

    neuron: int
    group: int


def unit_sizes(decoder: Decoder) -> UnitSizes:
    """Return the sizes of a model's units, which are those of its first layer in all layers.

    A neuron owns a row of gate and up and a column of down; a KV group its rows of k and v, the
    rows of q of the heads that share it, and the same columns of o.
    """

    def parameters(modules: tuple[str, ...]) -> int:
        shapes = (decoder.model.layer(parameter_name(0, module)).shape for module in modules)
        return sum(rows * columns for rows, columns in shapes)

    neurons = decoder.model.layer(parameter_name(0, "down_proj")).shape[1]
    return UnitSizes(parameters(MLP) // neurons, parameters(ATTENTION) // decoder.kv_heads)


def classes_of(measured: Measured) -> Classes:
    """Return the class of every unit of a base."""
    return Classes(classified(measured.neurons), classified(measured.groups))


def classified(scores: Scores) -> Kind:
    """Return the class of every unit of one kind.

    scores: (sets, 2, layers, units), I_S and I_U
    returns: (layers, units)
    """
    safety, utility = (scores[:, side].reshape(len(scores), -1) for side in (0, 1))
    count = safety.shape[1]
    found = np.full(count, COMPLEX, dtype=np.int8)
    critical = int(count * CRITICAL_SHARE)
    exclusive = exclusive_first(scores)[: round(critical * EXCLUSIVE_PART)]
    claimed = np.zeros(count, dtype=bool)
    claimed[exclusive] = True
    found[exclusive] = SAFETY
    for order, size, number in (
        (complex_first(scores), critical - len(exclusive), COMPLEX),
        (redundant_first(scores), int(count * REDUNDANT_SHARE), REDUNDANT),
    ):
        first = order[~claimed[order]][:size]
        claimed[first] = True
        found[first] = number
    useful = (utility.min(axis=0) > 0) & (safety.max(axis=0) <= 0)
    found[useful & ~claimed] = UTILITY
    return found.reshape(scores.shape[2:])


def stability(measured: Measured) -> dict[str, Mapping[str, float]]:
    """Return how far calibration sets, and seeds, agree on each class: mean Jaccard indices.

    The index of two sets of units is the share of those in either that are in both. Each set alone,
    or each seed's sets together, is classified as if there were no other.

    returns: "sets" and, of several seeds, "seeds" → class → 0 (nothing in common) to 1 (the same)
    """
    kinds = [(measured.neurons[i : i + 1], measured.groups[i : i + 1]) for i in _sets(measured)]
    found = {"sets": _agreement(kinds)}
    if measured.num_seeds > 1:
        dealt = [measured.of_seeds(slice(i, i + 1)) for i in range(measured.num_seeds)]
        found["seeds"] = _agreement([(each.neurons, each.groups) for each in dealt])
    return found


def _sets(measured: Measured) -> Iterator[int]:
    yield from range(len(measured.neurons))


def _agreement(kinds: list[tuple[Scores, Scores]]) -> Mapping[str, float]:
    each = [
        np.concatenate([classified(neurons).ravel(), classified(groups).ravel()])
        for neurons, groups in kinds
    ]
    return {
        name: _mean([_jaccard(a == number, b == number) for a, b in combinations(each, 2)])
        for number, name in enumerate(NAMES)
    }


def _jaccard(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    either = int((one | other).sum())
    return int((one & other).sum()) / either if either else 1.0


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 4) if values else 1.0
