"""Reads the rooms of the packages from their sources: what each is for, its face, what it imports.

A room is a folder of a package; a file at a package's root is a room of its own. The docstring of a
room's `__init__` says in its first line what the room is for, and after "For others:" which of its
modules other rooms may import. `python -m tests.rooms` writes these, and the imports, into README
and ARCHITECTURE.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("agent", "deploy", "kernels", "learner", "streams")
_FACE = re.compile(r"^For others:\s*(.*?)\.$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Import:
    """One import across a border: `file` takes something of `module`, which stands in `room`."""

    file: str
    module: str
    room: str


@dataclass(frozen=True, slots=True)
class Room:
    """A folder of a package, or a file at its root."""

    name: str  # "agent/turn", "agent/run.py"
    purpose: str  # the first line of its docstring
    face: frozenset[str] | None  # modules that others may import; None: a file, which is its face
    imports: tuple[Import, ...]  # of other rooms

    @property
    def package(self) -> str:
        """The package that it stands in."""
        return self.name.partition("/")[0]


def rooms(root: Path = ROOT) -> dict[str, Room]:
    """Read every room below a folder, by name."""
    files = {
        str(file.relative_to(root)): file
        for package in PACKAGES
        for file in sorted((root / package).rglob("*.py"))
        if "migrations" not in file.parts
    }
    modules = {_module(name): name for name in files}
    found: dict[str, list[Import]] = {}
    for name, file in files.items():
        room = _room(name)
        taken = found.setdefault(room, [])
        for module in _imported(file):
            target = modules.get(module)
            if target is not None and _room(target) != room:
                taken.append(Import(name, module, _room(target)))
    return {
        name: Room(name, *_told(root, name), tuple(imports))
        for name, imports in found.items()
        if not name.endswith("__init__.py")
    }


def circles(graph: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """Find a way round in a graph of rooms: each circle once, as the rooms on it."""
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(room: str, way: list[str]) -> None:
        if room in way:
            found.append(way[way.index(room) :])
            return
        if room in done:
            return
        for other in sorted(graph.get(room, ())):
            visit(other, [*way, room])
        done.add(room)

    for room in sorted(graph):
        visit(room, [])
    return found


def graph_of(found: Mapping[str, Room]) -> dict[str, frozenset[str]]:
    """Return which rooms each room imports."""
    return {name: frozenset(each.room for each in room.imports) for name, room in found.items()}


def trespasses(found: Mapping[str, Room]) -> list[str]:
    """List imports of what is no part of a room's face."""
    return [
        f"{each.file} imports {each.module}: {each.room} keeps it to itself"
        for room in found.values()
        for each in room.imports
        if (face := found[each.room].face if each.room in found else None) is not None
        and each.module != each.room.replace("/", ".")
        and each.module.removeprefix(each.room.replace("/", ".") + ".") not in face
    ]


def readme_lines(found: Mapping[str, Room]) -> list[str]:
    """Return README's list: every room that is a folder, with its purpose."""
    return [
        f"    {room.name + '/':<22}{room.purpose.rstrip('.')}"
        for room in sorted(found.values(), key=_place)
        if room.face is not None
    ]


def architecture_lines(found: Mapping[str, Room]) -> list[str]:
    """Return ARCHITECTURE's drawing: each room with those of its own package that it imports."""
    lines = []
    graph = graph_of(found)
    for room in sorted(found.values(), key=_place):
        own = sorted(n for n in graph[room.name] if n.startswith(room.package + "/"))
        if room.face is not None:
            names = " ".join(name.partition("/")[2].removesuffix(".py") for name in own)
            lines.append(f"    {room.name:<20} ← {names}".rstrip(" ←"))
    return lines


def _place(room: Room) -> tuple[int, str]:
    """Sort rooms by package, then by the number that their purpose begins with."""
    number = re.match(r"(\d+)", room.purpose)
    return PACKAGES.index(room.package), f"{int(number[1]):02}" if number else room.name


def _told(root: Path, name: str) -> tuple[str, frozenset[str] | None]:
    file = root / name
    source = file if name.endswith(".py") else file / "__init__.py"
    text = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    purpose = text.partition("\n")[0]
    if name.endswith(".py"):
        return purpose, None
    face = _FACE.search(text)
    names = re.findall(r"[\w.]+", face[1]) if face else []
    return purpose, frozenset(names)


def _room(name: str) -> str:
    return "/".join(name.split("/")[:2])


def _module(name: str) -> str:
    return name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def write(root: Path = ROOT) -> None:
    """Write the list of rooms into README, and who imports whom into ARCHITECTURE."""
    found = rooms(root)
    for name, title, lines in (
        ("README.md", "Rooms", readme_lines(found)),
        ("ARCHITECTURE.md", "Rooms", architecture_lines(found)),
    ):
        file = root / name
        text = file.read_text(encoding="utf-8")
        head, rest = text.split(f"\n## {title}\n", 1)
        before, after = rest.split("\n    ", 1)
        _, _, tail = after.partition("\n\n")
        body = "\n".join([before, *lines])
        file.write_text(f"{head}\n## {title}\n{body}\n\n{tail}", encoding="utf-8")


if __name__ == "__main__":
    write()
