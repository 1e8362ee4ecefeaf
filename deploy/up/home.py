"""The home: whether log, store and spool can be written there, and the secret of responses read.

Said before anything slow begins.
"""

import tempfile

from agent.turn.response_ids import load_secret
from deploy.errors import HomeError
from deploy.settings.load import Settings
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


def require_secret(settings: Settings) -> None:
    """Read the secret that signs responses, or make the home's own. Raises: StartError."""
    load_secret(settings.agent.response_secret, settings.streams.home.expanduser())
