"""The blocks of a GGUF are kept, read, and give the weights that were made of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import dequantize, quantize

from kernels.model.blocks import BlocksLayer, as_it_came
from kernels.model.forward import Decoder
from kernels.model.layers import Layer
from kernels.model.packed import PackedLayer
from streams.errors import ModelFilesError
from streams.model.blocks import FILE, TYPES, read_blocks, unpacked, write_blocks
from streams.model.config import sizes_of
from streams.model.open import open_base
from streams.model.weights import assemble
from tests.tiny import tiny_model, tiny_model_dir

BLOCK = "model.layers.1."
NAMES = {
    "blk.1.attn_q.weight": f"{BLOCK}self_attn.q_proj.weight",
    "blk.1.ffn_up.weight": f"{BLOCK}mlp.up_proj.weight",
}


def bits_of(kind: str, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Return random blocks of a type: (out, bytes a row)."""
    random = np.random.default_rng(seed)
    if not kind.endswith("_K"):
        numbers = random.standard_normal(shape).astype(np.float32)
        return np.asarray(quantize(numbers, GGMLQuantizationType[kind]))
    size = {"Q4_K": 144, "Q5_K": 176, "Q6_K": 210}[kind]  # gguf cannot write these
    bits = random.integers(0, 256, (shape[0], shape[1] // 256, size), dtype=np.uint8)
    scales = random.standard_normal((*bits.shape[:2], 2)).astype(np.float16).view(np.uint8)
    bits[..., -2:] = scales[..., :2]
    if kind != "Q6_K":
        bits[..., :4] = scales
    return bits.reshape(shape[0], -1)


def plain(kind: str, bits: np.ndarray) -> torch.Tensor:
    """Make the weight as gguf does."""
    return torch.from_numpy(dequantize(bits, GGMLQuantizationType[kind]))


def write_gguf(file: Path, tensors: dict[str, tuple[str, np.ndarray]]) -> None:
    """Write a GGUF of these tensors: type and bits by name."""
    writer = GGUFWriter(file, "llama")
    for name, (kind, bits) in tensors.items():
        writer.add_tensor(name, bits, raw_dtype=GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_gives_its_weight(kind: str) -> None:
    """To the bit, in less memory."""
    bits = bits_of(kind, (64, 512))
    weight = plain(kind, bits)
    layer = as_it_came(weight, None, unpacked(kind, bits))
    assert layer is not None
    assert layer.plain().numpy().tobytes() == weight.numpy().tobytes()
    assert layer.nbytes * 8 <= 10 * weight.numel()


@pytest.mark.parametrize("kind", TYPES)
def test_a_model_of_each_type_is_served(kind: str, tmp_path: Path) -> None:
    """The layers that came in blocks are kept so, and reply as in full; rows may be reordered."""
    model = tiny_model(hidden_size=256, intermediate_size=512, num_hidden_layers=2)
    parameters = dict(sorted(model.named_parameters()))
    tensors = {}
    for place, (gguf, name) in enumerate(NAMES.items()):
        bits = bits_of(kind, tuple(parameters[name].shape), seed=place)
        tensors[gguf] = kind, bits
        order = torch.arange(len(bits)).roll(3)  # as rope's rows are, in a llama file
        parameters[name] = torch.nn.Parameter(plain(kind, bits)[order], requires_grad=False)
    write_gguf(tmp_path / "model.gguf", tensors)
    write_blocks(tmp_path / "model.gguf", tmp_path, parameters)
    sizes = sizes_of(model.config.to_dict())
    stored = assemble(sizes, parameters.items(), blocks=read_blocks(tmp_path))
    full = assemble(sizes, parameters.items())
    assert [isinstance(stored.layer(name), BlocksLayer) for name in NAMES.values()] == [True, True]
    assert stored.nbytes < full.nbytes
    ids = torch.tensor([[3, 1, 4, 1, 5]])
    ours, theirs = (_logits(Decoder(each), ids) for each in (stored, full))
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def _logits(decoder: Decoder, ids: torch.Tensor) -> torch.Tensor:
    from kernels.model.forward import causal

    hidden = decoder.run(
        decoder.embed(ids), rope=decoder.rope(torch.arange(ids.shape[1])[None]), attend=causal
    )
    return decoder.logits(hidden)


def test_a_type_without_a_product_is_stored_in_full(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says which weight and why."""
    bits = bits_of("Q6_K", (64, 256))
    write_gguf(tmp_path / "model.gguf", {"blk.1.attn_q.weight": ("Q6_K", bits)})
    name = NAMES["blk.1.attn_q.weight"]
    write_blocks(tmp_path / "model.gguf", tmp_path, {name: plain("Q6_K", bits)})
    assert read_blocks(tmp_path)(name) is None
    assert "no product reads blocks of type Q6_K" in caplog.text


def test_weights_of_16_bits_are_kept_so() -> None:
    """Weights that came as bfloat16 take half of what they take in full."""
    model = tiny_model(intermediate_size=128, num_attention_heads=8, num_key_value_heads=4)
    sizes = sizes_of(model.config.to_dict())
    whole = assemble(sizes, sorted(model.named_parameters()))
    halves = assemble(sizes, sorted(model.bfloat16().float().named_parameters()))

    def types(layers: list[Layer]) -> set[type]:
        return {type(layer) for layer in layers}

    assert types(list(whole.layers.values())) == {PackedLayer}
    assert types(list(halves.layers.values())) == {BlocksLayer}
    assert halves.nbytes < 0.51 * whole.nbytes


def test_damaged_blocks_are_refused(tmp_path: Path) -> None:
    """The file is proved against the weights when it is read; the message says what to do."""
    directory = tiny_model_dir(tmp_path / "tiny")
    bits = bits_of("Q4_1", (64, 64))
    write_gguf(tmp_path / "model.gguf", {"blk.1.attn_q.weight": ("Q4_1", bits)})
    name = NAMES["blk.1.attn_q.weight"]
    write_blocks(tmp_path / "model.gguf", directory, {name: plain("Q4_1", bits)})
    with pytest.raises(ModelFilesError, match=r"blocks .* damaged.* Delete that folder"):
        open_base(directory)
    (directory / FILE).write_bytes(b"half")
    with pytest.raises(ModelFilesError, match="blocks"):
        open_base(directory)
