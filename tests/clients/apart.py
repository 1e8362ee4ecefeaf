"""Python packages that cannot stand beside the others: each in a virtual environment of its own."""

import os
import subprocess
import venv
from pathlib import Path

INSTALL_S = 1200  # where other processes want the cores, too
ASKED = os.environ.get("CLIENTS_AIDER") == "1"


def installed(folder: Path, *packages: str) -> Path:
    """Install packages into a new environment; the folder of its programs."""
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    subprocess.run(
        [programs / "pip", "install", "--quiet", *packages], check=True, timeout=INSTALL_S
    )
    return programs
