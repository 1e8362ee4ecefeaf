"""Turns safetensors files into a model whose weights are stored as they are used, one at a time.

- Each tensor is copied, checked and named by the digest, and then stored; its plain form is gone
  before the next one is read, so that loading takes little more than what stays. All but the
  largest are copied to the same place: tensors that come and go between those that stay would
  leave holes, 200 MB of them for the bundled model.
- What is served is what was checked: a file that is changed later changes nothing.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from kernels.memory import give_back
from kernels.model.blocks import Blocks, as_it_came
from kernels.model.layers import Layer, PlainLayer
from kernels.model.model import EMBEDDING, HEAD, Model, Sizes
from kernels.model.packed import in_full
from streams.errors import ModelFilesError
from streams.model.blocks import read_blocks
from streams.model.config import shapes_of, sizes_of
from streams.model.files import WEIGHTS, weights_index
from streams.records import Json

# A model that was saved without its head names its parameters without this.
_PREFIX: Final = "model."


class WeightsDigest:
    """SHA-256 over tensors in the order of their names: names, types, shapes, bytes."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()

    def add(self, name: str, tensor: Tensor) -> None:
        """Take the next tensor in."""
        self._sum.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        bits = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
        self._sum.update(bits.numpy().data)

    def hexdigest(self) -> str:
        """Return 64 hex digits."""
        return self._sum.hexdigest()


def weights_digest(model: Model) -> str:
    """Name a model's weights: the same however they are sharded in files or stored in memory."""
    digest = WeightsDigest()
    for name in model.names:
        digest.add(name, model.get_parameter(name))
    return digest.hexdigest()


def read_model(
    directory: Path, content: Json, *, device: torch.device | str = "cpu", plain_head: bool = False
) -> tuple[Model, str]:
    """Read the weights of a model directory in float32.

    content: of its configuration; device: where they are to lie
    plain_head: as in streams.model.open
    returns: the model, and the digest of its weights
    raises: ModelFilesError when files are missing, half-written, of other shapes or not finite
    """
    digest, shapes = WeightsDigest(), shapes_of(content)

    def checked() -> Iterator[tuple[str, Tensor]]:
        for name, tensor in _tensors(directory, shapes):
            digest.add(name, tensor)
            if not torch.isfinite(tensor.sum()):  # NaN and infinity survive a sum
                raise ModelFilesError(
                    f"the weights in {directory} are not finite: copy the model again"
                )
            yield name, tensor

    placed = ((name, tensor.to(device)) for name, tensor in checked())
    try:
        blocks = read_blocks(directory)
        model = assemble(sizes_of(content), placed, plain_head=plain_head, blocks=blocks)
    except (SafetensorError, ValueError) as cause:
        raise ModelFilesError(
            f"the blocks in {directory} are damaged: {cause}. Delete that folder"
        ) from cause
    give_back()
    return model, digest.hexdigest()


def assemble(
    sizes: Sizes,
    tensors: Iterable[tuple[str, Tensor]],
    *,
    plain_head: bool = False,
    blocks: Callable[[str], Blocks | None] = lambda _: None,
) -> Model:
    """Store copies of a model's parameters, each in the bits that it came as where that is known.

    tensors: by name, in the order of names, which has a bias before its weight; each need be good
        only until the next is asked for; without a head the embedding is the head
    blocks: finds what a weight was made of
    raises: ValueError when that gives another weight
    """
    layers: dict[str, Layer] = {}
    vectors: dict[str, Tensor] = {}
    for name, tensor in tensors:
        never_multiplied = name == EMBEDDING and HEAD in layers
        if tensor.dim() == 1:
            vectors[name] = tensor.clone()
        elif never_multiplied or (plain_head and name in (EMBEDDING, HEAD)):
            layers[name] = PlainLayer(tensor.clone())
        else:
            bias = vectors.get(f"{name.removesuffix('weight')}bias")
            layers[name] = as_it_came(tensor, bias, blocks(name)) or in_full(
                tensor, bias, looked_up=name == EMBEDDING
            )
    layers.setdefault(HEAD, layers[EMBEDDING])
    return Model(sizes, layers, vectors)


def _tensors(
    directory: Path, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[str, Tensor]]:
    """Read each parameter, to be used before the next is asked for."""
    index = weights_index(directory)
    small = [math.prod(shape) for name, shape in shapes.items() if name not in (EMBEDDING, HEAD)]
    common = torch.empty(max(small, default=0))
    for name, shape in shapes.items():
        file = directory / index.get(name, WEIGHTS)
        try:
            # opened anew for each, so that what was read is not mapped on
            with safe_open(file, framework="pt") as opened:
                names = set(opened.keys())
                found = name if name in names else name.removeprefix(_PREFIX)
                if found not in names or tuple(opened.get_slice(found).get_shape()) != shape:
                    raise ModelFilesError(
                        f"the weights in {directory} do not fit config.json: {name} is missing or "
                        "of another shape; copy the model again"
                    )
                size = math.prod(shape)
                memory = torch.empty(size) if name in (EMBEDDING, HEAD) else common[:size]
                tensor = memory.view(shape).copy_(opened.get_tensor(found))
        except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as cause:
            first = (str(cause).splitlines() or [type(cause).__name__])[0]
            raise ModelFilesError(
                f"the weights in {directory} cannot be read: {first}. The file is half-written "
                "or does not fit its config.json: copy the model again"
            ) from cause
        yield name, tensor
