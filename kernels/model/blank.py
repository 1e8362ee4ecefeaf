"""A model of nothing: one small block of noughts, which meets the loops that a real one meets.

For compiling them where there is no model yet. It has a compiled step (kernels.model.step).
"""

import torch

from kernels.loops.lanes import STRIP
from kernels.loops.vectors import LANES
from kernels.model.blocks import as_it_came
from kernels.model.forward import Decoder
from kernels.model.model import EMBEDDING, HEAD, NORM, Model, Sizes
from kernels.model.step import MODULES, NORMS


def blank() -> Decoder:
    """Make it: every weight is one strip of as many inputs, and all are the same object.

    >>> blank().num_layers
    1
    """
    weight = as_it_came(torch.zeros(STRIP, STRIP), None, None)
    assert weight is not None  # noughts lose nothing as 16-bit floats
    block = [f"model.layers.0.{name}.weight" for name in (*MODULES, *NORMS)]
    sizes = Sizes(
        num_layers=1,
        heads=STRIP // LANES,
        kv_heads=STRIP // LANES,
        head_dim=LANES,
        width=STRIP,
        norm_epsilon=1e-5,
        frequencies=torch.ones(LANES // 2),
    )
    layers, norms = block[: len(MODULES)], block[len(MODULES) :]
    return Decoder(
        Model(
            sizes,
            dict.fromkeys([EMBEDDING, *layers, HEAD], weight),
            dict.fromkeys([*norms, NORM], torch.ones(STRIP)),
        )
    )
