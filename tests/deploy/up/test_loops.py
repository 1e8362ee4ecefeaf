"""Loops are compiled beside the conversion: all that a start needs, and no longer than wanted."""

import signal
import sys
from pathlib import Path

from deploy.up.loops import compiling, main
from tests.agent.test_ready import anew, loops, start, write_model


def lacking(folder: Path) -> set[str]:
    """Name the loops that a start compiles though they were compiled beforehand."""
    main()
    ready = loops()
    assert ready
    start(folder)
    return loops() - ready


def test_a_start_finds_all_its_loops(tmp_path: Path) -> None:
    """What a model of nothing meets is what a real one meets, its backend's loops among it."""
    write_model(tmp_path)
    assert anew(lacking, tmp_path) == set()


def test_the_end_is_waited_for(tmp_path: Path) -> None:
    """Who waits goes on when all is on disk."""
    done = tmp_path / "done"
    with compiling(sys.executable, "-c", f"open({str(done)!r}, 'x')") as process:
        assert process.wait() == 0
    assert done.exists()


def test_it_ends_with_who_wanted_it() -> None:
    """A conversion that failed waits for nothing."""
    with compiling(sys.executable, "-c", "import time; time.sleep(600)") as process:
        pass
    assert process.returncode == -signal.SIGKILL
