"""Files that a command writes at its end: refused at its beginning where they cannot be written."""

import os
from pathlib import Path
from typing import Final

from deploy.errors import OutputError

# What matplotlib writes by itself; it takes the kind from the name.
PICTURES: Final = (
    ".png", ".pdf", ".svg", ".svgz", ".eps", ".ps", ".jpg", ".jpeg", ".tif", ".tiff", ".webp",
)  # fmt: skip


def output(file: Path) -> Path:
    """Return the file that is meant, with the home for a leading ~.

    raises: OutputError when it is a folder, or the folder that it is to lie in cannot be written
    """
    path = expanded(file)
    if path.is_dir():
        raise OutputError(f"{file} is a folder: name a file in it")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise OutputError(f"there is no folder to write {file} into: make it, or name another")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise OutputError(f"{file} cannot be written by this user: name another")
    return path


def picture_kind(file: Path) -> Path:
    """Return the same file. Raises: OutputError when no picture of its kind can be drawn."""
    if file.suffix.lower() not in PICTURES:
        raise OutputError(f"{file} names no kind of picture that can be drawn: end it with .png")
    return file


def expanded(path: Path) -> Path:
    """Return a path with the home for a leading ~, which no shell expands after an equals sign."""
    try:
        return path.expanduser()
    except RuntimeError as cause:
        raise OutputError(f"{path}: {cause}: name the whole path") from cause
