"""A disk under this process's SQLite files that fills, fails to sync, and loses its power.

A VFS of SQLite (its port to the operating system) that hands everything on to the usual one and
stands between at two places: writes, which find no room or tear, and syncs, which make durable, or
fail and lose what was new, as Linux does (fsyncgate). After `cut_power` a folder holds what a disk
may hold then: of each file what was synced, and any blocks of what was written since.

Needs the SQLite of Python's own module as a shared library.
"""

import ctypes
import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int, c_int64, c_void_p, cast
from pathlib import Path

import pytest

BLOCK = 512
FULL, SYNC_FAILED = 13, 1034  # SQLITE_FULL, SQLITE_IOERR_FSYNC

# Names as addresses: SQLite keeps the one that it opens a file with.
_Open = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_Write = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_Sync = CFUNCTYPE(c_int, c_void_p, c_int)
_Truncate = CFUNCTYPE(c_int, c_void_p, c_int64)
_Delete = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)


class _Vfs(Structure):
    """The head of sqlite3_vfs; what follows is copied unread."""

    _fields_ = [
        ("iVersion", c_int), ("szOsFile", c_int), ("mxPathname", c_int), ("pNext", c_void_p),
        ("zName", c_char_p), ("pAppData", c_void_p), ("xOpen", c_void_p),
        ("xDelete", c_void_p), ("others", c_void_p * 13),
    ]  # fmt: skip


class _Methods(Structure):
    """sqlite3_io_methods of version 3."""

    _fields_ = [
        ("iVersion", c_int), ("xClose", c_void_p), ("xRead", c_void_p), ("xWrite", c_void_p),
        ("xTruncate", c_void_p), ("xSync", c_void_p), ("xFileSize", c_void_p),
        ("others", c_void_p * 12),
    ]  # fmt: skip


# A connection that a failed test has left open calls its disk when it is collected.
_ALIVE: list["Disk"] = []


