"""Gives an exact run a home of its own: the others' conversations lie there while it runs.

It is a folder in `without` of the line's home, locked by the process that made it. One whose
process was killed is found by its lock, and goes when the next run begins or somebody is forgotten.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

FOLDER: Final = "without"


@contextmanager
def own_home(home: Path) -> Iterator[Path]:
    """Make an empty home within a line's, which is removed when the block ends, however it does."""
    remove_left(home)
    folder, held = _made(home / FOLDER)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        os.close(held)


def remove_left(home: Path) -> int:
    """Remove the homes of runs that were killed, and return how many there were."""
    left = 0
    for folder in sorted((home / FOLDER).glob("*/")):
        held = _hold(folder)
        if held is not None:
            shutil.rmtree(folder)
            os.close(held)
            left += 1
    return left


def _made(parent: Path) -> tuple[Path, int]:
    """Make a folder that this process holds."""
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        folder = Path(mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
        held = _hold(folder)
        if held is not None:
            return folder, held


def _hold(folder: Path) -> int | None:
    """Lock a folder until what is returned is closed; None where another process has it, or had.

    The kernel lets go when the process ends, whatever ends it.
    """
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        return None
    if not folder.exists():  # removed between the two
        os.close(held)
        return None
    return held
