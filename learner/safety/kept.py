"""What a base was measured to be, on disk: measured once, read by every home of this machine.

- A measurement is named by all that it follows from: the base, what was asked of it, the settings
  that enter, and the version of the way of measuring. So none is ever taken for another.
- A file appears whole or not at all, and carries the digest of its numbers: one that is torn or
  changed is measured anew. Two processes that measure the same write the same.
- Numbers come back bit for bit.
- A folder that cannot be written costs the keeping, and not the measuring; the log says so once.

Another backend may round otherwise; what was measured first stands for all, as it does in a home.
Knows nothing of what is measured. The folder may be deleted at any time.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from streams.model.aside import PART, aside
from streams.model.weights import WeightsDigest
from streams.records import canonical_json
from streams.settings import ModelSettings

_LOG = logging.getLogger(__name__)

Tensors = Mapping[str, Tensor]

FOLDER: Final = "measured"
# Raise when anything is measured in another way under the same name: old files are read no more.
_FORMAT: Final = 1
# What a crash left half-written is older than anything that is being written.
_LEFT_S: Final = 86_400.0


class KeptBase:
    """The measurements of one base. Any number of processes may share the folder."""

    def __init__(self, folder: Path | None, base: str) -> None:
        """Read nothing yet.

        folder: of all bases; None: nothing is kept
        base: name of the base
        """
        self._folder = folder / base if folder is not None else None
        self._base = base
        self._is_told = False

    def tensors(self, kind: str, of: Any, measure: Callable[[], Tensors]) -> Tensors:
        """Return tensors on the processor, measured unless they are kept.

        kind: of measurement, the beginning of the file's name
        of: all that it follows from beside the base, as JSON
        """
        if self._folder is None:
            return measure()
        follows = canonical_json([_FORMAT, self._base, kind, of])
        digest = hashlib.sha256(follows).hexdigest()
        path = self._folder / f"{kind}-{digest[:32]}.safetensors"
        kept = _read(path, digest)
        if kept is None:
            kept = {name: each.cpu().contiguous() for name, each in measure().items()}
            self._write(path, digest, kept)
        return kept

    def value(self, kind: str, of: Any, measure: Callable[[], Any]) -> Any:
        """Return a value as JSON has it, measured unless it is kept; floats to the bit."""

        def measured() -> Tensors:
            text = bytearray(json.dumps(measure()).encode())
            return {"json": torch.frombuffer(text, dtype=torch.uint8)}

        return json.loads(self.tensors(kind, of, measured)["json"].numpy().tobytes())

    def _write(self, path: Path, digest: str, tensors: Tensors) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _clear(path.parent)
            with aside(path) as file:
                save_file(dict(tensors), file, metadata=_metadata(digest, tensors))
        except (OSError, SafetensorError) as cause:
            if not self._is_told:
                _LOG.warning(
                    "what is measured of the base cannot be kept in %s (%s): it is measured again"
                    " at the next start; free some space, or name another folder in model.cache",
                    path.parent, cause,
                )  # fmt: skip
            self._is_told = True


def kept_of(settings: ModelSettings, base: str) -> KeptBase:
    """Return what is kept of a base, beside the converted models."""
    return KeptBase(settings.cache.expanduser() / FOLDER, base)


def _read(path: Path, digest: str) -> Tensors | None:
    """Read a file; None when it is missing, torn or changed."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).clone() for name in sorted(file.keys())}
            return tensors if file.metadata() == _metadata(digest, tensors) else None
    except (OSError, SafetensorError):
        return None


def _metadata(digest: str, tensors: Tensors) -> dict[str, str]:
    numbers = WeightsDigest()
    for name, tensor in sorted(tensors.items()):
        numbers.add(name, tensor)
    return {"of": digest, "numbers": numbers.hexdigest()}


def _clear(folder: Path) -> None:
    for left in folder.glob(f"*{PART}"):
        with suppress(FileNotFoundError):  # another process has named it, or taken it away
            if time.time() - left.stat().st_mtime > _LEFT_S:
                left.unlink()
