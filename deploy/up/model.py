"""Making the model ready before anything starts: the first conversion, with a progress bar."""

import subprocess
import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from deploy.errors import DeployError
from deploy.settings.load import InForce
from streams.model.convert import FOLDER, is_whole
from streams.settings import ModelSettings


def ensure(in_force: InForce) -> None:
    """Convert the bundled model if that was not done yet, in a process of its own.

    Its own, because the conversion needs a gigabyte and torch, and the supervisor neither.
    raises: DeployError when it failed; the child has said why
    """
    settings = in_force.settings.model
    if settings.path is not None:
        if not settings.path.expanduser().is_dir():
            raise DeployError(
                f"model.path {settings.path} is no directory: name that of a Hugging Face model"
            )
        return
    if is_whole(settings.cache.expanduser() / FOLDER):
        return
    command = [sys.executable, "-m", "deploy", "prepare", *in_force.arguments]
    if subprocess.run(command, check=False).returncode != 0:
        raise DeployError("the model could not be prepared")


def convert(settings: ModelSettings) -> None:
    """Convert the bundled model into the cache and show how far it is.

    raises: ModelFilesError
    """
    from streams.model.open import load_base  # torch takes seconds to import

    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task("preparing the model", total=1.0)

        def progress(stage: str, fraction: float) -> None:
            bars.update(bar, description=stage, completed=fraction)

        load_base(settings, progress=progress)
