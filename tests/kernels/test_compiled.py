"""Machine code that is kept on disk is of the sources that run, all of them."""

import shutil
from pathlib import Path
from types import ModuleType

import pytest

from kernels.cpu import noise
from kernels.cpu.compiled import KERNELS, digest
from kernels.loops import attention, draw, step


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


@pytest.mark.parametrize("room", [attention, draw, step], ids=lambda room: room.__name__)
def test_what_may_be_summed_in_any_order_is_compiled_before_its_callers(room: ModuleType) -> None:
    """A caller carries a copy that may sum otherwise: whichever a process meets first, it uses.

    So a process that compiles and one that finds all on disk would differ in the last bits.
    """
    loose = [
        each
        for each in vars(room).values()
        if getattr(each, "targetoptions", {}).get("fastmath") and each.__module__ == room.__name__
    ]
    assert loose
    for each in loose:
        assert each.signatures, each.__qualname__
        assert not each._can_compile, each.__qualname__
