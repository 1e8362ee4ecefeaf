"""A small disk of its own, to be filled: a tmpfs, which only root may mount."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

BLOCK = bytes(64 * 1024)


class SmallDisk:
    """A file system that holds little."""

    def __init__(self, folder: Path) -> None:
        """Name where it is mounted."""
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Take all room that is left."""
        with self._ballast.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(BLOCK)

    def free(self) -> None:
        """Let the room go."""
        self._ballast.unlink()


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[SmallDisk]:
    """Mount one, anybody may write to it; skips the test where that is not allowed."""
    folder.mkdir(parents=True)
    options = f"size={mebibytes}m,mode=0777"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a disk that is full needs the right to mount one: {done.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        # lazily: whoever still has a file open there does not keep the test from ending
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
