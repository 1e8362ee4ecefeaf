"""Turns a model directory's config.json into what its weights and its walk are described by.

The content of a configuration is what transformers reads out of the file, its own defaults filled
in, as plain JSON. It is part of a base model's name. transformers is heavy (60 MB), so a converted
model has its content written down (streams.model.convert), and only other directories need it here.
"""

import hashlib
import json
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from kernels.errors import UnsupportedModelError
from kernels.model.forward import require_supported
from kernels.model.model import EMBEDDING, HEAD, NORM, Sizes
from streams.errors import ModelFilesError
from streams.model.aside import aside
from streams.model.files import require_config
from streams.model.quiet import quiet_transformers
from streams.records import Json

# What no model can do without.
_AT_LEAST_ONE: Final = ("max_position_embeddings", "num_hidden_layers", "num_attention_heads")
MOST_TOLD: Final = 300  # characters of what a library says of a file

# Written by the library that saved the file, and of no influence on what the model computes.
_NOT_CONTENT: Final = (
    "transformers_version", "_name_or_path", "dtype", "torch_dtype", "use_cache",
)  # fmt: skip


def read_content(directory: Path) -> Json:
    """Read the configuration of a model directory, with transformers.

    raises: ModelFilesError when it is missing, unreadable, quantised or not supported
    """
    from transformers import AutoConfig

    require_config(directory)
    try:
        with quiet_transformers():
            config = AutoConfig.from_pretrained(directory, local_files_only=True)
    except Exception as cause:  # what checks fields raises plain exceptions of its own
        told = " ".join(str(cause).split())[:MOST_TOLD] or type(cause).__name__
        raise ModelFilesError(f"{directory}/config.json cannot be read: {told}") from cause
    if getattr(config, "quantization_config", None):
        raise ModelFilesError(
            f"{directory} holds a quantised model: an update of its weights would round away; "
            "give the unquantised one"
        )
    for name in _AT_LEAST_ONE:
        if (value := getattr(config, name, 1)) < 1:
            raise ModelFilesError(f"{directory}/config.json has {name} {value}: give at least 1")
    if not getattr(config, "rms_norm_eps", 0.0) >= 0:
        raise ModelFilesError(f"{directory}/config.json has rms_norm_eps {config.rms_norm_eps}")
    try:
        require_supported(config)
    except UnsupportedModelError as cause:
        raise ModelFilesError(f"{directory} holds {cause}") from cause
    return {key: value for key, value in config.to_dict().items() if key not in _NOT_CONTENT}


def kept_content(directory: Path, cache: Path) -> Json:
    """Return what `read_content` does, kept in the cache for the next process.

    It is named by the bytes of config.json and of what reads them: this file, and the version of
    transformers, which takes seconds to import. A cache that cannot be written or read changes
    nothing else.

    raises: ModelFilesError, as read_content
    """
    file = directory / "config.json"
    if not file.is_file():
        return read_content(directory)
    made_by = version("transformers").encode() + Path(__file__).read_bytes()
    key = hashlib.sha256(made_by + file.read_bytes()).hexdigest()
    kept = cache / "configurations" / f"{key[:32]}.json"
    try:
        found: Json = json.loads(kept.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError):
        content = read_content(directory)
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with aside(kept) as file:
            file.write_text(json.dumps(content), encoding="utf-8")
    return content


def sizes_of(content: Json) -> Sizes:
    """Describe the walk through a model."""
    config = SimpleNamespace(**content)
    frequencies, scale = _rope(content)
    return Sizes(
        num_layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_dim=_head_dim(content),
        width=config.hidden_size,
        norm_epsilon=config.rms_norm_eps,
        frequencies=frequencies,
        rope_scale=scale,
    )


def shapes_of(content: Json) -> dict[str, tuple[int, ...]]:
    """Name every parameter of a model with its shape, in order; tied ones once."""
    config, head_dim = SimpleNamespace(**content), _head_dim(content)
    width, inner = config.hidden_size, config.intermediate_size
    queries, keys = config.num_attention_heads * head_dim, config.num_key_value_heads * head_dim
    linear = {
        "self_attn.q_proj": (queries, width),
        "self_attn.k_proj": (keys, width),
        "self_attn.v_proj": (keys, width),
        "self_attn.o_proj": (width, queries),
        "mlp.gate_proj": (inner, width),
        "mlp.up_proj": (inner, width),
        "mlp.down_proj": (width, inner),
    }
    block: dict[str, tuple[int, ...]] = {f"{name}.weight": shape for name, shape in linear.items()}
    block |= {f"{name}.bias": linear[name][:1] for name in linear if _has_bias(content, name)}
    block |= {"input_layernorm.weight": (width,), "post_attention_layernorm.weight": (width,)}
    if config.model_type == "qwen3":
        block |= {f"self_attn.{which}_norm.weight": (head_dim,) for which in "qk"}
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (config.vocab_size, width), NORM: (width,)}
    if not config.tie_word_embeddings:
        shapes[HEAD] = (config.vocab_size, width)
    for layer in range(config.num_hidden_layers):
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in block.items()}
    return dict(sorted(shapes.items()))


def _has_bias(content: Json, name: str) -> bool:
    """Say whether a linear layer of a block has one: qwen2 as published, others as configured."""
    if content["model_type"] == "qwen2":
        return name.endswith(("q_proj", "k_proj", "v_proj"))
    kind = "mlp_bias" if name.startswith("mlp.") else "attention_bias"
    return bool(content.get(kind, False))


def _head_dim(content: Json) -> int:
    return int(content.get("head_dim") or content["hidden_size"] // content["num_attention_heads"])


def _rope(content: Json) -> tuple[Any, float]:
    """Compute the rotation of each plane, radians a position, and the scale of what it gives."""
    import torch

    rope = content["rope_parameters"]
    if rope["rope_type"] == "default":
        size = _head_dim(content)
        # written as in transformers, so that the bits are the same
        planes = torch.arange(0, size, 2, dtype=torch.float) / size
        return 1.0 / (rope["rope_theta"] ** planes), 1.0
    from transformers import AutoConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    if rope["rope_type"] not in ROPE_INIT_FUNCTIONS:
        raise ModelFilesError(f"config.json has a rope of the type {rope['rope_type']!r}: unknown")
    frequencies, scale = ROPE_INIT_FUNCTIONS[rope["rope_type"]](AutoConfig.for_model(**content))
    return frequencies, float(scale)
