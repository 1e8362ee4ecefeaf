"""The blocks of a GGUF, kept beside the weights that were made of them.

Turns each quantised tensor of a GGUF into its own bits under the name that Hugging Face gives the
parameter, and such bits into numbers, scales and offsets. Whether they give the parameter back is
proved by the layer that stores them (kernels.model.blocks); rows that a conversion has reordered
(rope in llama's files) are found by what they hold, so no family needs to be known.

Types (ggml-quants): Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q8_0. Others are stored in full.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from kernels.model.blocks import Blocks
from kernels.model.model import EMBEDDING, HEAD

Bits = npt.NDArray[np.uint8]
Numbers = npt.NDArray[Any]

FILE: Final = "blocks.safetensors"
_LOG = logging.getLogger(__name__)

# What GGUF calls the matrices of a block, in every family that is served.
_IN_BLOCKS: Final = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}  # fmt: skip
_OUTSIDE: Final = {"token_embd.weight": EMBEDDING, "output.weight": HEAD}


def write_blocks(gguf: Path, directory: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write the quantised tensors of a GGUF beside the weights that were made of them.

    weights: by Hugging Face's names
    """
    from gguf import GGUFReader
    from gguf.quants import dequantize

    kept: dict[str, Bits] = {}
    kinds: dict[str, str] = {}
    for tensor in GGUFReader(gguf).tensors:
        name, kind = _parameter(tensor.name), tensor.tensor_type.name
        if name not in weights or kind in ("F32", "F16", "BF16"):
            continue
        if kind not in TYPES:
            _LOG.warning("%s is stored in full: no product reads blocks of type %s", name, kind)
            continue
        made = dequantize(tensor.data, tensor.tensor_type)
        order = _order(made, weights[name].numpy())
        if order is None:
            _LOG.warning("%s is stored in full: its blocks hold other rows", name)
            continue
        kept[name], kinds[name] = tensor.data[order], kind
    save_file(kept, directory / FILE, metadata={"types": json.dumps(kinds)})


def read_blocks(directory: Path) -> Callable[[str], Blocks | None]:
    """Return what finds the blocks of a parameter of a model directory; None where it has none."""
    file = directory / FILE
    if not file.is_file():
        return lambda _: None
    with safe_open(file, framework="np") as opened:
        kinds: dict[str, str] = json.loads(opened.metadata()["types"])

    def find(name: str) -> Blocks | None:
        if name not in kinds:
            return None
        # opened anew for each, so that what was read is not mapped on
        with safe_open(file, framework="np") as opened:
            return unpacked(kinds[name], opened.get_tensor(name))

    return find


def unpacked(kind: str, bits: Bits) -> Blocks:
    """Turn the bits of a tensor, (out, bytes a row), into numbers, scales and offsets."""
    size, parse = TYPES[kind]
    out = len(bits)
    return parse(bits.reshape(out, -1, size))


def _parameter(name: str) -> str:
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    block, _, rest = name.removeprefix("blk.").partition(".")
    return f"model.layers.{block}.{_IN_BLOCKS.get(rest.removesuffix('.weight'), '')}.weight"


def _order(made: Numbers, weight: Numbers) -> npt.NDArray[np.int64] | None:
    """Find the row of `made` that each row of a weight is; None when one is missing."""
    if made.shape != weight.shape:
        return None
    if made.tobytes() == weight.tobytes():
        return np.arange(len(made))
    places = {row.tobytes(): place for place, row in enumerate(made)}
    found = [places.get(row.tobytes(), -1) for row in weight]
    return None if -1 in found else np.array(found)


def _halves(bits: Bits) -> npt.NDArray[np.float32]:
    """Read float16 pairs of bytes: (…, 2n) → (…, n)."""
    return np.ascontiguousarray(bits).view(np.float16).astype(np.float32)


