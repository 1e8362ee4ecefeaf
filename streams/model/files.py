"""Which files a model directory must have, told without torch: before anything heavy is started."""

import json
from pathlib import Path
from typing import Final

from streams.errors import ModelFilesError

WANTED: Final = (
    "give the directory of a Hugging Face causal language model: config.json, *.safetensors and "
    "tokenizer.json"
)
WEIGHTS: Final = "model.safetensors"
_INDEX: Final = "model.safetensors.index.json"


def require_files(directory: Path) -> None:
    """Refuse a directory that is none, or that lacks its configuration, weights or tokenizer.

    raises: ModelFilesError saying what is missing
    """
    require_config(directory)
    require_weights(directory)
    require_tokenizer(directory)


def require_config(directory: Path) -> None:
    """Refuse what is no directory, or has no config.json. Raises: ModelFilesError."""
    if not directory.is_dir():
        raise ModelFilesError(f"there is no model directory {directory}: {WANTED}")
    if not (directory / "config.json").is_file():
        raise ModelFilesError(f"{directory} has no config.json: {WANTED}")


def require_weights(directory: Path) -> None:
    """Refuse a directory that lacks a file of weights. Raises: ModelFilesError."""
    names = set(weights_index(directory).values()) or {WEIGHTS}
    missing = sorted(name for name in names if not (directory / name).is_file())
    if missing:
        raise ModelFilesError(f"{directory} lacks {', '.join(missing)}: {WANTED}")


def require_tokenizer(directory: Path) -> None:
    """Refuse a directory without a tokenizer. Raises: ModelFilesError."""
    if not (directory / "tokenizer.json").is_file():
        raise ModelFilesError(f"{directory} has no tokenizer.json: {WANTED}")


def weights_index(directory: Path) -> dict[str, str]:
    """Map parameters to files where there are several; else nothing. Raises: ModelFilesError."""
    index = directory / _INDEX
    if not index.is_file():
        return {}
    try:
        files: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        return dict(files.items())
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        raise ModelFilesError(f"{index} is half-written: copy the model again") from cause
