"""Takes units out of a model, to see what they were for."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from kernels.model.forward import Decoder
from kernels.model.layers import PlainLayer
from kernels.version.layout import parameter_name
from streams.model.open import BaseModel


def silenced(
    base: BaseModel,
    neurons: Iterable[int],
    groups: Iterable[int] = (),
    *,
    means: Mapping[str, Tensor] | None = None,
) -> Decoder:
    """Return the base with some units' columns of down_proj and o_proj zeroed.

    neurons, groups: each named layer · units of its kind in a layer + unit
    means: what enters these layers on average (learner.safety.units.scores.unit_means); a silenced
        unit then writes that at every token; None: nothing
    """
    taken: dict[str, list[int]] = {}
    for module, places, units in (
        ("down_proj", neurons, base.model.layer(parameter_name(0, "down_proj")).shape[1]),
        ("o_proj", groups, base.decoder.kv_heads),
    ):
        width = base.model.layer(parameter_name(0, module)).shape[1] // units
        for place in places:
            layer, unit = divmod(int(place), units)
            columns = taken.setdefault(parameter_name(layer, module), [])
            columns.extend(range(unit * width, (unit + 1) * width))
    layers = dict(base.model.layers)
    for name, columns in taken.items():
        weight, bias = base.model.get_parameter(name).clone(), layers[name].bias
        if means is not None:
            written = weight[:, columns].double() @ means[name][columns]
            bias = written.to(weight.dtype) if bias is None else bias + written.to(weight.dtype)
        weight[:, torch.tensor(columns)] = 0
        layers[name] = PlainLayer(weight, bias)
    return Decoder(replace(base.model, layers=layers))
