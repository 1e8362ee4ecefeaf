"""The home: whether log, store and spool can be written there, and secrets read that are named.

Said before anything slow begins.
"""

import tempfile
from pathlib import Path

from agent.turn.response_ids import load_secret
from deploy.errors import HomeError
from deploy.settings.load import Settings
from streams.settings import StreamsSettings, secret_in

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


def require_named_files(settings: Settings, *, learns: bool) -> None:
    """Read the files that settings name for what is in them, of those that will be used.

    learns: those of a learner, too
    raises: SecretError naming the first setting whose file cannot be read or is empty
    """
    streams, learner, rollout = settings.streams, settings.learner, settings.rollout
    named: dict[str, Path | None] = {}
    if streams.log != "sqlite":
        for name in ("tls_ca", "tls_certificate", "tls_key", "sasl_password_file"):
            named[f"streams.{name}"] = getattr(streams, name)
    if learns and rollout.webhook is not None:
        named["rollout.webhook_secret"] = rollout.webhook_secret
    if learns and "model" in learner.judges:
        named["learner.judge_key_file"] = learner.judge_key_file
    for setting, file in named.items():
        if file is not None:
            secret_in(setting, file)
