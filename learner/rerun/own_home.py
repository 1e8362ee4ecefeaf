"""Gives an exact run a home of its own: the others' conversations lie there while it runs.

It is a folder in `without` of the line's home, locked by the process that made it. One whose
process was killed is found by its lock, and goes when the next run begins or somebody is forgotten.
`without` goes with the last of them: it is its user's alone, and would keep another's run out.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

FOLDER: Final = "without"


@contextmanager
def own_home(home: Path) -> Iterator[Path]:
    """Make an empty home within a line's, which is removed when the block ends, however it does."""
    with suppress(OSError):  # another user's, say: whoever asks for the removal alone is told
        remove_left(home)
    folder, held = _made(home / FOLDER)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        os.close(held)
        _remove_if_empty(folder.parent)


def remove_left(home: Path) -> int:
    """Remove the homes of runs that were killed, and return how many there were.

    raises: OSError when one cannot be removed, as another user's; all others are gone then
    """
    parent = home / FOLDER
    try:
        folders = sorted(parent.iterdir())
    except FileNotFoundError:
        return 0
    left, failed = 0, None
    for folder in folders:
        try:
            left += _remove(folder)
        except OSError as cause:
            failed = failed or cause
    _remove_if_empty(parent)
    if failed is not None:
        raise failed
    return left


def _remove(folder: Path) -> bool:
    """Remove a home that no process holds; False where one does, or it is none."""
    held = _hold(folder) if folder.is_dir() else None
    if held is None:
        return False
    try:
        shutil.rmtree(folder)
    finally:
        os.close(held)
    return True


def _remove_if_empty(parent: Path) -> None:
    with suppress(OSError):  # another run has its home there, or removed it
        parent.rmdir()


def _made(parent: Path) -> tuple[Path, int]:
    """Make a folder that this process holds."""
    parent.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with suppress(FileExistsError):
            parent.mkdir(mode=0o700)
        try:
            folder = Path(mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
        except FileNotFoundError:
            if parent.is_symlink():  # to nothing
                raise
            continue  # it went with another run
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
