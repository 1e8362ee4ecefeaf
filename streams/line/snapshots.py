"""Snapshots: a version's integers on disk, so that catching up need not begin at the base.

A snapshot is a cache of the ledger, never a source: whoever loads one compares the version's digest
(kernels.version.master) before it serves, and without any snapshot the ledger alone leads to the
same bits. Written aside and renamed, so that a crash leaves a whole one or none; a file that was
torn or flipped since is noticed by its checksum, told, put aside, and treated as missing.

Integers are stored in the narrowest type that holds them, which loses nothing. Knows nothing of
weights or recipes; kernels.version.walk decides when one is read or written.
"""

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

Integers = Iterable[tuple[str, NDArray[np.int32]]]

FORMAT = "1"
# The newest ones are kept: of two, one may be damaged, or of a branch that was rolled back.
KEEP = 3
# Taking in a recipe costs a pass over the integers, about what writing them costs: so many of
# them at most are repeated at a start.
EVERY = 50
# No write takes this long: the writer of an older part was killed.
ABANDONED_S = 3600.0

_log = logging.getLogger(__name__)


class Snapshots:
    """The snapshots in a folder, which several processes of a machine may share."""

    def __init__(
        self,
        folder: Path,
        *,
        every: int = EVERY,
        keep: int = KEEP,
        tell: Callable[[str], None] = _log.warning,
        write: Callable[..., None] = save_file,
    ) -> None:
        """Name the folder; it is made when the first snapshot is.

        every: how many versions may lie between one and the next; 0: none are written
        keep: how many to keep
        tell: told of a snapshot that cannot be used, in a sentence
        write: writes the file, as safetensors' save_file
        """
        self._folder = folder
        self.every = every
        self._keep = keep
        self._tell = tell
        self._write = write
        self._told_of: set[Path] = set()  # that they may not be read

    def save(self, version: str, integers: Integers) -> Path:
        """Write a version's integers, and remove the oldest snapshots beyond `keep`.

        integers: tensor names and their int32 arrays, each read once and let go
        raises: OSError when the disk does not take it (the others stay as they are)
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(version)
        narrow = {name: _narrowed(values) for name, values in integers}
        about = {"format": FORMAT, "version": version, "checksum": _checksum(version, narrow)}
        # A name drawn anew: containers that share the folder have equal process ids.
        number, name = tempfile.mkstemp(prefix=f"{version}.", suffix=".part", dir=self._folder)
        os.close(number)
        aside = Path(name)
        try:
            self._write(narrow, aside, metadata=about)
            _sync(aside)
            aside.chmod(0o644)  # whoever shares the folder may run as somebody else
            aside.replace(path)
        except SafetensorError as cause:  # what its writer makes of a disk that is full
            raise OSError(f"{path} cannot be written: {cause}") from cause
        finally:
            aside.unlink(missing_ok=True)
        _sync(self._folder)
        self._tidy()
        return path

    def load(self, version: str) -> dict[str, NDArray[np.int32]] | None:
        """Read a version's integers; None when there is no snapshot of it that can be trusted."""
        path = self._path(version)
        try:
            with safe_open(path, framework="numpy") as file:
                about = file.metadata() or {}
                narrow = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (FileNotFoundError, PermissionError):
            self._may_read(path)  # which tells, where there is one
            return None
        except (SafetensorError, OSError, ValueError, TypeError) as cause:
            self._put_aside(path, f"cannot be read ({cause})")
            return None
        if about.get("format") != FORMAT:
            return None  # of a later build: theirs to use
        if about.get("version") != version or about.get("checksum") != _checksum(version, narrow):
            self._put_aside(path, "does not have the checksum that was written with it")
            return None
        return {name: values.astype(np.int32) for name, values in narrow.items()}

    def nearest(self, chain: Sequence[str]) -> str | None:
        """Return the version furthest along a chain that there is a snapshot of.

        chain: version names, from the base on
        """
        kept = {path.stem for path in self._newest_first() if self._may_read(path)}
        return next((version for version in reversed(chain) if version in kept), None)

    def refuse(self, version: str, why: str) -> None:
        """Put a snapshot aside that is not what its name says, and tell."""
        self._put_aside(self._path(version), f"is of other integers ({why})")

    def _path(self, version: str) -> Path:
        if not version.isalnum():  # it becomes a file's name
            raise ValueError(f"{version!r} is not a version's name")
        return self._folder / f"{version}.safetensors"

    def _may_read(self, path: Path) -> bool:
        """Whether this process may read a snapshot; of one that it may not it tells once.

        It may be whole, and is left to those who may.
        """
        if os.access(path, os.R_OK, effective_ids=True):
            return True
        if path.exists() and path not in self._told_of:
            self._told_of.add(path)
            self._tell(f"the snapshot {path} may not be read by this process: the ledger is used")
        return False

    def _tidy(self) -> None:
        """Remove the oldest snapshots, and what damage and killed writers left long ago."""
        for kind in ("*.safetensors", "*.damaged"):
            for old in self._newest_first(kind)[self._keep :]:
                old.unlink(missing_ok=True)
        for part in self._newest_first("*.part"):
            with suppress(FileNotFoundError):
                if time.time() - part.stat().st_mtime > ABANDONED_S:
                    part.unlink()

    def _newest_first(self, kind: str = "*.safetensors") -> list[Path]:
        written: list[tuple[int, Path]] = []
        for path in self._folder.glob(kind):
            try:
                written.append((path.stat().st_mtime_ns, path))
            except FileNotFoundError:  # another process removed it meanwhile
                continue
        return [path for _, path in sorted(written, reverse=True)]

    def _put_aside(self, path: Path, why: str) -> None:
        self._tell(f"the snapshot {path} {why}: it is not used, and the ledger is")
        try:
            path.replace(path.with_suffix(".damaged"))
        except OSError:  # gone, or on a disk that is read-only: not used in any case
            _log.exception("the snapshot %s cannot be put aside", path)


def _narrowed(values: NDArray[np.int32]) -> NDArray[Any]:
    """Return the same integers in the narrowest signed type."""
    reach = max(int(values.max(initial=0)), -int(values.min(initial=0)) - 1)
    narrow = np.int8 if reach < 2**7 else np.int16 if reach < 2**15 else np.int32
    return np.ascontiguousarray(values.astype(narrow))


def _checksum(version: str, integers: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(integers):
        values = integers[name]
        head = [version, name, str(values.dtype), list(values.shape)]
        digest.update(json.dumps(head).encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
