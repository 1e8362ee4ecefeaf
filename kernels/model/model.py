"""One version of a causal language model: its sizes, and each of its parameters stored once.

Parameters are named as Hugging Face names them. Versions share what they do not change: a twin with
some weights replaced costs these and nothing else.

Knows nothing of files, of how the parameters are used, or of what a version is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kernels.model.layers import Layer

EMBEDDING, HEAD, NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a configuration says about the walk.

    heads: of queries; kv_heads: of keys and values; width: of hidden states
    norm_epsilon: added to the mean square under the root
    frequencies: (head_dim / 2,) float32, the rotation of each plane, radians a position
    rope_scale: of cosine and sine
    """

    num_layers: int
    heads: int
    kv_heads: int
    head_dim: int
    width: int
    norm_epsilon: float
    frequencies: Tensor
    rope_scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Model:
    """The parameters of one version.

    layers: linear layers by the name of their weight, the embedding among them; tied ones are one
        object under two names
    vectors: norms and biases
    """

    sizes: Sizes
    layers: Mapping[str, Layer]
    vectors: Mapping[str, Tensor]

    @property
    def names(self) -> list[str]:
        """The parameters in order, tied ones once."""
        tied = HEAD in self.layers and self.layers[HEAD] is self.layers[EMBEDDING]
        return sorted({*self.layers, *self.vectors} - ({HEAD} if tied else set()))

    @property
    def nbytes(self) -> int:
        """What the parameters take in memory, tied ones once."""
        layers = {id(layer): layer.nbytes for layer in self.layers.values()}
        return sum(layers.values()) + sum(vector.nbytes for vector in self.vectors.values())

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return self.layers[HEAD].dtype

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.layers[HEAD].device

    def layer(self, name: str) -> Layer:
        """Find a linear layer by the name of its weight.

        raises: ValueError when the model has no such layer
        """
        if name not in self.layers:
            raise ValueError(f"the model has no linear layer {name!r}")
        return self.layers[name]

    def get_parameter(self, name: str) -> Tensor:
        """Return the plain tensor of a parameter, unpacked if it is stored otherwise.

        raises: ValueError when the model has no such parameter
        """
        if name in self.vectors:
            return self.vectors[name]
        if name in self.layers:
            return self.layers[name].plain()
        raise ValueError(f"the model has no parameter {name!r}")


def with_weights(model: Model, weights: dict[str, Tensor]) -> Model:
    """Build a twin of a model with some parameters replaced; every other one is shared, not copied.

    weights: Hugging Face parameter name → tensor of the same shape, emptied, so that no weight is
        there twice for longer than it takes to store it; tied parameters are replaced together
    raises: ValueError for a name or shape that the model does not have
    """
    layers, vectors = dict(model.layers), dict(model.vectors)
    while weights:
        name, weight = weights.popitem()
        if name in vectors and not name.endswith(".bias"):
            _require_shape(name, weight, tuple(vectors[name].shape))
            vectors[name] = weight
            continue
        if name not in model.layers:
            raise ValueError(f"the model has no norm, and no weight of a linear layer, {name!r}")
        old = model.layers[name]
        _require_shape(name, weight, old.shape)
        new = old.like(weight)
        layers |= {tied: new for tied, layer in model.layers.items() if layer is old}
    return replace(model, layers=layers, vectors=vectors)


def _require_shape(name: str, weight: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(weight.shape) != shape:
        raise ValueError(f"{name} is {shape}, not {tuple(weight.shape)}")
