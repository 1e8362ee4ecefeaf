"""A snapshot comes back to the bit or not at all."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file

from streams.line.snapshots import Snapshots

INTEGERS = {
    "model.layers.0.mlp.up_proj.weight": np.arange(-60, 60, dtype=np.int32).reshape(10, 12),
    "model.layers.0.mlp.down_proj.weight": np.full((3, 5), 2**31 - 1, dtype=np.int32),
}


def same(ours: dict[str, NDArray[np.int32]] | None, theirs: dict[str, NDArray[np.int32]]) -> bool:
    return ours is not None and all(
        ours[name].dtype == np.int32 and np.array_equal(ours[name], values)
        for name, values in theirs.items()
    )


@settings(deadline=None)
@given(
    hnp.arrays(
        np.int32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.sampled_from([0, 1, -128, 127, 128, -32768, 32767, -(2**31), 2**31 - 1]),
    )
)
def test_any_integers_come_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, values: NDArray[np.int32]
) -> None:
    """However narrow they were stored."""
    snapshots = Snapshots(tmp_path_factory.mktemp("snapshots"))
    snapshots.save("a1", [("weight", values)])
    assert same(snapshots.load("a1"), {"weight": values})


def test_what_was_never_saved_is_missing(tmp_path: Path) -> None:
    """No folder, no file: nothing to load, nothing nearest."""
    snapshots = Snapshots(tmp_path / "none")
    assert snapshots.load("a1") is None
    assert snapshots.nearest(["a1"]) is None


def test_the_nearest_snapshot_of_a_chain(tmp_path: Path) -> None:
    """The furthest along the chain, not the newest; another branch's does not count."""
    snapshots = Snapshots(tmp_path)
    for version in ("v3", "v1", "other"):
        snapshots.save(version, INTEGERS.items())
    assert snapshots.nearest(["base", "v1", "v2", "v3", "v4"]) == "v3"
    assert snapshots.nearest(["base", "v1", "w2"]) == "v1"
    assert snapshots.nearest(["base", "x1"]) is None


def test_the_oldest_are_removed(tmp_path: Path) -> None:
    """The folder does not grow with the ledger."""
    snapshots = Snapshots(tmp_path, keep=2)
    for number in range(5):
        path = snapshots.save(f"v{number}", INTEGERS.items())
        os.utime(path, ns=(number, number))
    assert {path.stem for path in tmp_path.iterdir()} == {"v3", "v4"}


@pytest.mark.fault("torn or flipped snapshot")
@pytest.mark.parametrize("at", [0, 7, 40, 200, -1, -40])
def test_a_flipped_byte_is_noticed(tmp_path: Path, at: int) -> None:
    """Anywhere in the file: told, put aside, and not used."""
    told: list[str] = []
    snapshots = Snapshots(tmp_path, tell=told.append)
    path = snapshots.save("v1", INTEGERS.items())
    content = bytearray(path.read_bytes())
    content[at] ^= 0x01
    path.write_bytes(content)
    assert snapshots.load("v1") is None
    assert len(told) == 1
    assert str(path) in told[0]
    assert snapshots.nearest(["v1"]) is None
    assert path.with_suffix(".damaged").exists()


@pytest.mark.fault("torn or flipped snapshot")
@pytest.mark.parametrize("length", [0, 5, 100, 300])
def test_a_torn_file_is_noticed(tmp_path: Path, length: int) -> None:
    """Cut anywhere: told, and not used."""
    told: list[str] = []
    snapshots = Snapshots(tmp_path, tell=told.append)
    path = snapshots.save("v1", INTEGERS.items())
    path.write_bytes(path.read_bytes()[:length])
    assert snapshots.load("v1") is None
    assert len(told) == 1


def test_another_versions_file_is_noticed(tmp_path: Path) -> None:
    """A file under a wrong name does not pass for what its name says."""
    told: list[str] = []
    snapshots = Snapshots(tmp_path, tell=told.append)
    snapshots.save("v1", INTEGERS.items()).rename(tmp_path / "v2.safetensors")
    assert snapshots.load("v2") is None
    assert len(told) == 1


