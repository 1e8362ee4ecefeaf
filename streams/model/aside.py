"""Writes a file beside its place first, so that nobody reads the half of it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PART: Final = ".part"  # how the names of what is not whole yet end


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Give a file to write, which takes the place of a path once it is whole.

    Its name is drawn anew: containers that share a folder have equal process ids.

    raises: OSError; whatever is raised inside leaves the path as it was
    """
    number, name = tempfile.mkstemp(prefix=f"{path.stem}.", suffix=PART, dir=path.parent)
    os.close(number)
    written = Path(name)
    try:
        yield written
        written.chmod(0o644)
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)
