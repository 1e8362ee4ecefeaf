"""Machine code that is kept on disk is of the sources that run, all of them."""

import shutil
from pathlib import Path

from kernels.cpu import noise
from kernels.cpu.compiled import KERNELS, digest


def test_a_change_of_any_source_is_another_loop(tmp_path: Path) -> None:
    """A loop is found on disk by a digest of what it calls, not of its own file alone."""
    copy = tmp_path / "kernels"
    shutil.copytree(KERNELS, copy)
    assert digest(copy) == digest(KERNELS)
    assert noise.fill_words.__qualname__.endswith(digest(KERNELS))
    for number, changed in enumerate(("cpu/noise.py", "loops/lanes.py", "reference/update.py")):
        other = tmp_path / str(number)
        shutil.copytree(KERNELS, other)
        (other / changed).write_text((other / changed).read_text() + "# another\n")
        assert digest(other) != digest(KERNELS)
