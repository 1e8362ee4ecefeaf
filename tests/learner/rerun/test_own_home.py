"""The home of an exact run: there while it runs, gone afterwards, also where that was killed."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from learner.rerun.own_home import FOLDER, own_home, remove_left

KILLED = """
import os, signal, sys
from pathlib import Path
from learner.rerun.own_home import own_home
with own_home(Path(sys.argv[1])) as own:
    (own / "log.db").write_text("words")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def left(home: Path) -> list[Path]:
    """Return what lies in the folder of these homes."""
    return sorted((home / FOLDER).glob("*"))


def test_it_goes_with_the_run(tmp_path: Path) -> None:
    """It lies in the line's home, named by the process, for nobody else to read; ends as it may."""
    with own_home(tmp_path) as own:
        assert own.parent == tmp_path / FOLDER
        assert own.name.startswith(f"{os.getpid()}-")
        assert own.stat().st_mode & 0o077 == 0
        (own / "log.db").write_text("words")
    assert list(tmp_path.iterdir()) == []  # a folder of one user's would keep out another's run
    with pytest.raises(SystemExit), own_home(tmp_path):
        raise SystemExit(143)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("by", ["the next run", "hand"])
def test_what_a_killed_run_left_is_removed(tmp_path: Path, by: str) -> None:
    """By the next one, or when somebody is forgotten; what another run holds stays."""
    with own_home(tmp_path) as held:
        command = [sys.executable, "-c", KILLED, str(tmp_path)]
        assert subprocess.run(command, check=False).returncode < 0
        (dead,) = set(left(tmp_path)) - {held}
        assert (dead / "log.db").read_text() == "words"
        if by == "hand":
            assert remove_left(tmp_path) == 1
        else:
            with own_home(tmp_path) as other:
                assert left(tmp_path) == sorted([held, other])
        assert left(tmp_path) == [held]
        assert remove_left(tmp_path) == 0


def test_what_cannot_be_removed_is_told_and_stops_no_run(tmp_path: Path) -> None:
    """All else is removed; a run goes on beside it."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / FOLDER).mkdir()
    odd = tmp_path / FOLDER / "1-odd"
    odd.symlink_to(elsewhere)  # which is never removed as a folder, not even for root
    dead = tmp_path / FOLDER / "2-killed"
    dead.mkdir()
    with own_home(tmp_path) as own:
        assert left(tmp_path) == sorted([odd, own])
    dead.mkdir()
    with pytest.raises(OSError, match="symbolic link"):
        remove_left(tmp_path)
    assert left(tmp_path) == [odd]


def test_runs_that_begin_and_end_beside_each_other_all_have_a_home(tmp_path: Path) -> None:
    """One that ends takes the folder of all homes with it, at whatever moment of another's."""

    def come_and_go(_: int) -> None:
        for _time in range(50):
            with own_home(tmp_path) as own:
                assert own.is_dir()

    with ThreadPoolExecutor(4) as runs:
        list(runs.map(come_and_go, range(4)))
    assert list(tmp_path.iterdir()) == []


def test_a_home_without_such_runs_stays_as_it_is(tmp_path: Path) -> None:
    """Nothing is made where nothing is to be removed."""
    assert remove_left(tmp_path / "none") == 0
    assert not (tmp_path / "none").exists()
