"""The folders of spools: one a process; what dead processes left is found by the next one."""

from pathlib import Path

from streams.keeping import forgotten
from streams.log.contract import Outgoing
from streams.settings import StreamsSettings
from streams.spool.file import SpoolFile, open_free


def open_files(folder: Path, settings: StreamsSettings) -> list[SpoolFile]:
    """Open what dead processes left below a folder, and last the first free one, for ourselves.

    raises: OSError; SpoolUnavailableError when what waits in one of them cannot be read now
    """
    number = 0
    while (own := _open(folder / str(number), settings)) is None:
        number += 1
    left: list[SpoolFile] = []
    try:
        for each in sorted(folder.iterdir()):
            other = _open(each, settings) if each.is_dir() and each != own.folder else None
            if other is not None and other.num_records:
                left.append(other)
            elif other is not None:
                other.close()
    except BaseException:
        for file in (*left, own):
            file.close()
        raise
    return [*left, own]


def forget_left(folder: Path, principal: str, until_ms: int, settings: StreamsSettings) -> int:
    """Forget in the spools that no living process holds; return how many records went.

    A process that lives forgets when it reads the Forgotten record (`Spool.forget`).

    raises: OSError; SpoolUnavailableError when what waits in one of them cannot be read now
    """
    gone = 0
    for own in sorted(folder.iterdir()) if folder.is_dir() else ():
        file = _open(own, settings) if own.is_dir() else None
        if file is not None:
            try:
                gone += file.forget(lambda record: _said(record, principal, until_ms))
            finally:
                file.close()
    return gone


def _said(record: Outgoing, principal: str, until_ms: int) -> bool:
    said_ms = forgotten.said_by(record.value, principal)
    return said_ms is not None and said_ms <= until_ms


def _open(folder: Path, settings: StreamsSettings) -> SpoolFile | None:
    drop_oldest = settings.spool_when_full == "drop-oldest"
    return open_free(folder, max_bytes=settings.spool_bytes, drop_oldest=drop_oldest)
