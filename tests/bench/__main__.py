"""Runs every benchmark of this folder, one after the other, each in its own process.

A benchmark is a file bench_*.py with a `main()` that prints its table; it compares what it measures
with a baseline in the same run, on the same data, with memory and threads as the command has them.
Names as arguments choose some of them:

    python -m tests.bench [NAME …]

The hardware is printed first, so that a figure never stands without its machine.
"""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from deploy.up.process import environ

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent


def hardware() -> str:
    """Describe this machine: processor, cores, memory, system, versions of what does the work."""
    import numpy
    import torch

    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, "
        f"{platform.system()} {platform.release()}; {versions}, NumPy {numpy.__version__}"
    )


def names() -> list[str]:
    """Return the names of all benchmarks, in order."""
    return sorted(file.stem.removeprefix("bench_") for file in FOLDER.glob("bench_*.py"))


def main(chosen: list[str]) -> int:
    """Run the chosen benchmarks, or all; the exit code is the number that failed."""
    unknown = sorted(set(chosen) - set(names()))
    if unknown:
        print(f"no benchmark {', '.join(unknown)}: choose from {', '.join(names())}")
        return 2
    print(f"hardware: {hardware()}", flush=True)
    failed = 0
    for name in chosen or names():
        print(f"\n== {name}", flush=True)
        started = time.monotonic()
        command = [sys.executable, "-m", f"tests.bench.bench_{name}"]
        code = subprocess.run(command, cwd=ROOT, env=environ(), check=False).returncode
        print(f"-- {name} took {time.monotonic() - started:.0f} s, exit code {code}", flush=True)
        failed += code != 0
    return failed


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
