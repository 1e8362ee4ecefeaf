"""Compiling an agent's loops before the first one starts, in a process of its own.

It keeps one core busy for a minute, once on a machine, and so does the model's conversion: beside
each other they take as long as one of them. The machine code is on disk then, where every later
process finds it. What goes wrong here is no reason not to start: an agent compiles what it lacks.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import DEVNULL


@contextmanager
def compiling(*program: str) -> Iterator[subprocess.Popen[bytes]]:
    """Give the process that compiles, to be waited for; left before its end, it is ended.

    program: what compiles; none: this module
    """
    with subprocess.Popen(
        program or (sys.executable, "-m", __name__),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=DEVNULL,
        process_group=0,  # so that the terminal's Ctrl-C reaches who ends it only
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def main() -> None:
    """Compile all, or read it from disk."""
    import torch

    from agent.engine.passes import warm
    from kernels.model.blank import blank
    from kernels.open import open_backend

    torch.set_num_threads(2)  # or more: they have a loop of their own, and one would not meet it
    open_backend("cpu")
    warm(blank())


if __name__ == "__main__":
    main()
