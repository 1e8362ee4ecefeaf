"""The import directions of ARCHITECTURE.md, read from the syntax trees of all files."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"agent", "deploy", "kernels", "learner", "streams", "tests"}
MAY_IMPORT = {
    "kernels": set[str](),
    "streams": set[str](),
    "agent": {"kernels", "streams"},
    "learner": {"kernels", "streams"},
    "deploy": {"agent", "kernels", "learner", "streams"},
}
ALSO_MAY = {  # the one bridge: it fills the models that kernels.model walks
    "streams/model": {"kernels"},
}
ONLY_IN = {  # an optional or heavy library is known to the one file that adapts it
    "kafka": ("streams/log/kafka/",),
    "opentelemetry": ("streams/trace/otel.py",),
    "triton": ("kernels/gpu/",),
    "ray": ("learner/fitness/ray.py",),
    "numba": ("kernels/",),
    "aiohttp": ("agent/", "deploy/", "learner/judges/"),
    "typer": ("deploy/",),
    "matplotlib": ("deploy/demo", "deploy/operate/unit_picture.py"),
    "pydantic_settings": ("deploy/settings/load.py",),
    "pickle": (),
}


@cache
def imports(file: Path) -> tuple[str, ...]:
    """Return the full name of every module that a file imports, anywhere in it."""
    return tuple(_imports(file))


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            yield node.module or ""


def files(package: str) -> list[Path]:
    """Return the Python files of a package, migrations left out: alembic writes those."""
    found = sorted((ROOT / package).rglob("*.py"))
    return [file for file in found if "migrations" not in file.parts]


def file_room(name: str) -> str:
    """Return the folder that a file stands in."""
    return name.rpartition("/")[0]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_package_imports_only_what_its_place_allows(package: str) -> None:
    """A package imports its own modules and those that ARCHITECTURE.md allows it, no others."""
    allowed = MAY_IMPORT[package] | {package}
    wrong = [
        f"{name} imports {module}"
        for file in files(package)
        for name in [str(file.relative_to(ROOT))]
        for module in imports(file)
        if module.partition(".")[0] in OURS - allowed - ALSO_MAY.get(file_room(name), set())
    ]
    assert wrong == []


@pytest.mark.parametrize("library", ONLY_IN)
def test_library_is_imported_only_where_it_is_adapted(library: str) -> None:
    """An optional or heavy library is imported only in the files that adapt it."""
    wrong = [
        f"{name} imports {module}"
        for package in MAY_IMPORT
        for file in files(package)
        for name in [str(file.relative_to(ROOT))]
        for module in imports(file)
        if module.partition(".")[0] == library and not name.startswith(ONLY_IN[library])
    ]
    assert wrong == []


def test_torch_enters_streams_through_one_room_only() -> None:
    """What crosses processes loads without torch; only streams.model needs it."""
    heavy = {"torch", "transformers"}
    wrong = [
        f"{file.name} imports {module}"
        for file in files("streams")
        for module in imports(file)
        if module.partition(".")[0] in heavy and file.parent.name != "model"
    ]
    assert wrong == []
