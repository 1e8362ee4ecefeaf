"""Who gives a command, by the name that the audit keeps."""

import getpass
import os
from collections.abc import Callable


def who(named: Callable[[], str] = getpass.getuser) -> str:
    """Return the name of the user who runs this process.

    An id without a name, as a container may be given, is told by its number: an audit without a
    name is better than a command that cannot be given.
    """
    try:
        return named()
    except (KeyError, OSError):  # KeyError up to Python 3.12
        return f"uid {os.getuid()}"
