"""Takes neurons out of a model, to see what they were for."""

from collections.abc import Iterable

from torch import Tensor

from kernels.model.forward import Decoder
from kernels.model.model import with_weights
from kernels.version.layout import parameter_name
from streams.model.open import BaseModel


def silenced(base: BaseModel, neurons: Iterable[int]) -> Decoder:
    """Return the base with some neurons' columns of down_proj zeroed.

    neurons: each named layer · neurons of a layer + neuron
    """
    weights: dict[str, Tensor] = {}
    size = base.model.layer(parameter_name(0, "down_proj")).shape[1]
    for place in neurons:
        layer, neuron = divmod(place, size)
        name = parameter_name(layer, "down_proj")
        weights.setdefault(name, base.model.get_parameter(name).clone())[:, neuron] = 0
    return Decoder(with_weights(base.model, weights))