class Disk:
    """What becomes of writes and syncs; in force while `installed`."""

    def __init__(self) -> None:
        """Begin with all the room there is, and no failures."""
        self.room: int | None = None  # bytes that it still takes; None: any number
        self.failing: set[int] = set()  # the syncs that fail, counted from 1
        self.broken = False  # every sync fails
        self.syncs = 0
        self._durable: dict[str, bytes] = {}
        # New since the last sync, by file: blocks that were written, and None where it was cut off.
        self._lost: dict[str, list[tuple[int, bytes | None]]] = {}
        self._names: dict[int, str] = {}
        self._patched: dict[int, tuple[_Methods, _Methods]] = {}
        self._callbacks: list[object] = []
        _ALIVE.append(self)

    @contextmanager
    def installed(self) -> Iterator["Disk"]:
        """Make every file that SQLite opens meanwhile lie on this disk."""
        library = _library()
        library.sqlite3_vfs_find.restype = c_void_p
        usual = library.sqlite3_vfs_find(None)
        vfs = _Vfs.from_buffer_copy(ctypes.string_at(usual, ctypes.sizeof(_Vfs)))
        vfs.zName, vfs.pNext = b"test-disk", None
        self._usual_open, self._usual_delete = _Open(vfs.xOpen), _Delete(vfs.xDelete)
        opened, deleted = _Open(self._on_open), _Delete(self._on_delete)
        self._write, self._sync = _Write(self._on_write), _Sync(self._on_sync)
        self._truncate = _Truncate(self._on_truncate)
        vfs.xOpen, vfs.xDelete = cast(opened, c_void_p), cast(deleted, c_void_p)
        self._callbacks += [vfs, opened, deleted]
        library.sqlite3_vfs_register(byref(vfs), 1)
        try:
            yield self
        finally:
            library.sqlite3_vfs_register(c_void_p(usual), 1)
            library.sqlite3_vfs_unregister(byref(vfs))

    def cut_power(self, into: Path, chance: random.Random, *, kept: float = 0.5) -> None:
        """Write into a folder what the disk may hold after a power cut at this moment.

        kept: how likely a block is there that was not synced; 1: all are, as after a kill
        """
        into.mkdir(parents=True, exist_ok=True)
        for name in {*self._durable, *self._lost}:
            content = bytearray(self._durable.get(name, b""))
            for piece in self._lost.get(name, []):
                if chance.random() < kept:
                    _apply(content, piece)
            (into / name).write_bytes(content)

    def begin_with(self, folder: Path) -> None:
        """Take the files of a folder for all that is on the disk."""
        self._lost.clear()
        self._durable = {path.name: path.read_bytes() for path in folder.iterdir()}

    def _on_open(self, vfs: int, name: int | None, file: int, flags: int, out: int) -> int:
        code = int(self._usual_open(vfs, name, file, flags, out))
        methods = cast(file, POINTER(c_void_p))
        if code == 0 and name and methods[0]:
            self._names[file] = _name_at(name)
            methods[0] = ctypes.addressof(self._methods(methods[0])[1])
        return code

    def _methods(self, address: int) -> tuple[_Methods, _Methods]:
        """Return the usual methods of a kind of file, and ours."""
        if address not in self._patched:
            usual = _Methods.from_buffer_copy(ctypes.string_at(address, ctypes.sizeof(_Methods)))
            ours = _Methods.from_buffer_copy(usual)
            ours.xWrite, ours.xSync = cast(self._write, c_void_p), cast(self._sync, c_void_p)
            ours.xTruncate = cast(self._truncate, c_void_p)
            self._patched[address] = (usual, ours)
            self._patched[ctypes.addressof(ours)] = (usual, ours)
        return self._patched[address]

    def _usual(self, file: int) -> _Methods:
        return self._patched[cast(file, POINTER(c_void_p))[0]][0]

    def _on_write(self, file: int, data: int, count: int, offset: int) -> int:
        if self.room is not None:
            if self.room < count:
                count, self.room = self.room, 0
                if count:
                    _Write(self._usual(file).xWrite)(file, data, count, offset)
                    self._note(file, ctypes.string_at(data, count), offset)
                return FULL
            self.room -= count
        self._note(file, ctypes.string_at(data, count), offset)
        return int(_Write(self._usual(file).xWrite)(file, data, count, offset))

    def _note(self, file: int, data: bytes, offset: int) -> None:
        pieces = self._lost.setdefault(self._names[file], [])
        start = 0
        while start < len(data):  # by the blocks of a disk, each of which is written or not
            end = start + BLOCK - (offset + start) % BLOCK
            pieces.append((offset + start, data[start:end]))
            start = end

    def _on_sync(self, file: int, flags: int) -> int:
        self.syncs += 1
        name = self._names[file]
        if self.broken or self.syncs in self.failing:
            self._lost.pop(name, None)  # the system says so this once, and takes it for written
            return SYNC_FAILED
        code = int(_Sync(self._usual(file).xSync)(file, flags))
        content = bytearray(self._durable.get(name, b""))
        for piece in self._lost.pop(name, []):
            _apply(content, piece)
        self._durable[name] = bytes(content)
        return code

    def _on_truncate(self, file: int, size: int) -> int:
        self._lost.setdefault(self._names[file], []).append((size, None))
        return int(_Truncate(self._usual(file).xTruncate)(file, size))

    def _on_delete(self, vfs: int, name: int, sync_folder: int) -> int:
        deleted = _name_at(name)
        self._durable.pop(deleted, None)
        self._lost.pop(deleted, None)
        return int(self._usual_delete(vfs, name, sync_folder))


def _name_at(address: int) -> str:
    return Path(ctypes.string_at(address).decode()).name


def _apply(content: bytearray, piece: tuple[int, bytes | None]) -> None:
    start, block = piece
    if block is None:
        del content[start:]
        return
    content.extend(bytes(max(0, start + len(block) - len(content))))
    content[start : start + len(block)] = block


def _library() -> ctypes.CDLL:
    """Find the SQLite that Python's module uses, or skip the test."""
    sqlite3.connect(":memory:").close()
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "libsqlite3" in line:
            with suppress(OSError, AttributeError):
                library = ctypes.CDLL(line.split()[-1])
                if library.sqlite3_libversion_number() >= 3_040_000:
                    return library
    pytest.skip("a disk that fails needs SQLite as a shared library")
