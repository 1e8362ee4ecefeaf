"""Making the model ready before anything starts: the first conversion, with a progress bar.

The loops that will walk it are compiled at the same time (deploy.up.loops).
"""

import subprocess
import sys

from deploy.errors import DeployError
from deploy.settings.load import InForce
from deploy.up.loops import compiling
from deploy.up.progress import stages
from streams.model.convert import FOLDER, is_whole
from streams.model.files import require_files
from streams.settings import ModelSettings


def ensure(in_force: InForce) -> None:
    """Convert the bundled model if that was not done yet, in a process of its own.

    Its own, because the conversion needs a gigabyte and torch, and the supervisor neither.
    raises: DeployError when it failed, the child has said why; as `require_model`
    """
    settings = in_force.settings.model
    require_model(settings)
    if settings.path is not None or is_whole(settings.cache.expanduser() / FOLDER):
        return
    command = [sys.executable, "-m", "deploy", "prepare", *in_force.arguments]
    if subprocess.run(command, check=False).returncode != 0:
        raise DeployError("the model could not be prepared")


def require_model(settings: ModelSettings) -> None:
    """Refuse a model.path that is no model, in a moment: loading torch to see it takes seconds.

    raises: ModelFilesError
    """
    if settings.path is not None:
        require_files(settings.path.expanduser())


def convert(settings: ModelSettings) -> None:
    """Convert the bundled model into the cache, compile loops meanwhile, and show how far it is.

    raises: ModelFilesError
    """
    from streams.model.open import load_base  # torch takes seconds to import

    with compiling() as compiled, stages("preparing the model") as progress:
        load_base(settings, progress=progress)
        progress("compiling loops", 1.0)
        compiled.wait()