@pytest.mark.fault("full disk")
@pytest.mark.parametrize("kind", [OSError, SafetensorError])
def test_a_disk_that_is_full_leaves_what_was_there(tmp_path: Path, kind: type[Exception]) -> None:
    """A snapshot that could not be written leaves no part behind, and the old ones whole."""
    snapshots = Snapshots(tmp_path)
    snapshots.save("v1", INTEGERS.items())

    def full(_: object, path: Path, **__: object) -> None:
        path.write_bytes(b"the first part")
        raise kind("No space left on device (os error 28)")

    with pytest.raises(OSError, match="No space left"):
        Snapshots(tmp_path, write=full).save("v2", INTEGERS.items())
    assert [path.name for path in tmp_path.iterdir()] == ["v1.safetensors"]
    assert same(snapshots.load("v1"), INTEGERS)


def test_two_writers_of_one_version_do_not_meet(tmp_path: Path) -> None:
    """Processes of two containers have equal ids: each writes a file of its own."""
    ours = Snapshots(tmp_path)

    def overtaken(narrow: dict[str, NDArray[Any]], path: Path, **about: Any) -> None:
        save_file(narrow, path, **about)
        ours.save("v1", INTEGERS.items())

    Snapshots(tmp_path, write=overtaken).save("v1", INTEGERS.items())
    assert same(ours.load("v1"), INTEGERS)
    assert [path.name for path in tmp_path.iterdir()] == ["v1.safetensors"]


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user of the machine may look into; pytest's own are closed."""
    with TemporaryDirectory(prefix="quickset-snapshots-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def as_another_user(folder: Path) -> Iterator[None]:
    """Be nobody for a while, where this is root; others may not read what nobody may anyway."""
    ours = os.geteuid()
    if ours == 0:
        try:
            os.seteuid(65534)
        except OSError:
            pytest.skip("this root cannot be somebody else")
    try:
        if not os.access(folder, os.X_OK, effective_ids=True):
            pytest.skip("the folder for temporary files is closed to others")
        yield
    finally:
        os.seteuid(ours)


def test_whoever_shares_the_folder_may_read(shared: Path) -> None:
    """A replica that runs as another user catches up by what this one wrote."""
    path = Snapshots(shared).save("v1", INTEGERS.items())
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    with as_another_user(shared):
        assert Snapshots(shared).nearest(["v1"]) == "v1"
        assert same(Snapshots(shared).load("v1"), INTEGERS)


def test_what_may_not_be_read_is_told_of_and_no_snapshot(shared: Path) -> None:
    """Once; the next older one is the nearest, and the file stays for those who may read it."""
    told: list[str] = []
    snapshots = Snapshots(shared, tell=told.append)
    snapshots.save("v1", INTEGERS.items())
    path = snapshots.save("v2", INTEGERS.items())
    path.chmod(0o000)
    with as_another_user(shared):
        for _ in range(2):
            assert snapshots.load("v2") is None
            assert snapshots.nearest(["v1", "v2"]) == "v1"
        assert snapshots.load("v3") is None
    assert told == [f"the snapshot {path} may not be read by this process: the ledger is used"]
    assert path.exists()


def test_a_name_that_is_no_version_is_refused(tmp_path: Path) -> None:
    """It would become a path."""
    with pytest.raises(ValueError, match="not a version's name"):
        Snapshots(tmp_path).load("../outside")


def test_what_damage_and_killed_writers_left_does_not_pile_up(tmp_path: Path) -> None:
    """A few damaged files stay, to be looked at; parts that nobody writes any more go."""
    snapshots = Snapshots(tmp_path, keep=2, tell=lambda _: None)
    for number in range(5):
        snapshots.save(f"v{number}", INTEGERS.items())
        snapshots.refuse(f"v{number}", "a test says so")
    for name, age_s in (("old.7.part", 7200), ("new.8.part", 0)):
        (tmp_path / name).touch()
        then = (tmp_path / name).stat().st_mtime - age_s
        os.utime(tmp_path / name, (then, then))
    snapshots.save("v9", INTEGERS.items())
    assert len(list(tmp_path.glob("*.damaged"))) == 2
    assert [path.name for path in tmp_path.glob("*.part")] == ["new.8.part"]
