"""The home: whether log, store and spool can be written there, said before anything slow begins."""

import tempfile

from deploy.errors import HomeError
from streams.settings import StreamsSettings

BYTES = 2**16  # more than any file of an empty home begins with


def require_home(settings: StreamsSettings) -> None:
    """Make the home where it lacks, and refuse one that cannot be written.

    raises: HomeError with the folder, why, and what to do
    """
    home = settings.home.expanduser()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as file:
            file.write(bytes(BYTES))
            file.flush()
    except FileExistsError as cause:
        raise HomeError(f"{home} is no folder: name one with --home") from cause
    except OSError as cause:
        raise HomeError(
            f"the home {home} cannot be written: {cause.strerror}; name another with --home"
        ) from cause
