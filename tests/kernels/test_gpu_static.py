"""What the passes over weights compile to; read from machine code, no GPU is needed."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.triton, pytest.mark.slow]


def test_passes_compile_near_their_counted_minimum() -> None:
    """On four architectures: no spills, 16-byte loads, within twice the counted instructions."""
    pytest.importorskip("triton")
    found = importlib.metadata.version("triton")
    if tuple(map(int, found.split(".")[:2])) < (3, 8):
        pytest.skip(f"triton {found} does not compile an update for sm_100: needs 3.8")
    # the interpreter's decorators are not compilable, and this process has them
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    table = subprocess.run(
        [sys.executable, "-m", "tests.bench.gpu_static", "update"],
        cwd=Path(__file__).parents[2], env=environment, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    rows = [dict(zip(lines[0], cells, strict=False)) for cells in lines[2:]]
    assert len(rows) == 20
    for row in rows:
        assert row["spills"] == "0", row
        assert "×128" in row["loads × bits"], row
        assert float(row["all"]) < 2.5 * float(row["minimum"]), row
