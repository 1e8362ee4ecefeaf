"""The rooms of ARCHITECTURE.md: no circle among them, each keeps its face, documents tell them."""

from functools import cache
from pathlib import Path

import pytest

from tests.rooms import (
    ROOT,
    Room,
    architecture_lines,
    circles,
    graph_of,
    readme_lines,
    rooms,
    trespasses,
)

# More files than this are a hall, not a room: what belongs together cannot be seen any more.
MOST_FILES = 12
# These hold files of a kind (a page, a section, a command each), and are read through their list.
OF_A_KIND = {"agent/console/views", "agent/console/read", "deploy/commands"}


@cache
def house() -> dict[str, Room]:
    """Read our own rooms once."""
    return rooms()


def test_rooms_import_each_other_without_a_circle() -> None:
    """Whatever a room imports knows nothing of that room."""
    assert circles(graph_of(house())) == []


def test_rooms_are_entered_by_their_face() -> None:
    """Other rooms import only the modules that a room's docstring names."""
    assert trespasses(house()) == []


def test_every_room_says_what_it_is_for() -> None:
    """A folder's docstring opens with its purpose in one line, and names modules that exist."""
    for room in house().values():
        if room.face is None:
            continue
        assert room.purpose, f"{room.name} does not say what it is for"
        assert room.face, f"{room.name} does not say what others may import"
        for module in room.face - {"this", "module"}:
            path = ROOT / room.name / module.replace(".", "/")
            assert path.with_suffix(".py").exists() or path.is_dir(), f"{room.name}: no {module}"


def test_no_room_is_a_hall() -> None:
    """A folder holds few enough files to be seen at once."""
    crowded = {
        str(folder.relative_to(ROOT)): len(files)
        for name in house()
        for folder in {ROOT / name, *(p.parent for p in (ROOT / name).rglob("*.py"))}
        if str(folder.relative_to(ROOT)) not in OF_A_KIND
        if len(files := [f for f in folder.glob("*.py") if f.name != "__init__.py"]) > MOST_FILES
    }
    assert crowded == {}


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md"])
def test_documents_tell_the_rooms(name: str) -> None:
    """README and ARCHITECTURE hold what `python -m tests.rooms` writes now."""
    lines = readme_lines(house()) if name == "README.md" else architecture_lines(house())
    assert "\n".join(lines) in (ROOT / name).read_text(encoding="utf-8"), "run make docs"


def planted(root: Path, **files: str) -> Path:
    """Write a small house: `agent_one__b` is agent/one/b.py."""
    for name, text in files.items():
        place = root / (name.replace("__", "/").replace("_", "/", 1) + ".py")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        for folder in {place.parent, place.parent.parent} - {root}:
            if not (folder / "__init__.py").exists():
                (folder / "__init__.py").write_text('"""A room.\n\nFor others: open.\n"""\n')
    return root


def test_a_planted_circle_is_found(tmp_path: Path) -> None:
    """Two rooms that import each other, by whatever files, are a circle."""
    house = planted(
        tmp_path,
        agent_one__open="from agent.two.open import a\n",
        agent_two__open="b = 1\n",
        agent_two__inside="from agent.one import open\n",
    )
    assert circles(graph_of(rooms(house))) == [["agent/one", "agent/two"]]


def test_a_planted_trespass_is_found(tmp_path: Path) -> None:
    """An import of what is no part of the face is named with who did it."""
    house = planted(
        tmp_path,
        agent_one__open="from agent.two.inside import a\n",
        agent_two__inside="a = 1\n",
        agent_two__open="",
    )
    (wrong,) = trespasses(rooms(house))
    assert "agent/one/open.py imports agent.two.inside" in wrong