def _nibbles(bits: Bits) -> Bits:
    """Split bytes as ggml does: the low halves of a block come first."""
    return np.concatenate((bits & 15, bits >> 4), axis=-1)


def _fifth_bits(bits: Bits) -> Bits:
    """Read one more bit of each of 32 numbers, from 4 bytes: 0 or 16."""
    return np.unpackbits(bits, axis=-1, bitorder="little") << np.uint8(4)


def _blocks(kind: Any, numbers: Numbers, scales: Numbers, offsets: Numbers | None = None) -> Blocks:
    out = len(numbers)
    scales = scales.reshape(out, -1)
    if offsets is None:
        offsets = np.full_like(scales, -0.0)  # so that a negative zero stays one
    return Blocks(kind, numbers.reshape(out, -1), scales, offsets.reshape(out, -1))


def _q4_0(b: Bits) -> Blocks:
    numbers = _nibbles(b[..., 2:]).astype(np.int8) - 8
    return _blocks("signed nibbles", numbers, _halves(b[..., :2]))


def _q4_1(b: Bits) -> Blocks:
    return _blocks("nibbles", _nibbles(b[..., 4:]), _halves(b[..., :2]), _halves(b[..., 2:4]))


def _q5_0(b: Bits) -> Blocks:
    numbers = (_nibbles(b[..., 6:]) | _fifth_bits(b[..., 2:6])).astype(np.int8) - 16
    return _blocks("bytes", numbers, _halves(b[..., :2]))


def _q5_1(b: Bits) -> Blocks:
    numbers = (_nibbles(b[..., 8:]) | _fifth_bits(b[..., 4:8])).astype(np.int8)
    return _blocks("bytes", numbers, _halves(b[..., :2]), _halves(b[..., 2:4]))


def _q8_0(b: Bits) -> Blocks:
    return _blocks("bytes", np.ascontiguousarray(b[..., 2:]).view(np.int8), _halves(b[..., :2]))


def _q4_k(b: Bits) -> Blocks:
    numbers = _k_nibbles(b[..., 16:])
    return _blocks("nibbles", numbers, *_k_scales(b))


def _q5_k(b: Bits) -> Blocks:
    high = b[..., 16:48]
    fifth = np.stack([(high >> bit & 1) << 4 for bit in range(8)], axis=-2)
    numbers = (_k_nibbles(b[..., 48:]) | fifth).astype(np.int8)
    return _blocks("bytes", numbers, *_k_scales(b))


def _k_nibbles(bits: Bits) -> Bits:
    """Split 128 bytes of a super-block: (…, 128) → (…, 8, 32)."""
    parts = bits.reshape(*bits.shape[:-1], 4, 1, 32)
    return np.concatenate((parts & 15, parts >> 4), axis=-2).reshape(*bits.shape[:-1], 8, 32)


def _k_scales(b: Bits) -> Iterator[Numbers]:
    """Read the scales and the offsets of the 8 sub-blocks of each super-block."""
    packed = b[..., 4:16].reshape(*b.shape[:-1], 3, 4)
    scale, least, high = (packed[..., part, :] for part in range(3))
    scales = np.concatenate((scale & 63, (high & 15) | (scale >> 2 & 48)), axis=-1)
    offsets = np.concatenate((least & 63, (high >> 4) | (least >> 2 & 48)), axis=-1)
    yield _halves(b[..., :2]) * scales.astype(np.float32)
    yield -(_halves(b[..., 2:4]) * offsets.astype(np.float32))


# bytes of a block, and what reads it
TYPES: Final[Mapping[str, tuple[int, Callable[[Bits], Blocks]]]] = {
    "Q4_0": (18, _q4_0), "Q4_1": (20, _q4_1), "Q5_0": (22, _q5_0), "Q5_1": (24, _q5_1),
    "Q8_0": (34, _q8_0), "Q4_K": (144, _q4_k), "Q5_K": (176, _q5_k),
}  # fmt: skip
